"""The pass that merges consecutive affine layers into one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.ir.params import Derived, Param
from netdsl.layers.affine import Affine
from netdsl.passes.rewrite import count_owners, count_reads, rewrite, with_inputs
from netdsl.passes.scaling import Composed, scaling_of

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node
    from netdsl.passes.scaling import Scaling


def merge_affines(graph: Graph) -> Graph:
    """Replace each run of affine layers, each the only reader of the one before, by one `affine`."""
    reads, owners = count_reads(graph), count_owners(graph)
    scalings = {
        node: scaling
        for node in graph.nodes
        if (scaling := scaling_of(node)) is not None and all(owners[param.name] == 1 for param in node.params.values())
    }
    merged = {node.inputs[0] for node in scalings if node.inputs[0] in scalings and reads[node.inputs[0]] == 1}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node not in scalings or node in merged or node.inputs[0] not in merged:
            return with_inputs(node, inputs)
        run, source = [node], inputs[0]
        while run[-1].inputs[0] in merged:
            run.append(run[-1].inputs[0])
            source = source.inputs[0]
        run.reverse()
        return _composed(run, tuple(scalings[node] for node in run), source)

    return rewrite(graph, change)


def _composed(run: list[Node], scalings: tuple[Scaling, ...], source: Node) -> Node:
    """Make the `affine` on `source` that replaces the last layer of a run."""
    sources = tuple(param for node in run for param in node.params.values())
    specs, name = Affine().params(source.type), run[-1].name
    params = {
        "weight": Param(f"{name}.weight", specs["weight"], Derived(Composed(scalings, "scale"), sources)),
        "bias": Param(f"{name}.bias", specs["bias"], Derived(Composed(scalings, "shift"), sources)),
    }
    return replace(run[-1], layer=Affine(), inputs=(source,), params=params)
