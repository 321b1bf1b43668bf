"""The receptive field of each node along each spatial dimension of the input.

It is the largest number of rows, columns, ... of an input that one position of a map depends on, from the first to the
last of them, over all channels; the first axis of an input are its channels. The positions that are seen are followed
from layer to layer, so that the place of a position between windows counts: `avgpool k4 -> upsample 4 -> conv k3` sees
8 rows, because a window of 3 touches at most two windows of the pool. Padding does not limit the field: the input is
taken to continue beyond its borders, as in the literature, and a field may be larger than the input. Positions that a
slice or a crop cuts off are not seen.
Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from netdsl.layers.spans import EACH, NOTHING, Spans, hull, largest, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Node
    from netdsl.layers.spans import Span

Extent: TypeAlias = "int | Literal['all']"


@dataclass(frozen=True)
class View:
    """The receptive field along each spatial dimension of the input: numbers of positions, or the whole dimension."""

    field: tuple[Extent, ...]


WHOLE: Final = View(())
"""The view of a position that sees the whole input."""


@dataclass(frozen=True)
class _Seen:
    """What the positions of a map see along one dimension of an input.

    Attributes:
        extent: the largest number of positions of the input that one position sees.
        rows: the positions that are seen, for each position along `axis`; for all positions if `axis` is None.
        axis: the axis of the map that decides what is seen; None if no axis does, or several do.
        among: the axes over which the positions of one former axis are spread.
    """

    extent: int
    rows: tuple[Spans, ...]
    axis: int | None = None
    among: frozenset[int] = frozenset()


_Sight: TypeAlias = "_Seen | Literal['all'] | None"
"""None where what is seen is unknown."""
_Key: TypeAlias = "tuple[Node, int]"
"""An input and one of its dimensions."""


def views(nodes: Iterable[Node]) -> dict[Node, View | None]:
    """The view of every node, given in topological order.

    None where an input has no spatial dimensions, nothing is seen, or symbolic sizes decide what is.
    """
    found: dict[Node, dict[_Key, _Sight]] = {}
    for node in nodes:
        if node.layer.kind == "input":
            found[node] = {(node, axis): _Seen(1, (EACH,), axis) for axis in range(1, node.type.rank)}
            continue
        branches = [_through(node, source, found[source], number) for number, source in enumerate(node.inputs)]
        keys = dict.fromkeys(key for branch in branches for key in branch)
        found[node] = {key: _met([b[key] for b in branches if key in b], key, node.type.shape) for key in keys}
    return {node: _view(sights) for node, sights in found.items()}


def _view(sights: dict[_Key, _Sight]) -> View | None:
    """The widest view of any input, along each dimension."""
    ranks = {given.type.rank for given, _ in sights}
    if not sights or None in sights.values():
        return None
    if set(sights.values()) == {"all"}:
        return WHOLE
    if len(ranks) > 1:
        return None
    sides: list[list[_Sight]] = [[] for _ in range(ranks.pop() - 1)]
    for (_, axis), sight in sights.items():
        sides[axis - 1].append(sight)
    return View(tuple("all" if "all" in s else max(x.extent for x in s if isinstance(x, _Seen)) for s in sides))


def _through(node: Node, source: Node, sights: dict[_Key, _Sight], number: int) -> dict[_Key, _Sight]:
    """What the positions of a result see through one of the layer's inputs."""
    if not sights:
        return sights
    if len(node.inputs) == 1:
        return {key: _read(sight, key, node, source) for key, sight in sights.items()}
    shape, result = source.type.shape, node.type.shape
    axis = node.layer.side_by_side(*node.input_types)
    if axis is not None:
        before = [other.type.shape[axis] for other in node.inputs[:number]]
        return {key: _set_behind(sight, axis, before, shape[axis]) for key, sight in sights.items()}
    stretched = [i for i, (own, made) in enumerate(zip(shape, result, strict=True)) if own != made]
    return {key: _stretched(sight, stretched) for key, sight in sights.items()}


def _read(sight: _Sight, key: _Key, node: Node, source: Node) -> _Sight:
    """What is seen through a layer with one input."""
    if not isinstance(sight, _Seen):
        return sight
    layer, types, shape = node.layer, node.input_types, source.type.shape
    if sight.axis is None:
        reads = [layer.reads(axis, *types) for axis in sight.among]
        if None in reads:
            return None
        if not all(isinstance(read, Spans) and read.single for read in reads):
            return _everything(sight, key, shape)
        moved = [layer.places(axis, *types) for axis in sight.among]
        among = frozenset(i for m in moved for i in ([m] if isinstance(m, int) else m))
        return _Seen(sight.extent, sight.rows, None, among)
    read = layer.reads(sight.axis, *types)
    if read is None:
        return None
    if read == "all":
        return _everything(sight, key, shape)
    place = layer.places(sight.axis, *types)
    if not isinstance(place, int):  # reads EACH
        whole = _everything(sight, key, shape)
        return _Seen(sight.extent, whole.rows if isinstance(whole, _Seen) else (), None, place)
    if read is EACH:
        return sight if place == sight.axis else _Seen(sight.extent, sight.rows, place)
    size = node.type.shape[place]
    rows = [row.of(read, size if isinstance(size, int) else None) for row in sight.rows]
    known = tuple(row for row in rows if row is not None)
    return _along(known, place, size, key) if len(known) == len(rows) else None


def _along(rows: tuple[Spans, ...], axis: int | None, size: Dim, key: _Key) -> _Sight:
    end = key[0].type.shape[key[1]]
    extent = largest(rows, size if isinstance(size, int) else None, end if isinstance(end, int) else None)
    return "all" if extent is None else _Seen(extent, rows, axis)


def _everything(sight: _Seen, key: _Key, shape: Sequence[Dim]) -> _Sight:
    """What all positions of a map of this shape see together."""
    given, dimension = key
    end, size = given.type.shape[dimension], 1 if sight.axis is None else shape[sight.axis]
    if not sight.rows or not isinstance(size, int) or not isinstance(end, int):
        return "all"
    first, last = total(sight.rows, size)
    first, last = max(first, 0), min(last, end - 1)
    return "all" if (first, last) == (0, end - 1) else _of_all((first, last))


def _of_all(span: Span) -> _Seen:
    """The same span for all positions of a map."""
    rows = (Spans((span if span[0] <= span[1] else NOTHING,), 0),)
    return _Seen(largest(rows, 1, None) or 0, rows)


def _stretched(sight: _Sight, axes: Sequence[int]) -> _Sight:
    """What is seen where the one position along each of some axes is broadcast."""
    if isinstance(sight, _Seen) and sight.axis in axes:
        return _of_all(hull(sight.rows, 0))
    return sight


def _set_behind(sight: _Sight, axis: int, before: Sequence[Dim], size: Dim) -> _Sight:
    """What is seen by positions that a join has placed after others."""
    if not isinstance(sight, _Seen) or sight.axis != axis:
        return sight
    offset = 0
    for length in before:
        if not isinstance(length, int):
            return None
        offset += length
    rows = [row.within(size, offset) if isinstance(size, int) else None for row in sight.rows]
    known = tuple(row for row in rows if row is not None)
    return _Seen(sight.extent, known, axis) if len(known) == len(rows) else None


def _met(sights: list[_Sight], key: _Key, shape: Sequence[Dim]) -> _Sight:
    """What is seen where branches are joined."""
    if "all" in sights:
        return "all"
    seen = [sight for sight in sights if isinstance(sight, _Seen)]
    if len(seen) < len(sights):
        return None
    first, *others = seen
    if all(other == first for other in others):
        return first
    axes = {sight.axis for sight in seen if sight.axis is not None}
    if len(axes) == 1 and not any(sight.among for sight in seen):
        (axis,) = axes
        return _along(_merged([row for sight in seen for row in sight.rows]), axis, shape[axis], key)
    if not axes and not any(sight.among for sight in seen):
        return _along(_merged([row for sight in seen for row in sight.rows]), None, 1, key)
    return _everything_met(seen, key, shape)


def _everything_met(seen: list[_Seen], key: _Key, shape: Sequence[Dim]) -> _Sight:
    """At most what all positions of all branches see, for branches that see positions in different orders."""
    wholes = [_everything(sight, key, shape) for sight in seen]
    rows = [row for whole in wholes if isinstance(whole, _Seen) for row in whole.rows]
    return "all" if "all" in wholes else _along(_merged(rows), None, 1, key)


def _merged(rows: list[Spans]) -> tuple[Spans, ...]:
    """The same rows, with rows that move at the same speed merged into one."""
    merged: list[Spans] = []
    for row in rows:
        for i, other in enumerate(merged):
            joined = row if row == other else other.joined(row)
            if joined is not None:
                merged[i] = joined
                break
        else:
            merged.append(row)
    return tuple(merged)
