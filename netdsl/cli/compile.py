"""`netdsl compile`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from netdsl.base.terminal import progress, say, say_text, watched
from netdsl.cli.common import (
    MAX_BATCH,
    allow_option,
    complete_net,
    echo_json,
    format_option,
    key_option,
    map_option,
    set_option,
    show_loaded,
    show_warnings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.weights.initial import Array

PRINTED = Path("-")
"""The value of `-o` that prints source to the terminal."""
MIN_PROGRESS_BYTES = 200_000_000
"""The size of weights in bytes above which a terminal shows a progress bar."""


STAGES = ("tree", "graph", "optimized", "onnx")


def _stage(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    if text is None or text in STAGES:
        return text
    from netdsl.passes import PASSES

    known = [*STAGES, *(f"after:{name}" for name in PASSES)]
    if text not in known:
        raise click.BadParameter(f"expected {', '.join(known)}, got `{text}`")
    return text


@click.command()
@click.argument("net", shell_complete=complete_net)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, or - to print source; the default is NET.onnx or NET.py.",
)
@click.option(
    "--to",
    "target",
    type=click.Choice(["onnx", "pytorch"]),
    default="onnx",
    show_default=True,
    help="What to write: a model with weights, or the Python source of a PyTorch module.",
)
@click.option(
    "-O",
    "level",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="0 writes the layers as they are, 1 optimizes for inference.",
)
@click.option("--training", is_flag=True, help="Keep dropout, batch norm and auxiliary heads as in training.")
@click.option("--opset", type=int, help="The opset, from 13 to 21; the default is the lowest that suits all layers.")
@click.option("--batch", type=click.IntRange(1, MAX_BATCH), help="A fixed batch size; open by default.")
@click.option("--weights", "file", type=click.Path(path_type=Path), help="A checkpoint to take the weights from.")
@key_option
@map_option
@click.option("--partial", is_flag=True, help="Take what fits in the checkpoint; the rest keeps initial values.")
@click.option(
    "--init",
    "scheme",
    type=click.Choice(["pytorch", "he", "xavier", "normal"]),
    default="pytorch",
    show_default=True,
    help="The distribution of the initial weights.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The random seed of the initial weights.")
@click.option("--external-data", is_flag=True, help="Write the weights to a second file beside the model.")
@click.option(
    "--emit",
    "stage",
    metavar="STAGE",
    callback=_stage,
    help="Print a stage instead of writing a model: tree, graph, optimized, onnx, or after:PASS for the graph after "
    "one pass.",
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@set_option
@allow_option
@format_option
def compile(  # noqa: A001 - the command's name
    *,
    net: str,
    output: Path | None,
    target: str,
    level: int,
    training: bool,
    opset: int | None,
    batch: int | None,
    file: Path | None,
    key: str | None,
    renamed: dict[str, str],
    partial: bool,
    scheme: Any,
    seed: int,
    external_data: bool,
    stage: str | None,
    quiet: bool,
    arguments: dict[str, Any],
    allowed: frozenset[str],
    form: str,
) -> None:
    """Compile NET to an ONNX model, or to PyTorch source.

    The model has initial weights, or those of a checkpoint: safetensors, .npz, PyTorch's, or another ONNX model.
    """
    start = perf_counter()
    if form == "json" and (target == "pytorch" or stage is not None):
        raise click.UsageError("--format json describes a model that is written")
    quiet = quiet or form == "json"
    if target == "pytorch":
        _need_no_model_options()
        _write_source(net, arguments, output, None if quiet else start, allowed)
        return
    if output == PRINTED:
        raise click.UsageError("`-o -` prints source, with --to pytorch; a model is written to a file")
    if file is None and (key is not None or renamed or partial):
        raise click.UsageError("--key, --map and --partial belong to --weights")
    if stage is not None:
        if output is not None or file is not None:
            raise click.UsageError("--emit prints to the terminal; -o and --weights belong to a model that is written")
        if stage.startswith("after:") and (training or not level):
            raise click.UsageError("--emit after:PASS needs -O1 and no --training: otherwise no pass runs")
        from netdsl.compiler import emit

        say_text(emit(net, stage, arguments, level=level, training=training, opset=opset, batch=batch))
        return
    from netdsl.api import Network
    from netdsl.compiler import Options, check
    from netdsl.weights.initial import Initializer
    from netdsl.weights.trained import restored_text

    network = Network(check(net, arguments))
    if not quiet:
        show_warnings(network.warnings, allowed)
    drawn = Initializer(scheme, seed)
    graph, files = network.write_onnx(
        output if output is not None else Path(f"{network.name}.onnx"),
        Options(level=level, training=training, opset=opset, batch=batch),
        drawn if file is None else file,
        external=external_data or None,
        watch=_watched,
        loaded=(lambda _: None) if quiet else lambda found: show_loaded(found, allowed),
        **({} if file is None else {"key": key, "rename": renamed, "partial": partial, "initial": drawn}),
    )
    if form == "json":
        warnings = [warning.as_json() for warning in network.warnings if warning.code not in allowed]
        echo_json({**_figures(files, graph, training, perf_counter() - start, file), "diagnostics": warnings})
    elif not quiet:
        say(_report(files, graph, training, perf_counter() - start, file))
        if restored := restored_text(network.graph, graph):
            say(f"as it was trained: {restored}")


def _need_no_model_options() -> None:
    """Refuse options of an ONNX model if none is written."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT
        if given and option.name not in ("net", "output", "target", "quiet", "arguments", "allowed"):
            raise click.UsageError(f"{option.opts[-1]} belongs to ONNX; --to pytorch writes source without weights")


def _write_source(
    net: str, arguments: dict[str, Any], output: Path | None, start: float | None, allowed: frozenset[str]
) -> None:
    """Write a net as Python source, and report it unless `start` is None."""
    from netdsl.api import Network
    from netdsl.compiler import check

    network = Network(check(net, arguments))
    path = output if output is not None else Path(f"{network.name}.py")
    if start is not None:
        show_warnings(network.warnings, allowed)
    text = network.to_torch_source(None if path == PRINTED else path)
    if path == PRINTED:
        say_text(text.removesuffix("\n"))
    elif start is not None:
        say(f"{path}: {len(text.splitlines())} lines, {perf_counter() - start:.2f} s")


def _report(files: Iterable[Path], graph: Graph, training: bool, seconds: float, weights: Path | None) -> str:
    """Describe what was written, with the parameters of its graph: auxiliary heads belong only to training."""
    from netdsl.base.table import exact, size

    params = _params(graph, training)
    written = " and ".join(f"{file} ({size(file.stat().st_size)})" for file in files)
    source = f" from {weights}" if weights is not None else ""
    return f"{written}: {exact(params)} parameters{source}, {seconds:.2f} s"


def _figures(
    files: Iterable[Path], graph: Graph, training: bool, seconds: float, weights: Path | None
) -> dict[str, Any]:
    """Return what was written as a JSON object; sizes are in bytes."""
    return {
        "files": [{"path": str(file), "bytes": file.stat().st_size} for file in files],
        "params": _params(graph, training),
        "weights": None if weights is None else str(weights),
        "seconds": round(seconds, 3),
    }


def _params(graph: Graph, training: bool) -> int:
    from netdsl.analysis.summarize import summarize

    summary = summarize(graph)
    return summary.totals.params + (summary.aux.params if training else 0)


@contextmanager
def _watched(weights: Callable[[Param], Array], graph: Graph) -> Iterator[Callable[[Param], Array]]:
    """Return `weights`, with a progress bar on a terminal if drawing and writing them takes long."""
    total = sum(param.spec.elements * param.spec.dtype.bytes for param in graph.params.values())
    if total < MIN_PROGRESS_BYTES or not watched():
        yield weights
        return
    with progress(total, "writing weights") as advance:

        def draw(param: Param) -> Array:
            array = weights(param)
            advance(array.nbytes)
            return array

        yield draw
