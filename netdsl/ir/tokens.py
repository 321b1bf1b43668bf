"""The tokens that an input takes: those that index every embedding table it is looked up in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netdsl.ir.meaning import Tokens

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node

MAX_TOKEN_POSITIONS = 4096
"""The largest size of an axis along which positions may have their own tables."""


@dataclass(frozen=True)
class _Part:
    """The part of an input that a tensor may contain.

    Attributes:
        axis: the axis of the input along which only some positions are contained; None where all may be.
        positions: those positions; in their order if `aligned`.
        aligned: whether the axes are still those of the input.
    """

    axis: int | None = None
    positions: tuple[int, ...] = ()
    aligned: bool = True


def tokens_of(graph: Graph, given: Node) -> Tokens | None:
    """The tokens that an input takes; None where no embedding table reads it.

    Where parts of the input, sliced along one axis, have their own tables, each position has its own bound.
    """
    if given.type.dtype.is_float:
        return None
    parts: dict[Node, set[_Part]] = {given: {_Part()}}
    tables: list[tuple[_Part, int]] = []
    for node in graph.nodes:
        read = {part for source in node.inputs for part in parts.get(source, ())}
        if read and (count := node.layer.token_count) is not None:
            tables += [(part, count) for part in read]
        elif read and node.layer.rearranges:
            parts[node] = {_taken(part, node) for part in read}
    if not tables:
        return None
    least = min(count for _, count in tables)
    axis = next((part.axis for part, _ in tables if part.axis is not None), None)
    if axis is None:
        return Tokens(least)
    most, size = max(count for _, count in tables), given.type.shape[axis]
    assert isinstance(size, int)  # noqa: S101 - parts are only made along axes of known size
    counts = tuple(
        min((count for part, count in tables if part.axis != axis or position in part.positions), default=most)
        for position in range(size)
    )
    return Tokens(least, axis, counts) if {*counts} != {least} else Tokens(least)


def held(node: Node) -> bool:
    """Whether a node reads only elements of the net's inputs, so that the tokens it reads were checked against a bound.

    The sum of two inputs, for example, has no bound that could be checked on either.
    """
    seen: set[Node] = set()
    ahead = [*node.inputs]
    while ahead:
        source = ahead.pop()
        if source in seen:
            continue
        seen.add(source)
        if source.inputs and not source.layer.rearranges:
            return False
        ahead += source.inputs
    return True


def _taken(part: _Part, node: Node) -> _Part:
    """The part that is contained in the result of a layer that rearranges elements."""
    if not part.aligned:
        return part
    (source, *others), layer, types = node.inputs, node.layer, node.input_types
    axes = range(source.type.rank)
    if others or node.type.rank != source.type.rank or any(layer.places(axis, *types) != axis for axis in axes):
        return replace(part, aligned=False)
    for axis in axes:
        size, kept, reads = source.type.shape[axis], node.type.shape[axis], layer.reads(axis, *types)
        if part.axis not in (None, axis):
            continue  # along a second axis, all positions may be contained
        if reads is None or isinstance(reads, str):
            return replace(part, aligned=False)
        if (reads.spans, reads.shift) == (((0, 0),), 1) and size == kept:  # every position reads itself
            continue
        if not isinstance(size, int) or not isinstance(kept, int) or size > MAX_TOKEN_POSITIONS or not reads.single:
            return replace(part, aligned=False)
        there = part.positions or range(size)
        part = replace(part, axis=axis, positions=tuple(there[int(reads.at(at)[0])] for at in range(kept)))
    return part
