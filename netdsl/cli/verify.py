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
    """Parse whole numbers from 1, separated by commas."""
    words = text.split(",")
    if not all(word.isascii() and word.isdecimal() and 0 < int(word) <= MAX_BATCH for word in words):
        raise click.BadParameter(f"expected whole numbers above 0, separated by commas, got `{text}`")
    return tuple(map(int, words))


def _batches(ctx: click.Context, param: click.Parameter, text: str) -> tuple[int, ...]:
    return _numbers(text)


def _sizes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    sizes = {}
    for text in given:
        name, equals, numbers = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"expected NAME=NUMBER,NUMBER, got `{text}`")
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
    help="Values to try for a size that the net leaves open; can be repeated.",
)
@click.option("--half", is_flag=True, help="Run PyTorch in float16, too.")
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    help="The allowed relative difference; the default is 1e-4 in float32 and 1e-2 in float16.",
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
    """Compare the results of PyTorch and onnxruntime for NET.

    All runs are compared with PyTorch in float64: PyTorch in the net's own element types, and onnxruntime on the layers
    as they are written (-O0) and as they are optimized (-O1). Weights and inputs are random by default. The exit code
    is 1 if any output differs by more than is allowed: by 1e-4 of its largest value in float32, or by 10 times the
    rounding of PyTorch in the same types, if that is more.
    """
    if inputs is not None:
        if inputs.suffix != ".npz" and str(inputs) != "-":
            raise click.BadParameter("expected a file that ends in .npz", param_hint="--inputs")
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
