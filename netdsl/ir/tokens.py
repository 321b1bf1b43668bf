"""Which tokens an input takes: those for which the tables that read it have vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netdsl.ir.meaning import Tokens

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node

MAX_TOKEN_POSITIONS = 4096
"""Along so many positions at most, tables of their own are told apart."""


@dataclass(frozen=True)
class _Part:
    """What of the input is in a tensor, at most.

    Attributes:
        axis: the axis of the input of which there are some positions; None where all may be there.
        positions: those positions; where `aligned` in their order.
        aligned: whether the axes are still those of the input.
    """

    axis: int | None = None
    positions: tuple[int, ...] = ()
    aligned: bool = True


def tokens_of(graph: Graph, given: Node) -> Tokens | None:
    """The tokens that an input takes; None where no table reads it.

    Where parts of it that were cut out along one axis have tables of their own, each position has a bound of its own.
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
    assert isinstance(size, int)  # noqa: S101 - no parts are told apart along others
    counts = tuple(
        min((count for part, count in tables if part.axis != axis or position in part.positions), default=most)
        for position in range(size)
    )
    return Tokens(least, axis, counts) if {*counts} != {least} else Tokens(least)


def held(node: Node) -> bool:
    """Whether all that a node reads are elements of the net's inputs, so that tokens among them are held to a bound.

    The sum of two inputs, for one, has no bound that could be asked of either.
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
    """What of a part is in the result of a layer that puts elements elsewhere."""
    if not part.aligned:
        return part
    (source, *others), layer, types = node.inputs, node.layer, node.input_types
    axes = range(source.type.rank)
    if others or node.type.rank != source.type.rank or any(layer.places(axis, *types) != axis for axis in axes):
        return replace(part, aligned=False)
    for axis in axes:
        size, kept, reads = source.type.shape[axis], node.type.shape[axis], layer.reads(axis, *types)
        if part.axis not in (None, axis):
            continue  # of a second axis all may be there
        if reads is None or isinstance(reads, str):
            return replace(part, aligned=False)
        if (reads.spans, reads.shift) == (((0, 0),), 1) and size == kept:  # every position itself
            continue
        if not isinstance(size, int) or not isinstance(kept, int) or size > MAX_TOKEN_POSITIONS or not reads.single:
            return replace(part, aligned=False)
        there = part.positions or range(size)
        part = replace(part, axis=axis, positions=tuple(there[int(reads.at(at)[0])] for at in range(kept)))
    return part
