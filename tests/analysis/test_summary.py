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

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph


def graph_of(text: str) -> Graph:
    return check_text(f"net n {{ {text} }}").graph


def summary_of(text: str) -> Summary:
    return summarize(graph_of(text))


def test_first_layer_of_alexnet() -> None:
    totals = summary_of("input image: 3x227x227; conv 96 k11 s4").totals
    assert totals.params == 34_944
    assert totals.macs == 55 * 55 * 96 * 11 * 11 * 3
    assert totals.neurons == 55 * 55 * 96 == 290_400
    assert totals.connections == totals.macs + totals.neurons
    assert totals.activation_bytes == 4 * 290_400
    assert totals.weight_bytes == 4 * 34_944


def test_layers_without_weights_have_no_neurons() -> None:
    totals = summary_of("input image: 3x8x8; relu -> maxpool k2").totals
    assert (totals.params, totals.macs, totals.neurons) == (0, 0, 0)
    assert totals.connections == 3 * 4 * 4 * 4  # each position of the pool reads four
    assert totals.activation_bytes == 4 * (3 * 8 * 8 + 3 * 4 * 4)


def fields(text: str) -> list[View | None]:
    return list(views(graph_of(text).nodes).values())


def test_three_stacked_3x3_see_7() -> None:
    net = "input image: 3x32x32; repeat 3 { conv 4 k3 p1 }"
    seen = [view.field for view in fields(net) if view is not None]
    assert seen == [(1, 1), (3, 3), (5, 5), (7, 7)]


def test_strides_and_dilations_widen_what_follows() -> None:
    net = """
        input image: 1x64x64
        conv 4 k7 s2 p3    # 7, step 2
        maxpool k3 s2 p1   # 7 + 2*2 = 11, step 4
        conv 4 k3x1 d2     # 11 + 4*4 = 27 rows, 11 columns
    """
    assert fields(net)[-1] == View((27, 11))


def test_where_branches_meet_the_widest_counts() -> None:
    joined = fields("input image: 4x16x16; add { conv 4 k1; conv 4 k5 p2 }")[-1]
    assert joined is not None
    assert joined.field == (5, 5)


def test_a_dense_layer_sees_everything_and_so_does_what_follows() -> None:
    assert fields("input image: 1x4x4; flatten -> dense 8 -> relu")[-2:] == [WHOLE, WHOLE]


@pytest.mark.parametrize("layer", ["lstm 4", "gru 4", "rnn 4", "attention 2"])
def test_layers_that_read_sequences_see_all_of_them(layer: str) -> None:
    assert fields(f"input x: [T, 8]; relu -> {layer} -> relu")[-2:] == [WHOLE, WHOLE]


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
    summary = summary_of("input x: 8; fc: dense 8 -> reuse fc")
    assert summary.totals.params == 72
    assert [row.shared for row in summary.rows] == [False, False, True]
    assert "shared" in render(summary)


def test_running_statistics_are_not_trained() -> None:
    totals = summary_of("input image: 8x4x4; bn").totals
    assert (totals.params, totals.buffers >= 16) == (16, True)


def test_blocks_are_led_by_their_sums() -> None:
    text = """
        block unit(width) { conv width k3 -> relu }
        block pair(width, out) { first: unit width -> last: conv out k1 }
        net n { input image: 1x8x8; stage: pair 4 2 }
    """
    summary = summarize(check_text(text).graph)
    assert [(row.name, row.depth, row.block) for row in summary.rows] == [
        ("image", 0, False),
        ("stage", 0, True),
        ("stage.first", 1, True),
        ("stage.first.conv1", 2, False),
        ("stage.first.relu1", 2, False),
        ("stage.last", 1, False),
    ]
    assert [row.figures.params for row in summary.rows] == [0, 50, 40, 40, 0, 10]
    assert summary.totals.params == 50
    assert [row.name for row in summary.to_depth(1)] == ["image", "stage"]
    assert summary.rows[1].layer == "pair 4 2"
    assert str(summary.rows[1].output) == "2x6x6"


def test_auxiliary_heads_stand_apart() -> None:
    summary = summary_of("input x: 8\ndense 4\naux side: { head: dense 2 }\ndense 3")
    assert (summary.totals.params, summary.aux.params) == (36 + 15, 10)
    assert [row.name for row in summary.rows if row.aux] == ["side", "side.head"]
    assert "10 parameters more" in render(summary)


def test_symbolic_sizes_stay_expressions() -> None:
    summary = summary_of("input image: 3xHxW; conv 2 k1")
    assert str(summary.totals.macs) == "6*H*W"
    assert summary.as_json()["totals"]["activation_bytes"] == "8*H*W"
    assert "6*H*W" in render(summary)


def test_the_headline_says_what_a_net_is_for() -> None:
    summary = summarize(check_text("net n { input x: 3xHxW where H % 2 == 0, W <= 9; relu }").graph)
    assert render(summary).splitlines()[0] == "n: x 3xHxW -> output 3xHxW where H % 2 == 0, W <= 9"
    assert summary.as_json()["constraints"] == ["H % 2 == 0", "W <= 9"]


def test_text_has_a_line_for_each_row_and_exact_totals() -> None:
    text = render(summary_of("input image: 1x28x28; c1: conv 6 k5 p2 -> flatten -> fc: dense 10"), neurons=True)
    assert text.splitlines()[0] == "n: image 1x28x28 -> output 10"
    cells = [line.split() for line in text.splitlines()]
    assert cells[5][:12] == ["c1", "conv", "6", "k5", "p2", "6x28x28", "156", "118", "K", "18.4", "KiB", "5x5"]
    assert cells[-5][:2] == ["parameters", "47,206"]


def test_json_counts_exactly() -> None:
    made = summary_of("input image: 3x227x227; c1: conv 96 k11 s4").as_json()
    assert made["layers"][1]["params"] == 34_944
    assert made["layers"][1]["receptive_field"] == [11, 11]
    assert made["inputs"] == {"image": [3, 227, 227]}


def test_html_escapes() -> None:
    assert Table(["<a>"], [["x & y"]]).html().count("&lt;a&gt;") == 1
    assert "<table>" in summary_of("input x: 2; dense 2")._repr_html_()


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
