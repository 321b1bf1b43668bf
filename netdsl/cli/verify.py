"""`netdsl verify`."""

from __future__ import annotations

from pathlib import Path

import click

from netdsl.base.terminal import say_text
from netdsl.cli.common import (
    MAX_BATCH,
    complete_net,
    device_option,
    echo_json,
    format_option,
    key_option,
    set_option,
    show_diagnostics,
    show_loaded,
)


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 with commas between."""
    words = text.split(",")
    if not all(word.isascii() and word.isdecimal() and 0 < int(word) <= MAX_BATCH for word in words):
        raise click.BadParameter(f"`{text}` is no whole number above 0, nor several with commas between")
    return tuple(map(int, words))


def _batches(ctx: click.Context, param: click.Parameter, text: str) -> tuple[int, ...]:
    return _numbers(text)


def _sizes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    sizes = {}
    for text in given:
        name, equals, numbers = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"`{text}` is not of the form NAME=NUMBER,NUMBER")
        sizes[name] = _numbers(numbers)
    return sizes


@click.command()
@click.argument("net", shell_complete=complete_net)
@click.option("--weights", "file", type=click.Path(path_type=Path), help="A checkpoint to take the weights from.")
@key_option
@click.option("--inputs", type=click.Path(path_type=Path), help="A .npz file with an array for each input.")
@click.option("--batch", "batches", default="1,3", callback=_batches, show_default=True, help="Batch sizes to try.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=NUMBER,...",
    callback=_sizes,
    help="Values to try for a size that the net leaves open; repeat it for several.",
)
@click.option("--half", is_flag=True, help="Run PyTorch in float16, too.")
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    help="The relative difference to allow; 1e-4 in float32 and 1e-2 in float16 unless given.",
)
@set_option
@device_option
@format_option
def verify(
    *,
    net: str,
    file: Path | None,
    key: str | None,
    inputs: Path | None,
    batches: tuple[int, ...],
    sizes: dict[str, tuple[int, ...]],
    half: bool,
    rtol: float | None,
    arguments: dict[str, object],
    device: str,
    form: str,
) -> int:
    """Compare what PyTorch and onnxruntime compute of NET.

    PyTorch in float64 is what all others are held to: PyTorch in the net's own element types, and onnxruntime with the
    layers as they were written (-O0) and as they are optimized (-O1). Weights and inputs are random, unless given. The
    exit code is 1 if any output differs by more than is allowed: by 1e-4 of its largest value in float32, or by 10
    times what rounding alone makes of PyTorch in the same types, if that is more.
    """
    if inputs is not None:
        if inputs.suffix != ".npz" and str(inputs) != "-":
            raise click.BadParameter("the name of the file must end in .npz", param_hint="--inputs")
        if sizes:
            raise click.UsageError("--size belongs to random inputs; those of --inputs have their own")
    if key is not None and file is None:
        raise click.UsageError("--key belongs to --weights")
    from netdsl.api import Network
    from netdsl.compiler import check

    found = Network(check(net, arguments)).verify(
        file, key=key, loaded=show_loaded, inputs=inputs, batches=batches, sizes=sizes, device=device, half=half,
        rtol=rtol,
    )  # fmt: skip
    if form == "json":
        echo_json(found.as_json())
    else:
        say_text(str(found))
        show_diagnostics(found.findings)
    return 0 if found.ok else 1
