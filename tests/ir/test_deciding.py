"""What a net says of its inputs and outputs is decided from its layers, its form and its loss."""

from __future__ import annotations

import pytest

import netdsl
from netdsl.compiler import check_text
from netdsl.ir.deciding import described, endings
from netdsl.ir.meaning import Gives, Numbers, Pixels, Tokens


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def meaning_of(text):
    return described(check_text(text).graph)


@pytest.mark.parametrize(
    ("end", "recipe", "gives"),
    [
        ("dense 3", "", None),
        ("dense 3", "train { batch 8 }", Gives.LOGITS),
        ("dense 3 -> softmax", "", Gives.PROBABILITIES),
        ("dense 3 -> softmax -> identity -> dropout", "", Gives.PROBABILITIES),
        ("dense 3 -> log_softmax", "train { loss nll }", Gives.LOG_PROBABILITIES),
        ("dense 3 -> log_softmax", "train { epochs 3 }", Gives.LOG_PROBABILITIES),
        ("dense 3 -> log_softmax", "train { loss cross_entropy }", Gives.LOG_PROBABILITIES),
        ("dense 3", "train { loss binary_cross_entropy }", Gives.YES_LOGITS),
        ("dense 3 -> sigmoid -> flatten", "train { loss binary_cross_entropy }", Gives.YES_PROBABILITIES),
        ("dense 3 -> sigmoid -> reshape [3, 1] -> flatten", "", Gives.YES_PROBABILITIES),
        ("dense 1 -> hardsigmoid", "", Gives.YES_PROBABILITIES),
        ("dense 3 -> sigmoid", "train { loss quadratic }", Gives.YES_PROBABILITIES),
        ("dense 3", "train { loss quadratic }", Gives.VALUES),
        ("dense 3 -> relu", "", Gives.VALUES),
        ("dense 3 -> relu", "train { loss cross_entropy }", Gives.LOGITS),
        ("dense 8 -> rbf 3", "", Gives.DISTANCES),
        ("mean { dense 3 -> softmax; dense 3 -> softmax }", "", Gives.PROBABILITIES),
        ("mean { dense 3 -> softmax; dense 3 }", "", None),
        ("dense 3 -> softmax -> scale 2.0", "", None),
        ("reshape [2, 3] -> softmax axis=-1", "", Gives.VALUES),
        ("reshape [2, 3] -> softmax axis=-1 -> transpose (1, 0)", "", Gives.PROBABILITIES),
        ("reshape [3, 2] -> softmax -> flatten", "", Gives.VALUES),
        ("reshape [6, 1, 1] -> softmax -> flatten", "", Gives.PROBABILITIES),
    ],
)  # fmt: skip
def test_the_last_layer_and_the_loss_tell_what_an_output_is(end, recipe, gives):
    assert meaning_of(f"net n {{ input x: 6; {end}; {recipe} }}").outputs == (
        {} if gives is None else {"output": gives}
    )


def test_every_output_has_a_meaning_of_its_own():
    net = "net n { input x: 6; dense 3 -> output a -> sigmoid -> output b; train { loss binary_cross_entropy } }"
    assert meaning_of(net).outputs == {"a": Gives.YES_LOGITS, "b": Gives.YES_PROBABILITIES}
    assert netdsl.load("features").graph.meaning.outputs["features"] is Gives.VALUES


def test_a_mean_of_means_takes_no_longer_than_its_nodes():
    text = "net n { input x: 6; dense 2 -> softmax; " + "mean { identity; identity }; " * 60 + "}"
    graph = check_text(text).graph
    assert endings(graph)[graph.outputs["output"]] is Gives.PROBABILITIES


@pytest.mark.parametrize(
    ("net", "takes"),
    [
        ("input x: 3x8x8; flatten", Pixels(1, "rgb")),
        ("input x: 1xHxW; identity", Pixels(1, "grey")),
        ("input x: 4x8x8 uint8; identity", Pixels(255, "rgba")),
        ("input x: 5x8x8; flatten", Numbers()),
        ("input x: 28x28; flatten", Numbers()),
        ("input x: [T] int64; embedding 7 4", Tokens(7)),
        ("input x: [6] int32; reshape [2, 3] -> transpose (1, 0) -> embedding 7 4", Tokens(7)),
        ("input x: [6] int64; concat { @x -> embedding 9 4; @x -> embedding 5 4 }", Tokens(5)),
        ("input x: [6] int64; identity", Numbers()),
        (
            "input x: [2] int64; concat axis=-1 { slice 0 1 -> embedding 9 4; slice 1 -> embedding 5 4 }",
            Tokens(5, 0, (9, 5)),
        ),
        (
            (
                "input x: [2, 6] int64; "
                "concat { slice 0 1 -> flatten -> embedding 9 4; slice 1 -> flatten -> embedding 5 4 }"
            ),
            Tokens(5, 0, (9, 5)),
        ),
        (
            (
                "input x: [T, 3] int32; "
                "concat axis=1 { select [2, 0] axis=1 -> embedding 9 4; split 3 1 1 -> embedding 5 4 }"
            ),
            Tokens(5, 1, (9, 5, 9)),
        ),
        (
            (
                "input x: [3, T] int32; "
                "concat { select [2, 0, 2] -> slice 1 -> embedding 9 4; slice 1 2 -> embedding 5 4 }"
            ),
            Tokens(5, 0, (9, 5, 9)),
        ),
        (
            "input x: [3] int64; concat { select [0, 1, 0] -> embedding 9 4; select [2, 1, 2] -> embedding 5 4 }",
            Tokens(5, 0, (9, 5, 5)),
        ),
        ("input x: [3] int64; concat { slice 0 1 -> embedding 9 4; identity -> embedding 5 4 }", Tokens(5)),
        (
            "input x: [4] int64; concat { reshape [2, 2] -> flatten -> embedding 9 4; slice 3 -> embedding 5 4 }",
            Tokens(5, 0, (9, 9, 9, 5)),
        ),
    ],
)
def test_the_form_and_the_layers_tell_what_an_input_takes(net, takes):
    assert meaning_of(f"net n {{ {net} }}").inputs == {"x": takes}


def test_tokens_of_two_inputs_that_meet_in_one_table_are_both_bound():
    net = "net n { input a: [3] int64; input b: [4] int64; concat { @a; @b } -> embedding 6 2 }"
    assert meaning_of(net).inputs == {"a": Tokens(6), "b": Tokens(6)}
