"""The pass that folds affine layers into the layer before them: batch norm after a convolution costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.ir.params import Derived
from netdsl.passes.rewrite import count_owners, count_reads, rewrite, with_inputs
from netdsl.passes.scaling import BiasBefore, ScaledWeight, absorbing, scaling_of

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node
    from netdsl.passes.scaling import Scaling

_OUTPUT_AXIS = {"conv": 0, "depthwise": 0, "dense": 0, "deconv": 1}
"""The axis of the weights that stands for the output channels."""


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
    return host.layer.kind in _OUTPUT_AXIS and (host.layer.kind != "dense" or host.type.rank == 1)


def _folded(host: Node, node: Node, scaling: Scaling) -> Node:
    sources = tuple(node.params.values())
    weight, *bias = host.params.values()
    return absorbing(
        host,
        Derived(ScaledWeight(scaling, _OUTPUT_AXIS[host.layer.kind]), (weight, *sources)),
        Derived(BiasBefore(scaling), (*bias, *sources)),
        host.inputs[0],
    )
