"""Benchmarks: latency, throughput, arithmetic rate, and which provider runs each node."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import read_file, reading
from netdsl.base.packages import need
from netdsl.ir.meaning import Pixels, Tokens
from netdsl.runtime.devices import PROVIDERS
from netdsl.runtime.session import Session
from netdsl.runtime.sizes import computed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from netdsl.runtime.ports import Port

MAX_INPUT_BYTES = 2**31
"""The largest size of the random inputs of one run in bytes; a model in one file is no larger."""

MAX_PROFILE_BYTES = 2**30
"""The largest size of onnxruntime's profile in bytes."""

Feeds = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Timing:
    """The result of a benchmark.

    Attributes:
        device: the device that ran the model.
        batch: the number of samples per run.
        seconds: the duration of each run, in order.
        nodes: the number of nodes that each provider ran.
        macs: multiply-accumulates per sample; None if unknown.
    """

    device: str
    batch: int
    seconds: tuple[float, ...]
    nodes: dict[str, int]
    macs: int | None

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latency, in seconds."""
        return float(np.percentile(self.seconds, percent))

    @property
    def throughput(self) -> float:
        """Samples per second over all runs."""
        return self.batch * len(self.seconds) / sum(self.seconds)

    @property
    def flops(self) -> float | None:
        """Floating-point operations per second at the median latency: two for each multiply-accumulate."""
        return None if self.macs is None else 2 * self.macs * self.batch / self.percentile(50)

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object; times are in seconds."""
        return {
            "device": self.device,
            "batch": self.batch,
            "runs": len(self.seconds),
            **{f"p{percent}": self.percentile(percent) for percent in (50, 90, 99)},
            "throughput": self.throughput,
            "macs": self.macs,
            "flops": self.flops,
            "nodes": self.nodes,
        }


@dataclass(frozen=True)
class Plan:
    """The settings of a benchmark.

    Attributes:
        batch: the number of samples per run; None takes the model's own batch size, or 1.
        sizes: the values of all other sizes that the model leaves open.
        runs: the number of timed runs.
        warmup: the number of runs before them.
        binding: keep inputs and outputs on the device; otherwise every run copies them.
        tf32: see `Session`.
        cuda_graph: see `Session`; requires `binding`.
    """

    batch: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    runs: int = 100
    warmup: int = 10
    binding: bool = False
    tf32: bool = True
    cuda_graph: bool = False


def bench(model: Path, device: str, plan: Plan) -> Timing:
    """Measure a model on random inputs.

    Args:
        model: an ONNX file.
        device: as in `Session`.
        plan: the settings.

    Raises:
        NetdslError: the model or the device cannot be used, or a size is missing (E0906).
    """
    with tempfile.TemporaryDirectory() as directory:
        profiled = Session(model, device, tf32=plan.tf32, profile=str(Path(directory) / "profile"))
        feeds = random_feeds(profiled, plan)
        outputs = profiled.run(feeds)
        profile = read_file(profiled.ort.end_profiling(), MAX_PROFILE_BYTES)
    with reading(model, "E0905", "a model whose names onnxruntime can list", "give its nodes plain names"):
        nodes = _nodes_by_provider(json.loads(profile))
    session = Session(model, device, tf32=plan.tf32, cuda_graph=plan.cuda_graph)
    run = _bound(session, feeds, outputs) if plan.binding else lambda: session.ort.run(None, feeds)
    try:
        for _ in range(plan.warmup):
            run()
        seconds = tuple(_seconds(run) for _ in range(plan.runs))
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise session.run_error(error) from error
    batch = next(iter(feeds.values())).shape[0]
    text = session.metadata.get("netdsl.macs", "")  # a formula if sizes are open
    macs = int(text) if re.fullmatch("[0-9]{1,30}", text) else None
    return Timing(str(session.device), batch, seconds, nodes, macs)


def random_feeds(session: Session, plan: Plan, seed: int = 0) -> Feeds:
    """Return a random array for every input: pixels, valid tokens, floats from 0 to 1, or zeros and ones."""
    session.need_samples()
    random = np.random.default_rng(seed)
    samples = session.inputs[0].shape[0]
    if isinstance(samples, int) and plan.batch not in (None, samples):
        raise session.input_error(f"expected the model's fixed batch size {samples}, got {plan.batch}")
    session.need_open(plan.sizes)
    sizes = plan.sizes if isinstance(samples, int) else {**plan.sizes, samples: plan.batch or 1}
    shapes = {port: _shape(session, port, sizes) for port in session.inputs}
    size = sum(prod(shape) * np.dtype(np.float32).itemsize for shape in shapes.values())
    if size > MAX_INPUT_BYTES:
        raise session.input_error(f"expected inputs of at most {MAX_INPUT_BYTES:,} bytes, got {size:,}",
                                  "measure with a smaller `--batch` or `--size`")  # fmt: skip
    return {port.name: _random(random, shape, port) for port, shape in shapes.items()}


def _shape(session: Session, port: Port, sizes: Mapping[str, int]) -> tuple[int, ...]:
    found = [sizes.get(size, computed(size, sizes)) if isinstance(size, str) else size for size in port.shape]
    if missing := [size for size, value in zip(port.shape, found, strict=True) if value is None]:
        raise fail(
            "E0906",
            f"`{session.path}` leaves the size `{missing[0]}` of {port} open",
            help=f"set it: `{' '.join(f'--size {name}=224' for name in missing)}`",
        )
    return tuple(size for size in found if size is not None)


def _random(random: np.random.Generator, shape: tuple[int, ...], port: Port) -> np.ndarray[Any, Any]:
    asks = port.asks
    if "float" in port.dtype:
        most = asks.most if isinstance(asks, Pixels) else 1
        return (most * random.random(shape, np.float32)).astype(port.dtype)
    above = asks.count if isinstance(asks, Tokens) else asks.most + 1 if isinstance(asks, Pixels) else 2
    return random.integers(0, above, shape).astype(port.dtype)


def _bound(session: Session, feeds: Feeds, outputs: Feeds) -> Callable[[], None]:
    """Return a function that runs the model with inputs and outputs at fixed addresses on the device."""
    onnxruntime = need("onnxruntime", "running a model")

    kind, ordinal = ("cpu", 0) if session.device.kind == "cpu" else ("cuda", session.device.ordinal)
    binding = session.ort.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, kind, ordinal))
    for name, array in outputs.items():
        space = onnxruntime.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, kind, ordinal)
        binding.bind_ortvalue_output(name, space)

    def run() -> None:
        session.ort.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def _seconds(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def _nodes_by_provider(events: list[dict[str, Any]]) -> dict[str, int]:
    """Count the nodes that each provider ran, from the events of a profile; providers are named as in `PROVIDERS`."""
    short = {provider: name for name, provider in PROVIDERS.items()}
    ran = {
        (event["name"], event["args"]["provider"])
        for event in events
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return dict(Counter(short.get(provider, provider) for _, provider in ran).most_common())
