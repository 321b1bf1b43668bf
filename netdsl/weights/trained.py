"""A net with the weights of a file, as the net was that they are of."""

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
    """The values of a net's parameters out of a file, and the net as the file says that it was trained.

    It normalizes its input by the same numbers, takes and gives the same, and has the same names of classes, unless it
    keeps initial values somewhere (`partial`): then its classes are its own.

    Args:
        path: a checkpoint, as `weights_from` takes it.
        graph: the net as it was written.
        labels: whether the names of the classes must be those of the file.
        options: those of `weights_from`.

    Raises:
        NetdslError: the file cannot be read or does not fit, as `weights_from` says, or the net normalizes its input in
            another way, or has other names of classes (E0912).
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
    """The names of the classes that a file has weights for; none where some weights keep initial values."""
    meaning: Meaning | None = weights.fit.checkpoint.meaning
    return meaning.labels if meaning is not None and has_all(weights) else ()


def restored_text(before: Graph, after: Graph) -> str:
    """What a file has told of a net, in words; empty where it told nothing that is not written in the net."""
    told = []
    if len(after.nodes) != len(before.nodes):
        told.append(f"mean {_numbers(after.meaning.mean)} and deviation {_numbers(after.meaning.std)} of the input")
    if after.labels != before.labels:
        told.append(f"{len(after.labels)} names of classes")
    for name, takes in after.meaning.inputs.items():
        if takes != before.meaning.inputs.get(name) and str(takes) == "numbers":
            told.append(f"`{name}` takes {takes}")
    for name, gives in after.meaning.outputs.items():
        if gives is not before.meaning.outputs.get(name):
            told.append(f"`{name}` gives {gives.value}")
    return ", ".join(told)


def _numbers(values: tuple[float, ...]) -> str:
    shown = [f"{value:.4g}" for value in values[:4]]
    return ", ".join(shown) + (", ..." if len(values) > 4 else "")
