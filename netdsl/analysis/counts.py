"""The counts that papers print: trainable parameters and multiply-accumulates."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph, Node


def count_params(graph: Graph) -> int:
    """Count trainable weights and biases, auxiliary heads included; shared ones count once."""
    return sum(param.spec.elements for param in graph.params.values() if param.spec.trainable)


def count_macs(graph: Graph) -> Dim:
    """Count the multiply-accumulates of one sample at inference, of the nodes that lead to an output."""
    total: Dim = 0
    for node in reachable(graph):
        total = total + node.layer.macs(node.type, *node.input_types)
    return total


def reachable(graph: Graph) -> list[Node]:
    """The nodes that lead to an output of the inference graph, in the graph's order."""
    needed = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.inputs)
    return [node for node in graph.nodes if node in needed]
