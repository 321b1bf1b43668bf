"""Optimizations for inference: each pass is a function from graph to graph.

A pass takes time proportional to the number of nodes and keeps the invariants of `netdsl.ir.invariants`. The weights
of the new graph are computed when weights are read (`netdsl.weights.initial.materialize`).
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

PASSES: dict[str, Callable[[Graph], Graph]] = {
    function.__name__: function for function in (drop_unused, drop_identities, merge_affines, fold_back, fold_ahead)
}
"""The passes by name, in the order in which they run."""


def optimize(graph: Graph, level: int, last: str | None = None) -> Graph:
    """Optimize a graph for inference.

    Args:
        graph: a checked graph.
        level: 0 leaves it unchanged; 1 runs the passes, after which the graph cannot be trained any more.
        last: the name of the last pass to run; None runs all.

    Raises:
        KeyError: there is no such pass.
    """
    if last is not None and last not in PASSES:
        raise KeyError(last)
    if not level:
        return graph
    graph = replace(graph, meaning=described(graph))  # a pass may fold `normalize` away, but the metadata keep it
    for name, function in PASSES.items():
        graph = verified(function(graph))
        if name == last:
            break
    return graph
