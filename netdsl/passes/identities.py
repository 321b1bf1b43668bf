"""The pass that drops layers which change nothing at inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.passes.rewrite import rewrite, with_inputs

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node


def drop_identities(graph: Graph) -> Graph:
    """Drop dropout and similar layers, `identity`, reshapes to the same shape, and joins of one branch."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        return inputs[0] if _changes_nothing(node) else with_inputs(node, inputs)

    return rewrite(graph, change)


def _changes_nothing(node: Node) -> bool:
    if node.layer.joins():
        return len(node.inputs) == 1
    return node.layer.training_only or (node.layer.keeps_order and node.type == node.inputs[0].type)
