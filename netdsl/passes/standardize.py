"""Building the statistics of the training data into a net, so that its model takes the data unscaled."""

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
    """Add a `normalize` layer after a graph's one input, unless `normalize` alone reads the input already.

    Args:
        graph: a net with one input of floating-point numbers.
        mean: one number for each channel of the input, or one for all.
        std: one number for each channel of the input, or one for all.
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
    """`normalize0`, which cannot clash with the `normalize1` of the file, unless a label has that name."""
    names = (*(node.name for node in graph.nodes), *graph.params, *graph.outputs, *graph.aux)
    taken = {name.partition(".")[0] for name in names}
    return next(name for number in count() if (name := f"normalize{number}") not in taken)
