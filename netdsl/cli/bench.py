"""`netdsl bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netdsl.base.terminal import say_text
from netdsl.cli.common import (
    MAX_BATCH,
    complete_net,
    device_option,
    echo_json,
    format_option,
    set_option,
    size_option,
)

if TYPE_CHECKING:
    from netdsl.runtime.bench import Timing


@click.command()
@click.argument("model", shell_complete=complete_net)
@click.option("--batch", type=click.IntRange(1, MAX_BATCH), help="Samples per run; the default is 1.")
@size_option("The value of a size that the model leaves open; can be repeated.")
@click.option("--runs", type=click.IntRange(min=1), default=100, show_default=True, help="The number of timed runs.")
@click.option("--warmup", type=click.IntRange(min=0), default=10, show_default=True, help="The number of runs before.")
@click.option(
    "--io-binding/--no-io-binding",
    "binding",
    default=None,
    help="Keep inputs and outputs on the device; the default on GPUs.",
)
@click.option("--cuda-graph", is_flag=True, help="Record the kernels once and replay them (GPU, with --io-binding).")
@click.option("--tf32/--no-tf32", default=True, show_default=True, help="Let CUDA round float32 factors to TF32.")
@set_option
@device_option
@format_option
def bench(
    *,
    model: str,
    batch: int | None,
    sizes: dict[str, int],
    runs: int,
    warmup: int,
    binding: bool | None,
    cuda_graph: bool,
    tf32: bool,
    arguments: dict[str, object],
    device: str,
    form: str,
) -> None:
    """Measure MODEL, an ONNX file or a net, on random inputs."""
    on_device = binding if binding is not None else device != "cpu"
    if cuda_graph and (not on_device or device == "cpu"):
        raise click.UsageError("--cuda-graph needs a GPU and --io-binding: the recorded addresses must not change")
    compiled = _is_model(model)
    if compiled and arguments:
        raise click.UsageError("--set belongs to a net; the model is compiled already")
    from netdsl.runtime.bench import Plan
    from netdsl.runtime.bench import bench as measure

    plan = Plan(batch, sizes, runs, warmup, on_device, tf32, cuda_graph)
    if compiled:
        timing = measure(Path(model), device, plan)
    else:
        from netdsl.api import Network
        from netdsl.compiler import check

        timing = Network(check(model, arguments)).bench(device, plan)
    if form == "json":
        echo_json({"model": model, **timing.as_json()})
    else:
        say_text(_text(model, timing))


def _is_model(model: str) -> bool:
    """Whether this is an ONNX file by its name, or on standard input by its first byte, which no text file has."""
    from netdsl.base.files import is_standard_input, open_file

    if not is_standard_input(model):
        return model.endswith(".onnx")
    with open_file(model) as file:
        return file.read(1) == b"\x08"


def _text(model: str, timing: Timing) -> str:
    from netdsl.base.diagnostics import visible
    from netdsl.base.table import short

    times = [f"p{percent} {1000 * timing.percentile(percent):.3f} ms" for percent in (50, 90, 99)]
    nodes = ", ".join(f"{count} on {provider}" for provider, count in timing.nodes.items())
    lines = [
        f"{visible(model)} on {timing.device}, batch {timing.batch}, {len(timing.seconds)} runs",
        f"  latency     {', '.join(times)}",
        f"  throughput  {timing.throughput:,.1f} samples/s",
        *([f"  arithmetic  {short(timing.flops)}FLOP/s"] if timing.flops is not None else []),
        f"  nodes       {nodes}",
    ]
    return "\n".join(lines)
