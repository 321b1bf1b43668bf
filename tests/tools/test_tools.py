"""The tools measure what they say: the peers are the zoo's nets, the costs are those of the commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import benchmark
import catalogue
import gpu
import layer_figures
import modules
import numpy as np
import pytest
import throughput
import torch
import zoo_differences
import zoo_figures
from conformance import Difference, Record
from pages import Figures, write_page
from peers import PARAMETERS, PEERS, SHAPES
from processes import ROOT, Cost, compare, measure
from stages import compile_in_stages
from zoo_lines import net_lines, python_lines

import netdsl
from netdsl.base.table import Table
from netdsl.compiler import check, check_text
from netdsl.ir.types import DType
from netdsl.layers.activation import Relu
from netdsl.layers.conv import Conv, Deconv
from netdsl.runtime import Session
from netdsl.verification.difference import TOLERANCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("net", PEERS)
def test_a_peer_is_the_same_net(net: str) -> None:
    graph = check(net).graph
    with torch.device("meta"):
        state = PEERS[net]().state_dict()
        trained = sum(parameter.numel() for parameter in PEERS[net]().parameters())
    theirs = {key: tuple(tensor.shape) for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    assert {name: param.spec.shape for name, param in graph.params.items()} == theirs
    assert trained == PARAMETERS[net] == netdsl.load(net).params
    assert graph.inputs[0].type.shape == SHAPES[net]


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_a_peer_is_exported_with_a_free_batch(exporter: str, tmp_path: Path) -> None:
    model = tmp_path / "peer.onnx"
    measure([sys.executable, "tools/peers.py", "lenet5", str(model), "--exporter", exporter])
    session = Session(model)
    (output,) = session.run({session.inputs[0].name: np.zeros((3, 1, 28, 28), np.float32)}).values()
    assert output.shape == (3, 10)


def test_a_measured_process_is_the_whole_process() -> None:
    child = [sys.executable, "-c", "import time; time.sleep(0.2); b = bytearray(100_000_000)"]
    measurer = f"from processes import measure; c = measure({child!r}); print(c.seconds, c.megabytes)"
    printed = subprocess.check_output([sys.executable, "-c", measurer], cwd=ROOT / "tools", text=True)
    seconds, megabytes = map(float, printed.split())
    assert seconds >= 0.2
    assert 100 <= megabytes < 150


def test_a_command_that_fails_stops_the_measurement() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3:\nno such net"):
        measure([sys.executable, "-c", "print('no such net'); raise SystemExit(3)"])


def test_commands_are_measured_in_turn(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = {name: [sys.executable, "-c", f"open({str(log)!r}, 'a').write({name!r})"] for name in "ab"}
    assert list(compare(commands, repeat=2)) == ["a", "b"]
    assert log.read_text() == "ababab"  # the first round is the warm-up


@pytest.mark.parametrize("chain", [benchmark.repeated_chain, benchmark.written_chain])
def test_a_chain_has_the_layers_it_is_said_to_have(chain: Callable[[int], str]) -> None:
    assert len(check_text(chain(20)).graph.nodes) == 1 + 20


@pytest.mark.parametrize(
    ("seconds", "megabytes", "verdicts"), [(0.8, 300, ("met", "met")), (0.81, 310.1, ("missed", "missed"))]
)
def test_a_checkpoint_is_weighed_against_its_copy(seconds: float, megabytes: float, verdicts: tuple[str, str]) -> None:
    costs = {"compile": Cost(seconds, megabytes), "copy": Cost(0.4, 10)}
    row = dict(zip(benchmark.WEIGHTS_HEADINGS, benchmark.weights_row(costs, 100), strict=False))
    assert (row[">time aim"], row[">memory aim"]) == (f"2 {verdicts[0]}", f"3.10 {verdicts[1]}")


def test_stages_write_the_file_that_compile_writes(tmp_path: Path) -> None:
    stages = compile_in_stages("lenet5", tmp_path)
    netdsl.compile("lenet5", tmp_path / "whole.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    assert all(seconds >= 0 for seconds in stages.values())


def test_a_page_has_its_facts_and_tables(tmp_path: Path) -> None:
    section = Figures("Speed", "In seconds.", Table(["net", ">time"], [["lenet5", "0.5"]]))
    write_page(tmp_path / "page.md", "Figures", "python tools/x.py", "Measured today.", [section])
    assert (tmp_path / "page.md").read_text() == (
        "# Figures\n\n`python tools/x.py` writes this page. Measured today.\n\n"
        "## Speed\n\nIn seconds.\n\n| net | time |\n| --- | ---: |\n| lenet5 | 0.5 |\n"
    )


@pytest.mark.parametrize(
    ("result", "absolute", "relative"),
    [([2.0, -4.0], 0.0, 0.0), ([2.0, -3.0], 1.0, 0.25), ([np.nan, -4.0], np.inf, np.inf)],
)
def test_difference_is_relative_to_the_largest_value(result: list[float], absolute: float, relative: float) -> None:
    reference = {"logits": np.array([2.0, -4.0], np.float32), "flag": np.array([True])}
    assert gpu.difference({"logits": np.array(result, np.float32), "flag": np.array([True])}, reference) == (
        absolute,
        relative,
    )


def test_modules_are_built_and_trained_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[str] = []
    seconds = modules.in_turn({"a": lambda: log.append("a"), "b": lambda: log.append("b")}, repeat=2)
    assert log == ["a", "b"] * 3  # the first round is the warm-up
    assert list(seconds) == ["a", "b"]
    words = "--build lenet5 --train lenet5 --batch 2 --size 28 --repeat 1"
    modules.main(words.split())
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["building", "training"]
    assert all(0 < costs[name] < 10 for costs in printed.values() for name in ("netdsl", "PyTorch"))


def test_a_run_and_a_loop_by_hand_are_timed_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    throughput.main(["--samples", "200", "--repeat", "1"])
    printed = capsys.readouterr().out
    assert re.findall(r"^(\w+) +[0-9.]+ +[0-9,]+$", printed, re.MULTILINE) == ["netdsl", "PyTorch"]
    assert re.search(r"by round: [0-9.]+$", printed)


def test_a_rehearsal_on_the_cpu_says_that_it_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "gpu.md"
    words = "--device cpu --nets lenet5 resnet18 --batch 1 3 --runs 2 --no-torch-compile --train lenet5"
    gpu.main([*words.split(), "--train-batch", "2", "--markdown", str(page)])
    text = page.read_text()
    assert "This is a rehearsal on the CPU" in text
    verified = re.findall(r"\| (lenet5|resnet18)" + r" \| (\d\.\de-\d\d) met" * 4 + r" \|\n", text)
    assert [net for net, *_ in verified] == ["lenet5", "resnet18"]
    assert all(float(single) < 1e-5 and float(half) > 1e-4 for _, single, _, _, half in verified)
    assert re.search(r"\| eager \| \d+\.\d+ \| \d+\.\d+ \| \d+\.\d\d \|\n", text)
    assert "| lenet5 | 0.0e+00 | 0.0e+00 | 1e-04 met | 0.0e+00 | 0.0e+00 | 1e-02 met |" in text
    assert [line.split(" | ")[:2] for line in text.splitlines() if " | - | " in line] == [
        ["| lenet5", "1"],
        ["| lenet5", "3"],
    ]
    assert "rehearsal" in capsys.readouterr().out


def test_cuda_where_there_is_none_stops_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"finds no CUDA device here; `--device cpu` rehearses"):
        gpu.main([])


def test_figures_of_layers_are_the_largest_of_each_family() -> None:
    found = [
        Record(Conv(4, 3), "float32", Difference(2e-6, 1e-7), Difference(0.0, 0.0)),
        Record(Relu(), "float32", Difference(0.0, 0.0), Difference(0.0, 0.0)),
        Record(Deconv(4, 3), "float32", Difference(1e-6, 3e-7), Difference(5e-7, 0.0)),
        Record(Conv(8, 3), "float16", Difference(1.0, 1.0), Difference(1.0, 1.0)),
    ]
    assert layer_figures.figures(found).table.rows == [
        ["activation", "1", "1", "0", "0", "0", "0"],
        ["conv", "2", "2", "2.0e-06", "3.0e-07", "5.0e-07", "0"],
    ]


def test_the_pages_of_reference_are_current(tmp_path: Path) -> None:
    written = {catalogue.main: ("layers.md", "recipes.md", "zoo.md"), zoo_figures.main: ("zoo_figures.md",)}
    for write, pages in written.items():
        write(tmp_path)
        for page in pages:
            assert (ROOT / "docs" / page).read_text(encoding="utf-8") == (tmp_path / page).read_text(
                encoding="utf-8"
            ), f"run `python tools/{write.__module__}.py`"
    for page in tmp_path.iterdir():
        made = page.read_text(encoding="utf-8")
        for section in made.split("\n## ")[1:]:
            heading, *rows = [line for line in section.splitlines() if line.startswith("|")]
            marks = heading.count("|")
            assert all(row.count("|") - row.count(r"\|") == marks for row in rows)


def test_differences_are_measured_in_float32_beside_float64() -> None:
    found = zoo_differences.measure("nielsen")
    assert (found.net, found.arguments) == ("nielsen", "{}")
    assert 0 < float(found.pytorch) < 1e-5
    assert 0 < float(found.onnxruntime) < 1e-5
    limit = TOLERANCES[DType.FLOAT32]
    known = zoo_differences.known().values()
    assert [row for row in known if max(float(row.pytorch), float(row.onnxruntime)) > limit] == []


def test_lines_of_a_net_are_those_that_it_needs() -> None:
    """ENAS's micro net has its cells in its own file, and takes others from NASNet's."""
    lines = "\n".join(net_lines("enas_micro"))
    for needed in ("block cell(", "block fit(", 'use "nasnet.net"', "default conv bias=no"):
        assert lines.count(needed) >= 1, needed
    for other in ("net enas_macro", "net nasnet_a", "#", "train", "labels", "cifar10", "expect", "assert"):
        assert other not in lines
    assert len(net_lines("resnet152")) == len(net_lines("resnet50"))
    assert net_lines("nin")[-6:] == [
        "}",
        "block mlpconv(width, inner, out, k) {",
        "    conv width k=k p=k//2 -> relu",
        "    conv inner k1 -> relu",
        "    conv out k1 -> relu",
        "}",
    ]


def test_lines_of_python_are_code() -> None:
    source = '"""A\nfile."""\n\n# a comment\nx = 1  # one\n\n\ndef f():\n    """A function."""\n    return x\n'
    assert python_lines(source) == ["x = 1  # one", "def f():", "    return x"]
