"""The zoo on a GPU: whether CUDA computes what the CPU computes, and how fast netdsl is compared with PyTorch.

On a machine with an NVIDIA GPU, after `pip install -e '.[gpu,train]'`, `python tools/gpu.py` prints every table;
`--markdown docs/gpu_figures.md` writes them as a page. `--device cpu` is a rehearsal that needs no GPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch  # before onnxruntime, which then finds the CUDA libraries that torch has loaded
from modules import in_turn
from pages import Figures, environment, write_page
from peers import PEERS, SHAPES

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.base.table import Table
from netdsl.reference.zoo import entries
from netdsl.runtime import Session
from netdsl.runtime.bench import Plan, bench, random_feeds

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]
    Model = Callable[[torch.Tensor], Any]

AGREEMENT = """\
Every shipped net with initial weights and a random batch of {batch}, on the CPU and on the device: the largest
difference of any output, and the same divided by the output's largest value. With TF32, CUDA multiplies numbers with
ten bits of mantissa."""
VERIFIED = """\
The results of `netdsl verify --half` for every shipped net with random weights and a batch of {batch}: the largest
difference from PyTorch in float64, relative to the output's largest value, without TF32, and whether it is allowed."""
TRAINED = """\
The median time in milliseconds of {runs} training steps of {net}: forward, backward and SGD with momentum, on a batch
of {batch} random images, channels last, under bfloat16 autocast. The two modules run in turn."""
SPEED = """\
The median time in milliseconds of {runs} runs, with inputs and outputs on the device and TF32 allowed. PyTorch runs
the same net in plain PyTorch (`tools/peers.py`) with channels last. The last column is PyTorch's best time divided by
the best time of netdsl."""
TOLERANCE = {False: 1e-4, True: 1e-2}
"""The relative difference that is allowed without and with TF32: rounding over some hundred layers."""
MIN_LARGEST = 1e-30
"""The divisor of a relative difference for an output that is 0 everywhere."""
OPEN_SIZE = 64
"""The value of a size that a net leaves open."""
WARMUP = 10
"""The number of runs before the timed ones."""


@dataclass(frozen=True)
class Job:
    """The options of the command line."""

    device: str
    nets: list[str]
    batches: list[int]
    runs: int
    compiled: bool
    train: str
    train_batch: int

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU is measured."""
        return self.device != "cpu"


def difference(result: Arrays, reference: Arrays) -> tuple[float, float]:
    """Return the largest absolute difference of any output, and the largest relative to the output's largest value.

    The difference is infinite if any value is not finite.
    """
    absolute = relative = 0.0
    for name, expected in reference.items():
        apart = float(abs(result[name].astype("float64") - expected.astype("float64")).max())
        apart = apart if isfinite(apart) else inf
        absolute = max(absolute, apart)
        relative = max(relative, apart / max(float(abs(expected).max()), MIN_LARGEST))
    return absolute, relative


def agreement(job: Job, batch: int = 2) -> Figures:
    """Compare every net on the device with the same net on the CPU."""
    rows = []
    for net in job.nets:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "net.onnx")
            netdsl.compile(net, model)
            cpu = Session(model)
            sizes = {size: OPEN_SIZE for port in cpu.inputs for size in port.shape[1:] if isinstance(size, str)}
            feeds = random_feeds(cpu, Plan(batch, sizes))
            reference = cpu.run(feeds)
            row = [net]
            for tf32 in (False, True):
                result = Session(model, job.device, tf32=tf32).run(feeds)
                absolute, relative = difference(result, reference)
                verdict = "met" if relative <= TOLERANCE[tf32] else "missed"
                row += [f"{absolute:.1e}", f"{relative:.1e}", f"{TOLERANCE[tf32]:.0e} {verdict}"]
        rows.append(row)
        print(f"compared {net}", file=sys.stderr)
    headings = ["net", ">float32", ">relative", ">aim", ">TF32", ">relative", ">aim"]
    return Figures(f"CPU and {job.device}", AGREEMENT.format(batch=batch), Table(headings, rows))


def verified(job: Job, batch: int = 2) -> Figures:
    """Compare PyTorch and onnxruntime on the device with PyTorch in float64, for every net."""
    rows = []
    columns: list[str] = []
    for net in job.nets:
        comparisons = netdsl.verify(net, batches=(batch,), device=job.device, half=True).comparisons
        columns = list(dict.fromkeys(comparison.run for comparison in comparisons))
        row = [net]
        for run in columns:
            worst = max((c for c in comparisons if c.run == run), key=lambda c: c.difference.relative)
            row.append(f"{worst.difference.relative:.1e} {'met' if worst.ok else 'missed'}")
        rows.append(row)
        print(f"verified {net}", file=sys.stderr)
    headings = ["net", *(f">{column}" for column in columns)]
    return Figures(f"float64 and {job.device}", VERIFIED.format(batch=batch), Table(headings, rows))


def training(job: Job) -> Figures:
    """Time a training step of the module from `to_torch`, and of the hand-written one."""
    shape = (job.train_batch, *SHAPES[job.train])
    images = torch.rand(shape).to(job.device, memory_format=torch.channels_last)
    classes = torch.randint(0, 10, (job.train_batch,)).to(job.device)
    rows = []
    for variant in ["eager", *["torch.compile"] * job.compiled]:
        torch.compiler.reset()
        steps = {
            name: training_step(module, images, classes, compiled=variant != "eager")
            for name, module in (("netdsl", netdsl.load(job.train).to_torch()), ("PyTorch", PEERS[job.train]()))
        }
        for step in steps.values():
            for _ in range(WARMUP):
                step()
        times = in_turn(steps, job.runs)
        ours, theirs = times["netdsl"], times["PyTorch"]
        rows.append([variant, milliseconds(ours), milliseconds(theirs), f"{ours / theirs:.2f}"])
        print(f"trained {job.train}, {variant}", file=sys.stderr)
    note = TRAINED.format(runs=job.runs, net=job.train, batch=job.train_batch)
    return Figures(f"Training on {job.device}", note, Table(["", ">netdsl", ">PyTorch", ">ratio"], rows))


def training_step(
    module: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor, *, compiled: bool
) -> Callable[[], None]:
    """Return a function that makes a training step under bfloat16 autocast, and waits until the device has finished."""
    module.to(images.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # as above
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)
    forward: Model = torch.compile(module) if compiled else module

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(forward(images), classes)
        torch.autograd.backward(loss)
        optimizer.step()
        if images.is_cuda:
            torch.cuda.synchronize(images.device)

    return step


def speed(job: Job) -> Figures:
    """Time the nets that `tools/peers.py` has in plain PyTorch."""
    rows = []
    for net in [net for net in job.nets if net in PEERS]:
        for batch in job.batches:
            ours = onnxruntime_times(job, net, batch)
            theirs = torch_times(job, net, batch)
            times = min(theirs.values()) / min(ours.values())
            cells = [milliseconds({**ours, **theirs}.get(variant)) for variant in VARIANTS]
            rows.append([net, str(batch), *cells, f"{times:.2f}"])
            print(f"timed {net}, batch {batch}", file=sys.stderr)
    headings = ["net", ">batch", *(f">{variant}" for variant in VARIANTS), ">times"]
    return Figures(f"Speed on {job.device}", SPEED.format(runs=job.runs), Table(headings, rows))


VARIANTS = ["onnxruntime", "with CUDA graph", "PyTorch", "torch.compile", "with CUDA graphs"]


def onnxruntime_times(job: Job, net: str, batch: int) -> dict[str, float]:
    """Return the median seconds of each variant; the model has a fixed batch size, which a CUDA graph needs."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "net.onnx")
        netdsl.compile(net, model, batch=batch)
        times = {}
        for variant, graph in (("onnxruntime", False), ("with CUDA graph", True)):
            if job.on_gpu or not graph:
                plan = Plan(runs=job.runs, warmup=WARMUP, binding=True, cuda_graph=graph)
                times[variant] = bench(model, job.device, plan).percentile(50)
    return times


def torch_times(job: Job, net: str, batch: int) -> dict[str, float]:
    """Return the median seconds of each variant."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    images = torch.rand(batch, *SHAPES[net]).to(job.device, memory_format=torch.channels_last)
    eager = PEERS[net]().eval().to(job.device)
    eager.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch documents it, its types lack it
    variants: dict[str, Callable[[], Model]] = {"PyTorch": lambda: eager}
    if job.compiled:
        variants["torch.compile"] = lambda: torch.compile(eager)
    if job.compiled and job.on_gpu:
        variants["with CUDA graphs"] = lambda: torch.compile(eager, mode="reduce-overhead")
    times = {}
    for variant, prepare in variants.items():
        torch.compiler.reset()
        model = prepare()
        with torch.inference_mode():
            for _ in range(WARMUP):
                seconds(model, images)
            times[variant] = median(seconds(model, images) for _ in range(job.runs))
    return times


def seconds(model: Model, images: torch.Tensor) -> float:
    """Return the seconds that PyTorch takes for a batch, until the device has finished."""
    start = perf_counter()
    model(images)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return perf_counter() - start


def milliseconds(time: float | None) -> str:
    """Return a time as a cell, or a dash for a variant that does not run on the device."""
    return "-" if time is None else f"{1000 * time:.3f}"


def device_facts(device: str) -> str:
    """Describe the device in a sentence.

    Raises:
        SystemExit: there is no such device.
    """
    if device == "cpu":
        return "This is a rehearsal on the CPU: it says nothing about a GPU."
    if not torch.cuda.is_available():
        raise SystemExit(f"`{device}` was asked for, and PyTorch {torch.__version__} finds no CUDA device here; "
                         "`--device cpu` rehearses without one")  # fmt: skip
    return f"The device is {torch.cuda.get_device_name(device)} with CUDA {torch.version.cuda}."


def main(words: list[str] | None = None) -> None:
    """Compare, time, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="`cuda`, `cuda:N`, or `cpu` for a rehearsal")
    parser.add_argument("--nets", nargs="+", metavar="NET", help="shipped nets (all)")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 16, 64], help="batch sizes to time (1 16 64)")
    parser.add_argument("--runs", type=int, default=50, help="timed runs of each (50)")
    parser.add_argument("--no-torch-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--train", choices=PEERS, default="resnet50", help="the net to train (resnet50)")
    parser.add_argument("--train-batch", type=int, default=128, help="the number of images of a training step (128)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as a page of the documentation")
    given = parser.parse_args(words)
    device = device_facts(given.device)
    facts = f"{environment(['netdsl', 'onnxruntime', 'onnxruntime-gpu', 'torch'])} {device}"
    print(facts, end="\n\n")
    nets = given.nets or [entry.name for entry in entries()]
    compiled = not given.no_torch_compile
    job = Job(given.device, nets, given.batch, given.runs, compiled, given.train, given.train_batch)
    sections = []
    try:
        for part in (verified, agreement, speed, training):
            sections.append(part(job))
            print(sections[-1].text())
    except NetdslError as error:
        raise SystemExit(str(error)) from error
    if given.markdown:
        write_page(given.markdown, "On a GPU", "python tools/gpu.py --markdown docs/gpu_figures.md", facts, sections)


if __name__ == "__main__":
    main()
