"""The summary on graphs small enough to count by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import netdsl.layers  # noqa: F401 - fills the table of layers
from netdsl.analysis.receptive import WHOLE, View, views
from netdsl.analysis.summarize import summarize
from netdsl.analysis.summary import Summary, render
from netdsl.base.table import Table, exact, short, size
from netdsl.compiler import check_text
from netdsl.ir.dim import symbol
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.ir.params import Param
from netdsl.layers.base import LAYERS

if TYPE_CHECKING:
    from netdsl.ir.dim import Dim

ROOT = Scope("")


class Builder:
    """A graph by hand, layer after layer."""

    def __init__(self, *shape: Dim) -> None:
        self.nodes = [Node("image", LAYERS["input"](shape), (), ROOT)]

    def add(
        self, kind: str, name: str = "", *inputs: Node, scope: Scope = ROOT, like: Node | None = None, **arguments: Any
    ) -> Node:
        layer = LAYERS[kind](**arguments)
        sources = inputs or (self.nodes[-1],)
        path = ".".join(filter(None, (scope.path, name or f"{kind}{len(self.nodes)}")))
        specs = layer.params(*(node.type for node in sources))
        params = {role: Param(f"{path}.{role}", spec) for role, spec in specs.items()}
        self.nodes.append(Node(path, layer, sources, scope, params=like.params if like else params))
        return self.nodes[-1]

    def graph(self, aux: Node | None = None, output: Node | None = None) -> Graph:
        outputs = {"output": output or self.nodes[-1]}
        return Graph("net", tuple(self.nodes), outputs, {"aux": aux} if aux else {})

    def summary(self) -> Summary:
        return summarize(self.graph())


def test_first_layer_of_alexnet() -> None:
    net = Builder(3, 227, 227)
    net.add("conv", out=96, k=11, s=4)
    totals = net.summary().totals
    assert totals.params == 34_944
    assert totals.macs == 55 * 55 * 96 * 11 * 11 * 3
    assert totals.neurons == 55 * 55 * 96 == 290_400
    assert totals.connections == totals.macs + totals.neurons
    assert totals.activation_bytes == 4 * 290_400
    assert totals.weight_bytes == 4 * 34_944


def test_layers_without_weights_have_no_neurons() -> None:
    net = Builder(3, 8, 8)
    net.add("relu")
    net.add("maxpool", k=2)
    totals = net.summary().totals
    assert (totals.params, totals.macs, totals.neurons) == (0, 0, 0)
    assert totals.connections == 3 * 4 * 4 * 4  # each position of the pool reads four
    assert totals.activation_bytes == 4 * (3 * 8 * 8 + 3 * 4 * 4)


def fields(net: Builder) -> list[View | None]:
    return list(views(net.nodes).values())


def test_three_stacked_3x3_see_7() -> None:
    net = Builder(3, 32, 32)
    for _ in range(3):
        net.add("conv", out=4, k=3, p=1)
    seen = [view.field for view in fields(net) if view is not None]
    assert seen == [(1, 1), (3, 3), (5, 5), (7, 7)]


def test_strides_and_dilations_widen_what_follows() -> None:
    net = Builder(1, 64, 64)
    net.add("conv", out=4, k=7, s=2, p=3)  # 7, step 2
    net.add("maxpool", k=3, s=2, p=1)  # 7 + 2*2 = 11, step 4
    net.add("conv", out=4, k=(3, 1), d=2)  # 11 + 4*4 = 27 rows, 11 columns
    assert fields(net)[-1] == View((27, 11))


def test_where_branches_meet_the_widest_counts() -> None:
    net = Builder(4, 16, 16)
    (image,) = net.nodes
    narrow = net.add("conv", "narrow", image, out=4, k=1)
    wide = net.add("conv", "wide", image, out=4, k=5, p=2)
    joined = net.add("add", "sum", narrow, wide)
    view = views(net.nodes)[joined]
    assert view is not None
    assert view.field == (5, 5)


def test_a_dense_layer_sees_everything_and_so_does_what_follows() -> None:
    net = Builder(1, 4, 4)
    net.add("flatten")
    net.add("dense", out=8)
    net.add("relu")
    assert fields(net)[-2:] == [WHOLE, WHOLE]


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "attention"])
def test_layers_that_read_sequences_see_all_of_them(kind: str) -> None:
    net = Builder(symbol("T"), 8)
    net.add("relu")
    net.add(kind, **({"heads": 2} if kind == "attention" else {"hidden": 4}))
    net.add("relu")
    assert fields(net)[-2:] == [WHOLE, WHOLE]


def test_tokens_have_no_receptive_field_and_tied_weights_count_once() -> None:
    text = """net a {
        input tokens: [T] int64 where T <= 9
        wte: embedding 10 4
        positions 9 -> attention 2 causal=yes
        reuse wte
    }"""
    summary = summarize(check_text(text).graph)
    assert [row.view for row in summary.rows] == [None] * 5
    assert [row.shared for row in summary.rows] == [False, False, False, False, True]
    assert summary.totals.params == 10 * 4 + 9 * 4 + 4 * (4 * 4 + 4)
    attention, tied = summary.rows[-2:]
    steps = symbol("T", maximum=9)
    assert attention.figures.macs == 4 * steps * 16 + 2 * steps * steps * 4
    assert tied.figures.macs == steps * 4 * 10
    assert tied.figures.connections == tied.figures.macs


def test_shared_parameters_count_once() -> None:
    net = Builder(8)
    first = net.add("dense", "fc", out=8)
    net.add("dense", "again", like=first, out=8)
    summary = net.summary()
    assert summary.totals.params == 72
    assert [row.shared for row in summary.rows] == [False, False, True]
    assert "shared" in render(summary)


def test_running_statistics_are_not_trained() -> None:
    net = Builder(8, 4, 4)
    net.add("bn")
    totals = net.summary().totals
    assert (totals.params, totals.buffers >= 16) == (16, True)


def test_blocks_are_led_by_their_sums() -> None:
    net = Builder(1, 8, 8)
    stage = Scope("stage", ROOT, block="stage", arguments="4 2")
    unit = Scope("0", stage, block="unit")
    net.add("conv", "conv1", scope=unit, out=4, k=3)
    net.add("relu", "relu1", scope=unit)
    net.add("conv", "out", scope=stage, out=2, k=1)
    summary = net.summary()
    assert [(row.name, row.depth, row.block) for row in summary.rows] == [
        ("image", 0, False),
        ("stage", 0, True),
        ("stage.0", 1, True),
        ("stage.0.conv1", 2, False),
        ("stage.0.relu1", 2, False),
        ("stage.out", 1, False),
    ]
    assert [row.figures.params for row in summary.rows] == [0, 50, 40, 40, 0, 10]
    assert summary.totals.params == 50
    assert [row.name for row in summary.to_depth(1)] == ["image", "stage"]
    assert summary.rows[1].layer == "stage 4 2"
    assert str(summary.rows[1].output) == "2x6x6"


def test_auxiliary_heads_stand_apart() -> None:
    net = Builder(8)
    trunk = net.add("dense", "trunk", out=4)
    head = net.add("dense", "head", trunk, out=2)
    last = net.add("dense", "last", trunk, out=3)
    summary = summarize(net.graph(aux=head, output=last))
    assert (summary.totals.params, summary.aux.params) == (36 + 15, 10)
    assert [row.name for row in summary.rows if row.aux] == ["head"]
    assert "10 parameters more" in render(summary)


def test_symbolic_sizes_stay_expressions() -> None:
    net = Builder(3, symbol("H"), symbol("W"))
    net.add("conv", out=2, k=1)
    summary = net.summary()
    assert str(summary.totals.macs) == "6*H*W"
    assert summary.as_json()["totals"]["activation_bytes"] == "8*H*W"
    assert "6*H*W" in render(summary)


def test_the_headline_says_what_a_net_is_for() -> None:
    summary = summarize(check_text("net n { input x: 3xHxW where H % 2 == 0, W <= 9; relu }").graph)
    assert render(summary).splitlines()[0] == "n: x 3xHxW -> output 3xHxW where H % 2 == 0, W <= 9"
    assert summary.as_json()["constraints"] == ["H % 2 == 0", "W <= 9"]


def test_text_has_a_line_for_each_row_and_exact_totals() -> None:
    net = Builder(1, 28, 28)
    net.add("conv", "c1", out=6, k=5, p=2)
    net.add("flatten", "flat")
    net.add("dense", "fc", out=10)
    text = render(net.summary(), neurons=True)
    assert text.splitlines()[0] == "net: image 1x28x28 -> output 10"
    cells = [line.split() for line in text.splitlines()]
    assert cells[5][:12] == ["c1", "conv", "6", "k5", "p2", "6x28x28", "156", "118", "K", "18.4", "KiB", "5x5"]
    assert cells[-5][:2] == ["parameters", "47,206"]


def test_json_counts_exactly() -> None:
    net = Builder(3, 227, 227)
    net.add("conv", "c1", out=96, k=11, s=4)
    made = net.summary().as_json()
    assert made["layers"][1]["params"] == 34_944
    assert made["layers"][1]["receptive_field"] == [11, 11]
    assert made["inputs"] == {"image": [3, 227, 227]}


def test_html_escapes() -> None:
    assert Table(["<a>"], [["x & y"]]).html().count("&lt;a&gt;") == 1
    net = Builder(2)
    net.add("dense", out=2)
    assert "<table>" in net.summary()._repr_html_()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (999, "999"), (999.4, "999"), (1000, "1.00 K"), (61_706, "61.7 K"), (999_499, "999 K"),
        (999_999, "1.00 M"), (4_089_184_256, "4.09 G"), (10**21, "1000 E"), (symbol("H") * 3, "3*H"), (0.5, "0.50"),
    ],
)  # fmt: skip
def test_short_figures(number: Any, text: str) -> None:
    assert short(number) == text


def test_sizes_and_exact_figures() -> None:
    assert [size(n) for n in (0, 1023, 1024, 3 * 2**20 + 2**16)] == ["0 B", "1023 B", "1.00 KiB", "3.06 MiB"]
    assert exact(1_234_567) == "1,234,567"


def test_columns_line_up() -> None:
    table = Table(["name", ">n"], [["a", "1"], ["long", "22"]])
    assert table.text() == "name   n\n----  --\na      1\nlong  22"
