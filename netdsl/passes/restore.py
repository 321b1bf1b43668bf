"""Restoring what a file of weights records about its net: the statistics of the data, and the meaning of the values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.ir.deciding import default_takes, endings, normalization
from netdsl.ir.meaning import Gives, Pixels, Tokens
from netdsl.passes.standardize import standardize

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph
    from netdsl.ir.meaning import Meaning, Takes

CLOSE = 1e-6
"""The relative difference below which statistics are equal: they were written and read as text."""


def restored(graph: Graph, meaning: Meaning, file: str, *, partial: bool = False) -> Graph:
    """Give a graph the normalization and the meaning of the net that its weights come from.

    Args:
        graph: the net as it was written.
        meaning: the meaning that the file of weights records.
        file: the file's name in errors.
        partial: whether the net may have another input, whose layers start untrained.

    Raises:
        NetdslError: the net normalizes its input in another way (E0912).
    """
    if meaning.mean and not (partial and not _has_channels(graph, meaning)):
        graph = _normalized(graph, meaning, file)
    inputs: dict[str, Takes] = dict(graph.meaning.inputs)
    for node in graph.inputs:
        takes = meaning.inputs.get(node.name)
        default = default_takes(node.type.shape, node.type.dtype.value)
        if takes is not None and not isinstance(takes, Tokens) and isinstance(default, Pixels):
            inputs[node.name] = takes
    ends = endings(graph)
    outputs = dict(graph.meaning.outputs)
    for name, node in graph.outputs.items():
        end = ends[node]
        if name in meaning.outputs and not (end is not None and end.normalized):  # a softmax of its own decides
            given = meaning.outputs[name]
            outputs[name] = _of_scores(given) if given.normalized else given
    return replace(graph, meaning=replace(graph.meaning, inputs=inputs, outputs=outputs))


def named(graph: Graph, labels: tuple[str, ...]) -> Graph:
    """Name the classes of a graph, if it has no names yet and as many classes as there are labels."""
    shape = next(iter(graph.outputs.values())).type.shape
    fit = shape[:1] == (len(labels),) or (shape[:1] == (1,) and len(labels) == 2)
    return replace(graph, labels=labels) if labels and fit and not graph.labels else graph


def need_labels(graph: Graph, labels: tuple[str, ...], file: str) -> None:
    """Refuse weights whose classes have other names than those of the net (E0912)."""
    if graph.labels and labels and graph.labels != labels:
        pairs = enumerate(zip(labels, graph.labels, strict=False))
        difference = next(
            (f"class {number} is called `{theirs}` in `{file}` and `{ours}` in the net"
             for number, (theirs, ours) in pairs if theirs != ours),
            f"`{file}` has {len(labels)} names of classes and the net {len(graph.labels)}",
        )  # fmt: skip
        raise fail(
            "E0912", difference, help="give the net the `labels` of the weights, or none; `--partial` keeps its own"
        )


def _normalized(graph: Graph, meaning: Meaning, file: str) -> Graph:
    if len(graph.inputs) != 1:
        names = ", ".join(f"`{node.name}`" for node in graph.inputs)
        raise fail("E0912", f"`{file}` is of a net that normalizes its one input, and `{graph.name}` has {names}",
                   help="give weights of a net with these inputs")  # fmt: skip
    (source,) = graph.inputs
    if not _has_channels(graph, meaning):
        raise fail("E0912", f"`{file}` is of a net that normalizes {len(meaning.mean)} channels, and the input of "
                   f"`{graph.name}` is {source.type}", source.span,
                   help="give weights of a net with this input")  # fmt: skip
    own = normalization(graph)
    if own is None:
        graph = standardize(graph, meaning.mean, meaning.std)
        return replace(graph, meaning=replace(graph.meaning, mean=meaning.mean, std=meaning.std))
    if not _alike(own, (meaning.mean, meaning.std)):
        raise fail(
            "E0912",
            f"`{graph.name}` normalizes its input in another way than the net that `{file}` is of",
            source.span,
            notes=tuple(f"{who}: mean {_numbers(mean)}, deviation {_numbers(std)}"
                        for who, (mean, std) in (("the net", own), ("the file", (meaning.mean, meaning.std)))),
            help="remove `normalize` from the net; that of the file takes its place",
        )  # fmt: skip
    return graph


def _has_channels(graph: Graph, meaning: Meaning) -> bool:
    """Whether the input has as many channels as there are means."""
    kind = graph.inputs[0].type
    return kind.dtype.is_float and kind.rank > 0 and len(meaning.mean) in (1, kind.shape[0])


def _alike(first: tuple[tuple[float, ...], ...], second: tuple[tuple[float, ...], ...]) -> bool:
    size = max(len(numbers) for pair in (first, second) for numbers in pair)
    (means, deviations), (others, scales) = (
        [list(numbers) * (size // len(numbers)) for numbers in pair] for pair in (first, second)
    )
    return len(means) == len(others) and all(
        abs(a - b) <= CLOSE * abs(s) and abs(s - t) <= CLOSE * abs(s)
        for a, b, s, t in zip(means, others, deviations, scales, strict=True)
    )


def _of_scores(gives: Gives) -> Gives:
    """The meaning of the scores from which a last layer makes such probabilities, for a net without that layer."""
    return Gives.YES_LOGITS if gives.yes_or_no else Gives.LOGITS


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
