"""Taking the statistics of the training data into the net, so that its model takes the data as they are."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from netdsl.ir.graph import Node
from netdsl.layers.affine import Normalize
from netdsl.passes.rewrite import rewrite, with_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.ir.graph import Graph


def standardize(graph: Graph, mean: Sequence[float], std: Sequence[float]) -> Graph:
    """The graph with a `normalize` layer after its one input; as it is if `normalize` alone reads the input already.

    Args:
        graph: a net with one input of floating-point numbers.
        mean: one number for each channel of the input, or one for all.
        std: likewise.
    """
    (source,) = graph.inputs
    readers = [node for node in graph.nodes if source in node.inputs]
    if readers and all(isinstance(node.layer, Normalize) for node in readers):
        return graph
    layer = Normalize(tuple(mean), tuple(std))

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node is source:
            return Node(_free_name(graph), layer, (source,), source.scope, source.span)
        return with_inputs(node, inputs)

    return rewrite(graph, change)


def _free_name(graph: Graph) -> str:
    """`normalize0`, which stands before the `normalize1` of the file, unless a label is called so."""
    names = (*(node.name for node in graph.nodes), *graph.params, *graph.outputs, *graph.aux)
    taken = {name.partition(".")[0] for name in names}
    return next(name for number in count() if (name := f"normalize{number}") not in taken)
