"""The pass that folds affine layers into the layer after them, where that is exact: without padding in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.ir.params import Derived
from netdsl.layers.conv import Conv, Depthwise
from netdsl.layers.linear import Dense
from netdsl.layers.shape import Flatten
from netdsl.passes.rewrite import count_owners, count_reads, rewrite, with_inputs
from netdsl.passes.scaling import BiasAfter, ScaledWeight, absorbing, scaling_of

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node
    from netdsl.passes.scaling import Scaling


def fold_ahead(graph: Graph) -> Graph:
    """Fold affine layers into the convolutions without padding, or dense layers on vectors, that follow them.

    A flatten may stand before a dense layer. The nodes in between must have one reader, and the weights one owner.
    """
    reads, owners = count_reads(graph), count_owners(graph)

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        changed = with_inputs(node, inputs)
        if not _absorbs(node) or any(owners[param.name] > 1 for param in node.params.values()):
            return changed
        flat = _flattens(inputs[0])
        if reads[node.inputs[0]] > 1 or (flat and reads[node.inputs[0].inputs[0]] > 1):
            return changed
        before = inputs[0].inputs[0] if flat else inputs[0]
        scaling = scaling_of(before)
        if scaling is None:
            return changed
        return _folded(changed, before, scaling, with_inputs(inputs[0], before.inputs) if flat else before.inputs[0])

    return rewrite(graph, change)


def _absorbs(node: Node) -> bool:
    """Whether every output reads a whole window, so that a shift of the input adds the same number to each of them."""
    if isinstance(node.layer, Dense):
        return node.type.rank == 1
    if not isinstance(node.layer, Conv | Depthwise):
        return False
    return all(slide.before == slide.after == 0 for slide in node.layer.slides(node.inputs[0].type))


def _flattens(node: Node) -> bool:
    return isinstance(node.layer, Flatten) and node.type.rank == 1


def _folded(host: Node, before: Node, scaling: Scaling, source: Node) -> Node:
    sources = tuple(before.params.values())
    weight, *bias = host.params.values()
    return absorbing(
        host,
        Derived(ScaledWeight(scaling, 1), (weight, *sources)),
        Derived(BiasAfter(scaling), (weight, *bias, *sources)),
        source,
    )
