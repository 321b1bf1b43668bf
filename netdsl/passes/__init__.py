"""Optimizations for inference: each pass is a function from graph to graph, and the pipeline is a tuple of them.

A pass takes time in proportion to the number of nodes and leaves a graph that `netdsl.ir.invariants` finds whole. What
it computes for the weights is done when weights are read (`netdsl.weights.initial.materialize`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.ir.deciding import described
from netdsl.ir.invariants import verified
from netdsl.passes.fold_ahead import fold_ahead
from netdsl.passes.fold_back import fold_back
from netdsl.passes.identities import drop_identities
from netdsl.passes.merge_affines import merge_affines
from netdsl.passes.unused import drop_unused

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.ir.graph import Graph

OPTIMIZATIONS: tuple[Callable[[Graph], Graph], ...] = (
    drop_unused,
    drop_identities,
    merge_affines,
    fold_back,
    fold_ahead,
)
PASSES = tuple(optimization.__name__ for optimization in OPTIMIZATIONS)
"""Their names."""


def optimize(graph: Graph, level: int, last: str | None = None) -> Graph:
    """The graph as it is for level 0, and ready for inference for level 1; no training graph can be made of that.

    Args:
        graph: the graph as it was written.
        level: 0 or 1.
        last: the name of the pass to stop after; None runs all.
    """
    if not level:
        return graph
    graph = replace(graph, meaning=described(graph))  # its `normalize` may be folded away, and the numbers are told
    for optimization in OPTIMIZATIONS:
        graph = verified(optimization(graph))
        if optimization.__name__ == last:
            break
    return graph
