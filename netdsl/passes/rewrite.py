"""Copying of a graph with changes; nodes refer to each other, so a node cannot be replaced in place."""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.ir.graph import needed

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.ir.graph import Graph, Node


def rewrite(graph: Graph, change: Callable[[Node, tuple[Node, ...]], Node]) -> Graph:
    """Copy a graph with `change(node, inputs)` in place of each node, without nodes that are no longer needed.

    Args:
        graph: the graph; aux outputs that it has stay.
        change: takes a node and its inputs in the new graph, and returns a new node, whose inputs may be new as well,
            one of the inputs, or the result of `with_inputs`.
    """
    new: dict[Node, Node] = {}
    order: dict[Node, None] = {}
    for node in graph.nodes:
        new[node] = result = change(node, tuple(new[source] for source in node.inputs))
        order.update(dict.fromkeys((*result.inputs, result)))
    changed = replace(
        graph,
        nodes=tuple(order),
        outputs={name: new[node] for name, node in graph.outputs.items()},
        aux={name: new[node] for name, node in graph.aux.items()},
    )
    return replace(changed, nodes=needed(changed, training=True))


def with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The same layer with the same parameters, applied to `inputs` of the same types as before."""
    if inputs == node.inputs:
        return node
    changed = copy(node)  # does not infer the type again
    changed.inputs = inputs
    return changed


def count_reads(graph: Graph) -> Counter[Node]:
    """Count how often each node is read; being an output counts as well."""
    reads = Counter(source for node in graph.nodes for source in node.inputs)
    reads.update(graph.outputs.values())
    reads.update(graph.aux.values())
    return reads


def count_owners(graph: Graph) -> Counter[str]:
    """Count the nodes that hold each parameter, by its name; more than one where weights are reused."""
    return Counter(param.name for node in graph.nodes for param in node.params.values())
