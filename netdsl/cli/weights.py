"""`netdsl weights`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.common import (
    claim_output,
    complete_net,
    echo_json,
    format_option,
    map_option,
    set_option,
    show_diagnostics,
)

if TYPE_CHECKING:
    from netdsl.checkpoints import Checkpoint
    from netdsl.diagnostics import Diagnostic


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--net", help="Compare the file with this NET.", shell_complete=complete_net)
@click.option("--training", is_flag=True, help="Compare it with the training graph: auxiliary heads are needed.")
@map_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the weights as .safetensors or .npz.")
@set_option
@format_option
def weights(
    file: Path,
    net: str | None,
    training: bool,
    renamed: dict[str, str],
    output: Path | None,
    arguments: dict[str, object],
    form: str,
) -> int:
    """List, compare and convert the weights in FILE.

    FILE is a safetensors file, numpy's .npz, a PyTorch checkpoint (.pt, .pth, .bin, .ckpt; needs PyTorch) or an ONNX
    model. Where the weights do not fit the net, the exit code is 1 and nothing is written.
    """
    from netdsl.checkpoints import open_checkpoint, write_checkpoint

    if net is None and (arguments or training):
        raise click.UsageError("--set and --training belong to --net")
    if output is not None:
        claim_output(output, "weights", [file])
    checkpoint = open_checkpoint(file).renamed(renamed)
    told, difference = (None, None) if net is None else _compared(checkpoint, net, arguments, training)
    if output is not None and difference is None:
        write_checkpoint(checkpoint, output)
    if form == "json":
        echo_json(_as_json(checkpoint) | ({} if net is None else {"fit": told}))
    else:
        click.echo(_text(checkpoint))
        if difference is not None:
            show_diagnostics([difference])
        elif told is not None:
            click.echo(f"fit      {told['net']}: {told['matched']} of {told['matched']} parameters")
    return 0 if difference is None else 1


def _compared(
    checkpoint: Checkpoint, net: str, arguments: dict[str, object], training: bool
) -> tuple[dict[str, Any], Diagnostic | None]:
    """How the file fits a net, as JSON, and the difference if there is one."""
    from netdsl.checkpoints import compare
    from netdsl.compiler import check

    graph = check(net, arguments).graph
    found = compare(checkpoint, graph, training=training)
    told: dict[str, Any] = {
        "net": graph.name,
        "matched": len(found.fitting),
        "missing": [param.name for param in found.missing],
        "unexpected": list(found.unexpected),
        "wrong": [param.name for param, _ in found.wrong],
    }
    difference = None if found.whole else found.as_error()
    return told | {"diagnostics": [difference.as_json()] if difference else []}, difference


def _as_json(checkpoint: Checkpoint) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": list(tensor.shape), "type": tensor.dtype, "bytes": tensor.bytes}
        for name, tensor in checkpoint.tensors.items()
    ]
    totals = {"tensors": len(tensors), "elements": _elements(checkpoint), "bytes": _bytes(checkpoint)}
    kind = {"file": str(checkpoint.path), "kind": checkpoint.kind, "notes": list(checkpoint.notes)}
    return kind | {"tensors": tensors, "totals": totals}


def _text(checkpoint: Checkpoint) -> str:
    from netdsl.diagnostics import visible
    from netdsl.ir.types import format_shape
    from netdsl.table import Table, exact, size

    rows = [
        [visible(name), format_shape(tensor.shape), tensor.dtype, size(tensor.bytes)]
        for name, tensor in checkpoint.tensors.items()
    ]
    count = f"{len(rows):,} ({checkpoint.kind})"
    totals = [f"tensors  {count}", f"values   {exact(_elements(checkpoint))} ({size(_bytes(checkpoint))})"]
    notes = [f"note     {visible(note)}" for note in checkpoint.notes]
    return f"{Table(['name', '>shape', 'type', '>size'], rows).text()}\n\n" + "\n".join([*totals, *notes])


def _elements(checkpoint: Checkpoint) -> int:
    return sum(tensor.elements for tensor in checkpoint.tensors.values())


def _bytes(checkpoint: Checkpoint) -> int:
    return sum(tensor.bytes for tensor in checkpoint.tensors.values())
