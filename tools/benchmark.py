"""The cost of compiling: whole processes compared with PyTorch's exporters, stage by stage, and for growing nets.

`python tools/benchmark.py` prints every table; `--markdown docs/benchmarks.md` writes the page of the documentation.
Every process builds a net with its initial weights and writes it as ONNX with a free batch size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from pages import Figures, environment, write_page
from processes import ENVIRONMENT, ROOT, compare, measure

from netdsl.base.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Cost

NETS = ("lenet5", "resnet50", "resnet152", "vgg16", "googlenet")
TIMES_FASTER = {net: 4 if net == "vgg16" else 10 for net in NETS}
"""How many times faster than the dynamo exporter; VGG-16 mostly takes the time to draw and write half a gigabyte."""
CHECK_TO_IMPORT = {"resnet152": 0.35 / 0.8, "nets": 3 / 1.5}
"""The largest ratios of the time to check ResNet-152, and the whole zoo, to that of importing torch."""
BUILDING = 1.0
"""The largest ratio to the hand-written classes of the time to build ResNet-152; both draw all initial values."""
TRAINING = 1.02
"""The largest ratio to the hand-written module of the time of a training step."""
GROWTH = 2.3
"""The largest ratio of the time of a chain to that of a chain half as long."""
CHAIN = 10_000
"""The number of layers of the shorter chain."""

WEIGHTS_TO_COPY = 2
"""The largest ratio of the time to compile with a checkpoint to that of copying it."""
WEIGHTS_TO_FILE, WEIGHTS_BESIDE = 1.6, 150
"""The largest peak memory of that: this many times the checkpoint's size, plus this many MB."""

COMPILING = """\
Seconds of wall time for `netdsl compile NET` and for `torch.onnx.export` of the same net in plain PyTorch
(`tools/peers.py`), traced by dynamo and by TorchScript: whole processes, run in turn, medians of {repeat}."""
MEMORY = """\
The peak resident memory of the same processes in MB. The aim is 1.6 times the size of the file plus 150 MB."""
CHECKING = """\
Seconds of wall time for `netdsl check` of ResNet-152 and of all the zoo (`nets`), and for `python -c "import torch"`,
which every tool built on PyTorch does first: whole processes, run in turn, medians of {repeat}."""
MODULES = """\
Seconds inside one process (`tools/modules.py`) to build ResNet-152 by `to_torch` and from its classes in plain PyTorch,
and for a training step of ResNet-50 on a batch of {batch} images of {size}x{size}: run in turn, medians of {repeat}."""
STAGES = """\
Milliseconds for every stage of a compilation inside one process (`tools/stages.py`), medians of {repeat} processes.
Here all weights are kept in memory, so that drawing and writing are timed apart; `netdsl compile` keeps one tensor at a
time."""
WEIGHTS = """\
`netdsl compile vgg16 --weights FILE` for a safetensors checkpoint, compared with copying that file whole or not at all,
as the model is written (`cp FILE A && sync A && mv A B`): whole processes, run in turn, medians of {repeat}. Times are
seconds of wall time, sizes and peak resident memory are in MB. The aims are 2 times the time of the copy, and 1.6 times
the size of the file plus 150 MB."""
GROWING = """\
Seconds of wall time for a chain of convolutions and activations and for one twice as long, written as a `repeat` and
with one line for every two layers: whole processes, run in turn, medians of {repeat}."""


def compiling(repeat: int) -> list[Figures]:
    """Compare compile time and peak memory with PyTorch's two exporters."""
    times, memory = [], []
    for net in NETS:
        with tempfile.TemporaryDirectory() as folder:
            ours = Path(folder, "netdsl.onnx")
            commands = {"netdsl": netdsl("compile", net, "-o", str(ours))}
            for exporter in ("dynamo", "torchscript"):
                theirs = f"{folder}/{exporter}.onnx"
                commands[exporter] = [sys.executable, "tools/peers.py", net, theirs, "--exporter", exporter]
            costs = compare(commands, repeat)
            file = ours.stat().st_size / 1e6
        times.append(time_row(net, costs))
        memory.append(memory_row(net, costs, file))
    return [
        Figures("Compiling", COMPILING.format(repeat=repeat), Table(TIME_HEADINGS, times)),
        Figures("Peak memory", MEMORY, Table(MEMORY_HEADINGS, memory)),
    ]


TIME_HEADINGS = ["net", ">netdsl", ">dynamo", ">times", ">aim", ">TorchScript", ">times"]
MEMORY_HEADINGS = ["net", ">file", ">netdsl", ">aim", ">dynamo", ">TorchScript"]


def time_row(net: str, costs: dict[str, Cost]) -> list[str]:
    """Return a row of the table with `TIME_HEADINGS`."""
    ours, dynamo, script = (costs[name].seconds for name in ("netdsl", "dynamo", "torchscript"))
    aim = TIMES_FASTER[net]
    met = verdict(dynamo >= aim * ours)
    return [net, f"{ours:.2f}", f"{dynamo:.2f}", f"{dynamo / ours:.1f}", f"{aim} {met}", f"{script:.2f}",
            f"{script / ours:.1f}"]  # fmt: skip


def memory_row(net: str, costs: dict[str, Cost], file: float) -> list[str]:
    """Return a row of the table with `MEMORY_HEADINGS`."""
    ours, dynamo, script = (costs[name].megabytes for name in ("netdsl", "dynamo", "torchscript"))
    aim = 1.6 * file + 150
    return [net, f"{file:.1f}", f"{ours:.0f}", f"{aim:.0f} {verdict(ours <= aim)}", f"{dynamo:.0f}", f"{script:.0f}"]


def checking(repeat: int) -> list[Figures]:
    """Compare checking a large net, and all nets, with importing torch."""
    commands = {what: netdsl("check", what) for what in CHECK_TO_IMPORT}
    costs = compare({**commands, "import": [sys.executable, "-c", "import torch"]}, repeat)
    import_ = costs["import"].seconds
    rows = []
    for what, aim in CHECK_TO_IMPORT.items():
        ratio = costs[what].seconds / import_
        met = f"{aim:.2f} {verdict(ratio <= aim)}"
        rows.append([what, f"{costs[what].seconds:.2f}", f"{import_:.2f}", f"{ratio:.2f}", met])
    headings = ["of", ">check", ">import", ">ratio", ">aim"]
    return [Figures("Checking", CHECKING.format(repeat=repeat), Table(headings, rows))]


def modules(repeat: int, batch: int = 4, size: int = 64) -> list[Figures]:
    """Compare a net as a PyTorch module with the same net written by hand."""
    rounds = 4 * repeat  # they are short
    options = {"--repeat": rounds, "--batch": batch, "--size": size}
    words = [word for name, value in options.items() for word in (name, str(value))]
    printed = subprocess.check_output([sys.executable, "tools/modules.py", *words], cwd=ROOT, env=ENVIRONMENT)
    rows = []
    for (what, costs), aim in zip(json.loads(printed).items(), (BUILDING, TRAINING), strict=True):
        ours, theirs = costs["netdsl"], costs["PyTorch"]
        met = verdict(ours <= aim * theirs)
        rows.append([what, f"{ours:.3f}", f"{theirs:.3f}", f"{ours / theirs:.2f}", f"{aim} {met}"])
    note = MODULES.format(batch=batch, size=size, repeat=rounds)
    return [Figures("Modules", note, Table(["", ">netdsl", ">PyTorch", ">ratio", ">aim"], rows))]


def stages(repeat: int) -> list[Figures]:
    """Time the stages of a compilation."""
    rows = []
    columns: list[str] = []
    for net in NETS:
        command = [sys.executable, "tools/stages.py", net]
        printed = [subprocess.check_output(command, cwd=ROOT, env=ENVIRONMENT) for _ in range(repeat + 1)]
        warm = [json.loads(text) for text in printed[1:]]
        columns = list(warm[0])
        rows.append([net, *(f"{1000 * median(run[column] for run in warm):.0f}" for column in columns)])
    return [Figures("Stages", STAGES.format(repeat=repeat), Table(["net", *(f">{name}" for name in columns)], rows))]


def weights(repeat: int) -> list[Figures]:
    """Compare compiling with a checkpoint with copying the checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        model, file, copy = f"{folder}/vgg16.onnx", f"{folder}/vgg16.safetensors", f"{folder}/copy"
        measure(netdsl("compile", "vgg16", "-o", model))
        measure(netdsl("weights", model, "-o", file))
        costs = compare(
            {
                "compile": netdsl("compile", "vgg16", "--weights", file, "-o", model),
                "copy": ["sh", "-c", f"cp {file} {copy}.part && sync {copy}.part && mv {copy}.part {copy}"],
            },
            repeat,
        )
        size = Path(file).stat().st_size / 1e6
    return [Figures("Weights", WEIGHTS.format(repeat=repeat), Table(WEIGHTS_HEADINGS, [weights_row(costs, size)]))]


WEIGHTS_HEADINGS = [">compile", ">copy", ">time ratio", ">time aim", ">file", ">peak", ">memory ratio", ">memory aim"]


def weights_row(costs: dict[str, Cost], file: float) -> list[str]:
    """Return the row of the table with `WEIGHTS_HEADINGS`; the aim for memory is a ratio to the size of the file."""
    ours, copy = costs["compile"], costs["copy"].seconds
    slower, larger = ours.seconds / copy, ours.megabytes / file
    most = WEIGHTS_TO_FILE + WEIGHTS_BESIDE / file
    time = [f"{ours.seconds:.2f}", f"{copy:.2f}", f"{slower:.2f}"]
    memory = [f"{file:.1f}", f"{ours.megabytes:.0f}", f"{larger:.2f}"]
    return [
        *(*time, f"{WEIGHTS_TO_COPY} {verdict(slower <= WEIGHTS_TO_COPY)}"),
        *(*memory, f"{most:.2f} {verdict(larger <= most)}"),
    ]


def growth(repeat: int) -> list[Figures]:
    """Measure how time grows with the number of layers."""
    rows = []
    for kind, chain in (("repeat", repeated_chain), ("written out", written_chain)):
        with tempfile.TemporaryDirectory() as folder:
            commands = {}
            for layers in (CHAIN, 2 * CHAIN):
                file = Path(folder, f"chain{layers}.net")
                file.write_text(chain(layers), encoding="utf-8")
                commands[f"check {layers}"] = netdsl("check", str(file))
                commands[f"compile {layers}"] = netdsl("compile", str(file), "-o", f"{folder}/chain.onnx")
            costs = compare(commands, repeat)
        for action in ("check", "compile"):
            short, long = (costs[f"{action} {layers}"].seconds for layers in (CHAIN, 2 * CHAIN))
            aim = f"{GROWTH} {verdict(long <= GROWTH * short)}"
            rows.append([f"{action}, {kind}", f"{short:.2f}", f"{long:.2f}", f"{long / short:.2f}", aim])
    headings = ["chain", f">{CHAIN:,}", f">{2 * CHAIN:,}", ">ratio", ">aim"]
    return [Figures("Growth", GROWING.format(repeat=repeat), Table(headings, rows))]


def repeated_chain(layers: int) -> str:
    """Return a net of `layers` layers in one statement."""
    return f"net chain {{\n    input x: 4x8x8\n    repeat {layers // 2} {{ conv 4 k3 p1 -> relu }}\n}}\n"


def written_chain(layers: int) -> str:
    """Return the same net with every layer written out."""
    return "net chain {\n    input x: 4x8x8\n" + "    conv 4 k3 p1 -> relu\n" * (layers // 2) + "}\n"


def netdsl(*arguments: str) -> list[str]:
    """Return the command line that runs netdsl in this interpreter."""
    return [sys.executable, "-m", "netdsl", *arguments]


def verdict(met: bool) -> str:
    """Return the word for whether an aim is met."""
    return "met" if met else "missed"


PARTS: dict[str, Callable[[int], list[Figures]]] = {
    "compiling": compiling,
    "checking": checking,
    "modules": modules,
    "stages": stages,
    "weights": weights,
    "growth": growth,
}


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to measure")
    parser.add_argument("--repeat", type=int, default=5, help="runs of every command (5)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as a page of the documentation")
    arguments = parser.parse_args()
    facts = environment(["netdsl", "numpy", "onnx", "torch", "onnxscript"])
    print(facts, end="\n\n")
    sections = []
    for part in arguments.only:
        for section in PARTS[part](arguments.repeat):
            print(section.text())
            sections.append(section)
    if arguments.markdown:
        command = "python tools/benchmark.py --markdown docs/benchmarks.md"
        write_page(arguments.markdown, "Benchmarks", command, facts, sections)


if __name__ == "__main__":
    main()
