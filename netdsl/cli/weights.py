"""`netdsl weights`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netdsl.base.terminal import say, say_text
from netdsl.cli.common import (
    claim_output,
    complete_net,
    echo_json,
    format_option,
    key_option,
    map_option,
    set_option,
    show_diagnostics,
)

if TYPE_CHECKING:
    from netdsl.weights.checkpoint import Checkpoint
    from netdsl.weights.comparison import Fit


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--net", help="Compare the file with this NET.", shell_complete=complete_net)
@click.option("--training", is_flag=True, help="Compare the file with the training graph, which has auxiliary heads.")
@key_option
@map_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the weights as .safetensors or .npz.")
@set_option
@format_option
def weights(
    *,
    file: Path,
    net: str | None,
    training: bool,
    key: str | None,
    renamed: dict[str, str],
    output: Path | None,
    arguments: dict[str, object],
    form: str,
) -> int:
    """List, compare and convert the weights in FILE.

    FILE is a safetensors file, numpy's .npz, a PyTorch checkpoint (.pt, .pth, .bin, .ckpt; needs PyTorch), an ONNX
    model, or the index of a checkpoint in shards (.index.json) or its folder.
    If the weights do not fit the net, the exit code is 1 and nothing is written.
    """
    from netdsl.compiler import check
    from netdsl.weights.fitting import fitted
    from netdsl.weights.opening import open_checkpoint
    from netdsl.weights.writing import write_checkpoint

    if net is None and (arguments or training):
        raise click.UsageError("--set and --training belong to --net")
    if output is not None:
        claim_output(output, "weights", [file])
    if net is None:
        fit = None
        checkpoint = open_checkpoint(file, key).renamed(renamed)
    else:
        fit = fitted(file, check(net, arguments).graph, key=key, rename=renamed, training=training)
        checkpoint = replace(fit.checkpoint, notes=fit.taken)
    fits = fit is None or fit.whole
    if output is not None and fits:
        write_checkpoint(checkpoint, output)
    if form == "json":
        echo_json(checkpoint.as_json() | ({} if fit is None else {"fit": fit.as_json()}))
    else:
        say_text(_text(checkpoint))
        if fit is not None:
            _show_fit(fit)
    return 0 if fits else 1


def _show_fit(fit: Fit) -> None:
    """Print how the file fits the net."""
    if fit.whole:
        say(f"fit      {fit.graph.name}: {len(fit.fitting)} of {len(fit.fitting)} parameters")
    else:
        show_diagnostics([fit.as_error()])


def _text(checkpoint: Checkpoint) -> str:
    from netdsl.base.diagnostics import visible
    from netdsl.base.table import Table, exact, size
    from netdsl.ir.types import format_shape

    rows = [
        [visible(name), format_shape(tensor.shape), tensor.dtype, size(tensor.bytes)]
        for name, tensor in checkpoint.tensors.items()
    ]
    count = f"{len(rows):,} ({checkpoint.kind})"
    totals = [f"tensors  {count}", f"values   {exact(checkpoint.elements)} ({size(checkpoint.bytes)})"]
    note_lines = [f"note     {visible(note)}" for note in checkpoint.notes]
    return f"{Table(['name', '>shape', 'type', '>size'], rows).text()}\n\n" + "\n".join([*totals, *note_lines])
