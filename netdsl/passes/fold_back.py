"""The pass that folds affine layers into the layer before them: batch norm after a convolution costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.ir.params import Derived
from netdsl.layers.linear import Dense
from netdsl.passes.rewrite import count_owners, count_reads, rewrite, with_inputs
from netdsl.passes.scaling import BiasBefore, ScaledWeight, absorbing, scaling_of

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node
    from netdsl.passes.scaling import Scaling


def fold_back(graph: Graph) -> Graph:
    """Fold affine layers into the convolutions, or dense layers on vectors, that precede them.

    The affine layer must be the only reader of the layer before it, whose weights must have no other owner.
    """
    reads, owners = count_reads(graph), count_owners(graph)

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        scaling = scaling_of(node)
        if scaling is None or reads[node.inputs[0]] > 1 or not _absorbs(inputs[0]):
            return with_inputs(node, inputs)
        if any(owners[param.name] > 1 for param in inputs[0].params.values()):
            return with_inputs(node, inputs)
        return _folded(inputs[0], node, scaling)

    return rewrite(graph, change)


def _absorbs(host: Node) -> bool:
    """Whether the first axis of the result, which an affine layer scales, comes from the weights."""
    return host.layer.weight_axis is not None and (not isinstance(host.layer, Dense) or host.type.rank == 1)


def _folded(host: Node, node: Node, scaling: Scaling) -> Node:
    sources = tuple(node.params.values())
    weight, *bias = host.params.values()
    axis = host.layer.weight_axis
    assert axis is not None  # noqa: S101 - `_absorbs` holds of it
    return absorbing(
        host,
        Derived(ScaledWeight(scaling, axis), (weight, *sources)),
        Derived(BiasBefore(scaling), (*bias, *sources)),
        host.inputs[0],
    )
