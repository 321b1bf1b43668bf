"""The text of graphs, in full."""

from __future__ import annotations

from dataclasses import replace

from graphs import Sketch

from netdsl.ir.constraint import Constraint
from netdsl.ir.dim import symbol
from netdsl.ir.graph import Graph, Scope
from netdsl.ir.printer import print_graph
from netdsl.ir.types import DType
from netdsl.layers.activation import Gelu
from netdsl.layers.conv import Conv
from netdsl.layers.ends import InputLayer, ParamLayer
from netdsl.layers.merge import Concat
from netdsl.layers.norm import BatchNorm
from netdsl.passes import optimize


def drawn() -> Graph:
    height = symbol("H")
    sketch = Sketch(3, height, 32, name="net")
    sketch.add("ids", InputLayer((4,), DType.INT64))
    block = Scope("block", sketch.root)
    conv = sketch.add("block.conv", Conv(8, (3, 5), p="same", bias=False), sketch.x, scope=block)
    sketch.add("block.bn", BatchNorm(eps=1e-3), scope=block)
    again = sketch.add("again", Conv(8, (3, 5), p="same", bias=False), sketch.x, params=conv.params)
    join = sketch.add("join", Concat(), sketch.nodes[-2], again)
    sketch.add("gelu", Gelu(approx="tanh"))
    table = sketch.add("table", ParamLayer((2, 2)))
    graph = sketch.graph(y=sketch.nodes[-2], aux={"side": join, "table": table})
    return replace(graph, constraints=(Constraint("H", ">=", 3),))


AS_WRITTEN = """\
net net
%x = input : 3xHx32
%ids = input : 4 int64
%block.conv = conv(%x) out=8 k=(3, 5) p=same bias=no : 8xHx32  [weight 8x3x3x5]
%block.bn = bn(%block.conv) eps=0.001 : 8xHx32  [weight 8, bias 8, running_mean 8, running_var 8]
%again = conv(%x) out=8 k=(3, 5) p=same bias=no : 8xHx32  [weight 8x3x3x5 = block.conv.weight]
%join = concat(%block.bn, %again) : 16xHx32
%gelu = gelu(%join) approx=tanh : 16xHx32
%table = param shape=(2, 2) : 2x2  [2x2]
where H >= 3
output y = %gelu
aux side = %join
aux table = %table
"""


def test_a_graph_as_written() -> None:
    assert print_graph(drawn()) == AS_WRITTEN


def test_derived_parameters_name_their_sources() -> None:
    sketch = Sketch(3, 9, 9)
    sketch.add("conv", Conv(4, 3))
    sketch.add("bn", BatchNorm(affine=False))
    assert print_graph(optimize(sketch.graph(), 1)).splitlines()[2] == (
        "%conv = conv(%x) out=4 k=3 : 4x7x7  [weight 4x3x3x3 from conv.weight bn.running_mean bn.running_var, "
        "bias 4 from conv.bias bn.running_mean bn.running_var]"
    )
