"""Values from outside: `--set`, and strings in Python, are read by the grammar of the language."""

from __future__ import annotations

from fractions import Fraction

import pytest

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.base.source import Source
from netdsl.compiler import check_text
from netdsl.elaborate.said import Said
from netdsl.recipe import words as recipe
from netdsl.training.overrides import override

NET = "net n(x = 1, act = relu, widths = [4]) { input a: 4; dense x; act; for w in widths { dense w } }"


def said(text):
    return Said.of(Source("--set", text), "train." * text.startswith("train."))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=2*8", 16), ("x=1/3", Fraction(1, 3)), ("x=0.1", Fraction(1, 10)), ("x=1e-3", Fraction(1, 1000)),
        ("x=-3", -3), ("x= - 3", -3), ("x=yes", True), ("x=no", False), ("x=[1, [2, 3]]", (1, (2, 3))),
        ("x=(1, 2)", (1, 2)),
        ("x=[]", ()), ('x="a = b; c"', "a = b; c"), ("x=k3", "k3"), ("x=skip", "skip"), ("x=True", "True"),
        ("x=[same, valid]", ("same", "valid")), ("x=max(1, 2) if 1 < 2 else 3", 2), ("x=[1, 2, 3][1:]", (2, 3)),
        ("x=[1,\n2]", (1, 2)),
    ],
)  # fmt: skip
def test_values(text, value):
    found = said(text).value()
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def refusal(act):
    with pytest.raises(NetdslError) as caught:
        act()
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("text", "code", "marked"),
    [
        ("x={[]:1}", "E0101", "{"), ("x=", "E0101", "x"), ("x=   ", "E0101", "x"),
        ("x=(3", "E0102", "("),
        ("x=3)", "E0101", ")"), ("x=3; y=4", "E0101", ";"), ("x=3\ny=4", "E0101", ""), ("x=3 4", "E0101", "4"),
        ("x='a'", "E0104", "'a'"), ("x=2*n", "E0310", "2*n"), ("x=@a", "E0507", "@a"),
        ("x=in.width", "E0502", "in.width"),
        ("x=10**10**9", "E0703", "10**10**9"), ("x=1 if 2 else 3", "E0305", "2"), ("x=[1][4]", "E0312", "4"),
        (f"x={'[' * 500}", "E0107", "["), (f"x=y{'[0:]' * 750}", "E0107", "]"), (f"x={'-' * 750}1", "E0107", "-"),
        ("x=__import__('os')", "E0104", "'os'"),
        ("x=__import__(1)", "E0202", "__import__(1)"), ("x=3x224x224", "E0101", "3x224x224"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_shown_in_the_option(text, code, marked):
    found = refusal(said(text).value)
    assert found.code == code
    assert found.span.source.text == text
    assert found.span.text == marked


def test_a_word_is_a_layer_or_a_block_where_there_is_one():
    def kinds(word):
        graph = check_text(
            f"block b {{ tanh }}\n{NET}", arguments={"act": said(f"act={word}"), "x": said("x=1+1")}
        ).graph
        return [node.layer.kind for node in graph.nodes]

    assert kinds("sigmoid") == ["input", "dense", "sigmoid", "dense"]
    assert kinds("b") == ["input", "dense", "tanh", "dense"]
    widths = check_text(NET, arguments={"widths": said("widths=[2, 3] + [5]")}).graph
    assert [node.type.shape for node in widths.nodes][-3:] == [(2,), (3,), (5,)]


def test_a_name_that_the_net_has_not_is_marked_in_the_option():
    found = refusal(lambda: check_text(NET, arguments={"widhts": said("widhts=[1]")}))
    assert (found.code, found.span.text, found.help) == ("E0301", "widhts", "did you mean `widths`?")


RECIPE = "net n { input a: 4; dense 3; train { optimizer sgd lr=0.1 momentum=0.9; batch 4; epochs 2 } }"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train.lr=1/4", "optimizer", recipe.Sgd(lr=0.25, momentum=0.9)),
        ("train.lr=2**-3", "optimizer", recipe.Sgd(lr=0.125, momentum=0.9)),
        ("train.nesterov=yes", "optimizer", recipe.Sgd(lr=0.1, momentum=0.9, nesterov=True)),
        ("train.optimizer=adam lr=1e-3", "optimizer", recipe.Adam(lr=1e-3)),
        ("train.optimizer=sgd 1/2 momentum=1 - 0.25", "optimizer", recipe.Sgd(lr=0.5, momentum=0.75)),
        ("train.loss=cross_entropy", "loss", recipe.CrossEntropy()),
        ("train.loss=cross_entropy label_smoothing=0.1", "loss", recipe.CrossEntropy(0.1)),
        ("train.batch=2*16", "batch", recipe.Batch(32)),
        ("train.augment=flip, crop 8 pad=1", "augment", (recipe.Flip(), recipe.RandomCrop(8, 1))),
    ],
)
def test_entries(text, key, value):
    graph = check_text(RECIPE).graph
    entry = said(text)
    for changes in ({entry.key.text: entry}, {entry.key.text: entry.span.text}):
        found = override(graph, changes).entries[key]
        assert (found if key == "augment" else found[0]) == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("train.batch=32; epochs 1", "E0101"), ("train.batch=32\nepochs 1", "E0101"), ("train.batch=", "E0101"),
        ("train.batch=32 }", "E0101"), ("train.batch=1/3", "E0307"), ("train.optimizer=sdg lr=1", "E0801"),
        ("train.lrr=1", "E0801"), ("train.lr=fast", "E0305"), ("train.lr={}", "E0101"),
        ("train.lr=1 momentum=1", "E0101"),
        ("train.loss=nll lr=3", "E0301"), ("train.optimizer=adam lr=x", "E0202"), ("train.epochs=1, 2", "E0802"),
    ],
)  # fmt: skip
def test_no_entry_is_lost_and_none_is_guessed(text, code):
    graph = check_text(RECIPE).graph
    entry = said(text)
    found = refusal(lambda: override(graph, {entry.key.text: entry}))
    assert found.code == code
    assert found.span.source.text == text


def test_numbers_and_lists_of_python_are_taken_as_they_are():
    graph = check_text(RECIPE).graph
    changed = override(graph, {"lr": 0.5, "batch": 8, "nesterov": True})
    assert changed.entries["optimizer"] == (recipe.Sgd(lr=0.5, momentum=0.9, nesterov=True),)
    assert changed.entries["batch"] == (recipe.Batch(8),)


@pytest.mark.parametrize(
    "value",
    [
        f"x{'[0:]' * 750}[0]",
        f"{'-' * 750}1",
        f"{'1**' * 750}1",
        f"{'1+' * 750}1",
        f"{'[' * 750}1{']' * 750}",
        f"x{'[0:][0:]' * 99}{'[1:]' * 9}",
    ],
)
def test_what_is_too_deep_has_a_place(value):
    found = refusal(lambda: check_text(f"net n(x = [1]) {{ input a: 4; dense {value} }}"))
    assert found.code == "E0107"
    assert found.span is not None


def test_a_list_of_python_that_is_in_itself_is_too_deep():
    endless = []
    endless.append(endless)
    found = refusal(lambda: netdsl.loads("net n(x = [1]) { input a: 4; dense x[0] }", x=endless))
    assert (found.code, "nested more than" in found.message) == ("E0703", True)


def test_a_long_chain_of_lets_is_no_traceback_in_python():
    pytest.importorskip("torch")
    lets = "\n".join(f"let v{i + 1} = v{i}" for i in range(400))
    net = netdsl.loads(f"net n {{ input a: 4; let v0 = 1\n{lets}\ndense v400 }}")
    assert refusal(net.to_torch_source).code == "E0702"
