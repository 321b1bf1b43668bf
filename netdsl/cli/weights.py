"""`netdsl weights`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from netdsl.base.diagnostics import Diagnostic
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
    fit_json, difference = None, None
    if net is None:
        checkpoint = open_checkpoint(file, key).renamed(renamed)
        notes = checkpoint.notes
    else:
        fit = fitted(file, check(net, arguments).graph, key=key, rename=renamed, training=training)
        checkpoint, notes = fit.checkpoint, fit.taken
        fit_json, difference = _fit_as_json(fit)
    if output is not None and difference is None:
        write_checkpoint(checkpoint, output)
    if form == "json":
        echo_json(_as_json(checkpoint, notes) | ({} if net is None else {"fit": fit_json}))
    else:
        say_text(_text(checkpoint, notes))
        if difference is not None:
            show_diagnostics([difference])
        elif fit_json is not None:
            say(f"fit      {fit_json['net']}: {fit_json['matched']} of {fit_json['matched']} parameters")
    return 0 if difference is None else 1


def _fit_as_json(fit: Fit) -> tuple[dict[str, Any], Diagnostic | None]:
    """Return how the file fits a net, as JSON, and the difference if there is one."""
    fit_json: dict[str, Any] = {
        "net": fit.graph.name,
        "matched": len(fit.fitting),
        "missing": [param.name for param in fit.missing],
        "unexpected": list(fit.unexpected),
        "wrong": [param.name for param, _ in fit.wrong],
    }
    difference = None if fit.whole else fit.as_error()
    return fit_json | {"diagnostics": [difference.as_json()] if difference else []}, difference


def _as_json(checkpoint: Checkpoint, notes: tuple[str, ...]) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": list(tensor.shape), "type": tensor.dtype, "bytes": tensor.bytes}
        for name, tensor in checkpoint.tensors.items()
    ]
    totals = {"tensors": len(tensors), "elements": _elements(checkpoint), "bytes": _bytes(checkpoint)}
    kind = {"file": str(checkpoint.path), "kind": checkpoint.kind, "notes": list(notes)}
    return kind | {"tensors": tensors, "totals": totals}


def _text(checkpoint: Checkpoint, notes: tuple[str, ...]) -> str:
    from netdsl.base.diagnostics import visible
    from netdsl.base.table import Table, exact, size
    from netdsl.ir.types import format_shape

    rows = [
        [visible(name), format_shape(tensor.shape), tensor.dtype, size(tensor.bytes)]
        for name, tensor in checkpoint.tensors.items()
    ]
    count = f"{len(rows):,} ({checkpoint.kind})"
    totals = [f"tensors  {count}", f"values   {exact(_elements(checkpoint))} ({size(_bytes(checkpoint))})"]
    note_lines = [f"note     {visible(note)}" for note in notes]
    return f"{Table(['name', '>shape', 'type', '>size'], rows).text()}\n\n" + "\n".join([*totals, *note_lines])


def _elements(checkpoint: Checkpoint) -> int:
    return sum(tensor.elements for tensor in checkpoint.tensors.values())


def _bytes(checkpoint: Checkpoint) -> int:
    return sum(tensor.bytes for tensor in checkpoint.tensors.values())
