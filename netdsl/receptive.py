"""How far one result sees: the receptive field along each spatial dimension of the input.

Over a chain of windows the field grows by (size - 1) times the step, the distance in the input between neighbours,
and the step grows by the stride. Where branches meet, the widest counts.
Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.ir.graph import Node
    from netdsl.layer import Layer, Window


@dataclass(frozen=True)
class View:
    """What one result sees along each spatial dimension: its extent in the input, and the step to its neighbour's."""

    extent: tuple[Fraction, ...]
    step: tuple[Fraction, ...]

    @property
    def field(self) -> tuple[int, ...]:
        """The receptive field in whole positions of the input."""
        return tuple(map(ceil, self.extent))


WHOLE: Final = View((), ())
"""The view of a result that sees the whole input."""


def views(nodes: Iterable[Node]) -> dict[Node, View | None]:
    """The view of every node, given in topological order; None where an input has no spatial dimensions."""
    found: dict[Node, View | None] = {}
    for node in nodes:
        before = [found[source] for source in node.inputs]
        found[node] = _through(node, _widest(before)) if before else _start(node)
    return found


def _start(node: Node) -> View | None:
    """An element of an input sees itself; a learned tensor sees nothing."""
    spatial = node.type.rank - 1
    return View((Fraction(1),) * spatial, (Fraction(1),) * spatial) if node.layer.kind == "input" and spatial else None


def _through(node: Node, view: View | None) -> View | None:
    layer: Layer = node.layer
    if view is None or view is WHOLE:
        return view
    if layer.global_view:
        return WHOLE
    window = layer.window(*node.input_types)
    if window is None:
        return view
    return _widened(view, window) if len(window.size) == len(view.extent) else None


def _widened(view: View, window: Window) -> View:
    upscale = window.upscale or (1,) * len(window.size)
    extent = (e + (size - 1) * step for e, size, step in zip(view.extent, window.size, view.step, strict=True))
    step = (s * stride / up for s, stride, up in zip(view.step, window.stride, upscale, strict=True))
    return View(tuple(extent), tuple(step))


def _widest(before: list[View | None]) -> View | None:
    known = [view for view in before if view is not None]
    if not known or WHOLE in known:
        return WHOLE if known else None
    if len({len(view.extent) for view in known}) > 1:
        return None
    return View(
        tuple(map(max, zip(*(view.extent for view in known), strict=True))),
        tuple(map(max, zip(*(view.step for view in known), strict=True))),
    )
