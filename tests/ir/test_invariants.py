"""Each invariant of a graph is broken once, and `verify` says which."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from graphs import Sketch

from netdsl.ir.constraint import Constraint
from netdsl.ir.dim import symbol
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.ir.invariants import GraphError, verify
from netdsl.ir.params import Init, Param, ParamSpec
from netdsl.ir.types import TensorType
from netdsl.layers.activation import Relu
from netdsl.layers.conv import Conv
from netdsl.layers.merge import Add

if TYPE_CHECKING:
    from collections.abc import Callable


def whole() -> Graph:
    """A net: x -> block.conv -> add(itself, itself) -> relu, with an auxiliary output."""
    sketch = Sketch(3, symbol("H"), 8)
    block = Scope("block", sketch.root, block="unit")
    conv = sketch.add("block.conv", Conv(4, 3), scope=block)
    add = sketch.add("add", Add(), conv, conv)
    relu = sketch.add("relu", Relu())
    graph = sketch.graph(y=relu, aux={"side": add})
    return replace(graph, constraints=(Constraint("H", ">=", 3),))


def changed(graph: Graph, index: int, **fields: object) -> Graph:
    """The graph with fields of one of its nodes set, without any check."""
    for name, value in fields.items():
        setattr(graph.nodes[index], name, value)
    return graph


def renamed_param(graph: Graph) -> Graph:
    conv = graph.nodes[1]
    other = Node("other", conv.layer, conv.inputs, graph.nodes[0].scope)
    other.params = {role: Param(param.name, param.spec) for role, param in conv.params.items()}
    return replace(graph, nodes=(*graph.nodes, other))


def with_param(role: str, spec: ParamSpec) -> Callable[[Graph], Graph]:
    def change(graph: Graph) -> Graph:
        params = graph.nodes[1].params
        return changed(graph, 1, params={"weight": params["weight"], role: Param("block.conv.bias", spec)})

    return change


H5 = Scope("h5", Scope(""))
BREAKAGES: dict[str, Callable[[Graph], Graph]] = {
    "2 nodes are called relu": lambda g: changed(g, 2, name="relu"),
    "add reads block.conv before it is there": lambda g: replace(g, nodes=(g.nodes[0], *g.nodes[2:])),
    "relu reads 2 values, and relu takes 1 to 1": lambda g: changed(g, 3, inputs=(g.nodes[2], g.nodes[2])),
    "add is said to be 7, and its layer infers": lambda g: changed(g, 2, type=TensorType((7,))),
    r"block.conv has the parameters \[\], not \['weight', 'bias'\]": lambda g: changed(g, 1, params={}),
    r"block.conv has the parameters \['weight', 'shift'\]": with_param("shift", ParamSpec((4,), Init("bias", 27))),
    "parameter bias of block.conv is .*9.*, not .*4": with_param("bias", ParamSpec((9,), Init("bias", 27))),
    "two parameters are called block.conv.weight, one of them in other": renamed_param,
    "there is no input": lambda g: replace(g, nodes=(), outputs={}, aux={}),
    "there is no output": lambda g: replace(g, outputs={}),
    "side is an output and an aux output": lambda g: replace(g, outputs={"side": g.nodes[3]}),
    "output z is gone, which is not in": lambda g: replace(g, outputs={"z": replace(g.nodes[3], name="gone")}),
    "output x is called as an input": lambda g: replace(g, outputs={"x": g.nodes[3]}),
    "block.conv stands in the scope h5": lambda g: changed(g, 1, scope=H5),
    "there are 2 roots of scopes": lambda g: changed(g, 2, scope=Scope("")),
    "the scopes of add are called": lambda g: changed(g, 2, scope=Scope("add")),
    r"add has the sizes \['W'\], which no input": lambda g: changed(g, 2, type=TensorType((symbol("W"),))),
    "no input has the size in `K >= 1`": lambda g: replace(g, constraints=(Constraint("K", ">=", 1),)),
}


def test_a_whole_graph_passes() -> None:
    verify(whole())


@pytest.mark.parametrize("problem", BREAKAGES)
def test_broken_graphs_do_not(problem: str) -> None:
    with pytest.raises(GraphError, match=problem):
        verify(BREAKAGES[problem](whole()))


def test_all_problems_are_told_at_once() -> None:
    graph = changed(changed(whole(), 2, name="relu"), 1, params={})
    with pytest.raises(GraphError, match=r"(?s)2 nodes are called relu.*has the parameters"):
        verify(graph)
