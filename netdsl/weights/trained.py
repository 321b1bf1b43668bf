"""Loading a trained net: its weights, and what the file says of its inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netdsl.passes.restore import named, need_labels, restored
from netdsl.weights.loading import weights_from

if TYPE_CHECKING:
    import os

    from netdsl.ir.graph import Graph
    from netdsl.ir.meaning import Meaning
    from netdsl.weights.loading import CheckpointWeights


def load_trained(
    path: str | os.PathLike[str], graph: Graph, *, labels: bool = True, **options: Any
) -> tuple[Graph, CheckpointWeights]:
    """Load a net's weights, and restore the net as the file says that it was trained.

    The restored net has the normalization, the meaning of inputs and outputs, and the class names of the file. With
    `partial`, if some parameters keep initial values, the class names stay those of the net.

    Args:
        path: a checkpoint, as in `weights_from`.
        graph: the net as it is written.
        labels: whether the class names must be those of the file.
        options: those of `weights_from`.

    Raises:
        NetdslError: the file cannot be read or does not fit, as in `weights_from`, or the net has another normalization
            or other class names than the file (E0912).
    """
    weights = weights_from(path, graph, **options)
    meaning = weights.fit.checkpoint.meaning
    if meaning is None:
        return graph, weights
    if labels and not options.get("partial"):
        need_labels(graph, meaning.labels, str(path))
    graph = restored(graph, meaning, str(path), partial=bool(options.get("partial")))
    return (named(graph, meaning.labels) if labels and has_all(weights) else graph), weights


def has_all(weights: CheckpointWeights) -> bool:
    """Whether no parameter keeps initial values."""
    return not (weights.fit.missing or weights.fit.wrong)


def labels_of(weights: CheckpointWeights) -> tuple[str, ...]:
    """Return the class names of a file; none if some parameters keep initial values."""
    meaning: Meaning | None = weights.fit.checkpoint.meaning
    return meaning.labels if meaning is not None and has_all(weights) else ()


def restored_text(before: Graph, after: Graph) -> str:
    """Describe what a file adds to the net that is not written in it; empty if it adds nothing."""
    changes = []
    if len(after.nodes) != len(before.nodes):
        changes.append(f"mean {_numbers(after.meaning.mean)} and deviation {_numbers(after.meaning.std)} of the input")
    if after.labels != before.labels:
        changes.append(f"{len(after.labels)} names of classes")
    for name, takes in after.meaning.inputs.items():
        if takes != before.meaning.inputs.get(name) and str(takes) == "numbers":
            changes.append(f"`{name}` takes {takes}")
    for name, gives in after.meaning.outputs.items():
        if gives is not before.meaning.outputs.get(name):
            changes.append(f"`{name}` gives {gives.value}")
    return ", ".join(changes)


def _numbers(values: tuple[float, ...]) -> str:
    shown = [f"{value:.4g}" for value in values[:4]]
    return ", ".join(shown) + (", ..." if len(values) > 4 else "")
