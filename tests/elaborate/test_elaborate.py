"""Elaboration: what every construct of the language becomes, by the names and shapes of the nodes it makes."""

import textwrap

import pytest

from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check, check_text
from netdsl.ir.params import Init
from netdsl.recipe.words import Milestones


def graph_of(text, net=None, **arguments):
    return check_text(textwrap.dedent(text), net=net, arguments=arguments).graph


def nodes(body, head=""):
    """`name: shape` of every node but the input of a net with this body."""
    graph = graph_of(f"{head}\nnet test {{\ninput x: 4x8x8\n{textwrap.dedent(body)}\n}}")
    return [f"{node.name}: {node.type}" for node in graph.nodes if node.layer.kind != "input"]


CASES = {
    "ordinals by kind": ("conv 2 k1 -> relu -> conv 3 k1", ["conv1: 2x8x8", "relu1: 2x8x8", "conv2: 3x8x8"]),
    "a label names one layer": (
        "conv 2 k1 -> fc: conv 3 k1 -> conv 1 k1",
        ["conv1: 2x8x8", "fc: 3x8x8", "conv2: 1x8x8"],
    ),
    "an ordinal steps over a label": ("conv1: conv 2 k1\nconv 3 k1", ["conv1: 2x8x8", "conv2: 3x8x8"]),
    "positions in brackets": ("f: [ conv 2 k1 -> relu\nconv 3 k1 ]", ["f.0: 2x8x8", "f.1: 2x8x8", "f.2: 3x8x8"]),
    "a label in brackets takes a number too": (
        "f: [ conv 2 k1 -> act: relu -> conv 3 k1 ]",
        ["f.0: 2x8x8", "f.act: 2x8x8", "f.2: 3x8x8"],
    ),
    "an unlabelled group opens no scope": ("{ conv 2 k1 }\n[ conv 3 k1 ]", ["conv1: 2x8x8", "conv2: 3x8x8"]),
    "repeat opens no scope": ("f: [ conv 2 k1\nrepeat 2 { conv 3 k1 } ]", ["f.0: 2x8x8", "f.1: 3x8x8", "f.2: 3x8x8"]),
    "turns of a labelled repeat": (
        "r: repeat 2 { conv 2 k1 -> relu }",
        ["r.0.conv1: 2x8x8", "r.0.relu1: 2x8x8", "r.1.conv1: 2x8x8", "r.1.relu1: 2x8x8"],
    ),
    "turns with numbered members": ("r: repeat 2 [ conv 2 k1 ]", ["r.0.0: 2x8x8", "r.1.0: 2x8x8"]),
    "repeat nothing": ("repeat 0 { conv 2 k1 }\nrelu", ["relu1: 4x8x8"]),
    "counting loop": ("for i in 1..3 { c{i}: conv i k1 }", ["c1: 1x8x8", "c2: 2x8x8", "c3: 3x8x8"]),
    "counting loop that is empty": ("for i in 1..0 { conv i k1 }\nrelu", ["relu1: 4x8x8"]),
    "loop over pairs": ("for w, k in [(2, 1), (3, 3)] { conv w k=k }", ["conv1: 2x8x8", "conv2: 3x6x6"]),
    "loop over zip and enumerate": ("for i, w in enumerate([5, 6]) { c{i}: conv w k1 }", ["c0: 5x8x8", "c1: 6x8x8"]),
    "if and else": ("if in.channels > 4 { relu } else if in.width == 8 { tanh } else { sigmoid }", ["tanh1: 4x8x8"]),
    "let": ("let a, b = [2, 3]\nlet c = a * b\nconv c k1", ["conv1: 6x8x8"]),
    "let is local to its body": ("let a = 2\n{ let a = 3\nconv a k1 }\nconv a k1", ["conv1: 3x8x8", "conv2: 2x8x8"]),
    "skip": ("skip { conv 4 k3 p1 -> relu }", ["conv1: 4x8x8", "relu1: 4x8x8", "add1: 4x8x8"]),
    "shortcut": (
        "skip { conv 2 k1 } shortcut { down: [ conv 2 k1 ] }",
        ["conv1: 2x8x8", "down.0: 2x8x8", "add1: 2x8x8"],
    ),
    "shortcut where its condition fails": (
        "skip { conv 4 k1 } shortcut if in.channels != 4 { conv 4 k1 }",
        ["conv1: 4x8x8", "add1: 4x8x8"],
    ),
    "skip where its condition fails": ("skip if in.channels == 2 { conv 2 k1 }", ["conv1: 2x8x8"]),
    "a labelled skip is named by its sum": ("s: skip { conv 4 k1 }", ["s.conv1: 4x8x8", "s: 4x8x8"]),
    "concat": ("concat { conv 2 k1\nidentity\n@x }", ["conv1: 2x8x8", "identity1: 4x8x8", "concat1: 10x8x8"]),
    "joins take no number": (
        "f: [ add { relu\ntanh }\nconv 2 k1 ]",
        ["f.0: 4x8x8", "f.1: 4x8x8", "f.add1: 4x8x8", "f.2: 2x8x8"],
    ),
    "branches of a loop": (
        "concat { for w in [1, 2] { conv w k1 } }",
        ["conv1: 1x8x8", "conv2: 2x8x8", "concat1: 3x8x8"],
    ),
    "branches of a repeat": ("max { repeat 2 { conv 3 k1 } }", ["conv1: 3x8x8", "conv2: 3x8x8", "max1: 3x8x8"]),
    "a sequence as one branch": (
        "concat { { repeat 2 { conv 3 k1 } }\nrelu }",
        ["conv1: 3x8x8", "conv2: 3x8x8", "relu1: 4x8x8", "concat1: 7x8x8"],
    ),
    "a conditional branch": ("concat { relu\nif in.channels == 9 { tanh } }", ["relu1: 4x8x8", "concat1: 4x8x8"]),
    "other axes": ("concat axis=1 { relu\ntanh }", ["relu1: 4x8x8", "tanh1: 4x8x8", "concat1: 4x16x8"]),
    "tensors by name": (
        "a: conv 2 k1\nb: [ relu ]\n@a -> tanh\nadd { identity\n@b.0 }",
        ["a: 2x8x8", "b.0: 2x8x8", "tanh1: 2x8x8", "identity1: 2x8x8", "add1: 2x8x8"],
    ),
    "computed names": (
        "c0: conv 2 k1\nfor i in 1..2 { c{i}: add { @c{i-1}\nrelu } }",
        ["c0: 2x8x8", "c1.relu1: 2x8x8", "c1: 2x8x8", "c2.relu1: 2x8x8", "c2: 2x8x8"],
    ),
    "a learned tensor": (
        "param bias: 4x8x8\nadd { identity\n@bias }",
        ["bias: 4x8x8", "identity1: 4x8x8", "add1: 4x8x8"],
    ),
    "default in a body": ("{ default conv k=3 p=1\nconv 2 }\nconv 3 k1", ["conv1: 2x8x8", "conv2: 3x8x8"]),
    "a word that is a layer's name too": ("gelu approx=tanh", ["gelu1: 4x8x8"]),
    "expect": ("conv 2 k3\nexpect 2x6x6", ["conv1: 2x6x6"]),
}


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES.keys())
def test_constructs(body, expected):
    assert nodes(body) == expected


BLOCKS = """
default conv k=1
block unit(width, act = relu) { conv width -> act }
block pair(inner, width) [ inner width
inner width tanh ]
block deep(n, width) { conv width
if n > 0 { deep n-1 width } }
block merge(other) { add { identity
@other } }
"""

BLOCK_CASES = {
    "an unlabelled block is named by kind and ordinal": (
        "unit 2 -> unit 3",
        ["unit1.conv1: 2x8x8", "unit1.relu1: 2x8x8", "unit2.conv1: 3x8x8", "unit2.relu1: 3x8x8"],
    ),
    "a layer as an argument": ("u: unit 2 tanh", ["u.conv1: 2x8x8", "u.tanh1: 2x8x8"]),
    "a block as an argument": (
        "p: pair unit 2",
        ["p.0.conv1: 2x8x8", "p.0.relu1: 2x8x8", "p.1.conv1: 2x8x8", "p.1.tanh1: 2x8x8"],
    ),
    "a block that calls itself and ends": ("d: deep 1 2", ["d.conv1: 2x8x8", "d.deep1.conv1: 2x8x8"]),
    "a tensor as an argument": (
        "a: conv 4 -> tanh -> merge @a",
        ["a: 4x8x8", "tanh1: 4x8x8", "merge1.identity1: 4x8x8", "merge1.add1: 4x8x8"],
    ),
}


def test_a_learned_tensor_has_the_value_it_is_given_at_first():
    graph = graph_of("net n { input x: 4; let c = 4; param a: [c] = 1/c; param b: 4; add { identity; @a; @b } }")
    assert [p.spec.init for p in graph.params.values()] == [Init.constant(0.25), Init("normal", value=0.02)]


@pytest.mark.parametrize(("body", "expected"), BLOCK_CASES.values(), ids=BLOCK_CASES.keys())
def test_blocks(body, expected):
    assert nodes(body, BLOCKS) == expected


def test_a_block_keeps_the_defaults_of_its_place():
    text = """
    block before { conv 2 k1 }
    default conv bias=no
    block after { conv 2 k1 }
    net test { input x: 4x8x8
    before -> after }
    """
    assert list(graph_of(text).params) == ["before1.conv1.weight", "before1.conv1.bias", "after1.conv1.weight"]


def test_reuse_shares_parameters_and_counts_them_once():
    graph = graph_of("""
    net siamese { input left: 1x8x8
    input right: 1x8x8
    @left -> tower: { conv 2 k3 -> relu -> flatten -> fc: dense 3 }
    @right -> reuse tower
    add { @tower
    identity } }
    """)
    assert [n.name for n in graph.nodes if n.layer.kind == "dense"] == ["tower.fc", "tower_reuse1.fc"]
    first, second = (n for n in graph.nodes if n.layer.kind == "dense")
    assert first.params["weight"] is second.params["weight"]
    assert sum(p.spec.elements for p in graph.params.values()) == 2 * 9 + 2 + 3 * 72 + 3


REUSE_CASES = {
    "members of a reuse have paths": (
        "a: { conv 4 k1 -> c: relu }\nb: reuse a\nconcat { @b.c\n@b }",
        ["a.conv1: 4x8x8", "a.c: 4x8x8", "b.conv1: 4x8x8", "b.c: 4x8x8", "concat1: 8x8x8"],
    ),
    "one turn of a loop": (
        "r: repeat 2 { conv 4 k1 }\nreuse r.0",
        ["r.0.conv1: 4x8x8", "r.1.conv1: 4x8x8", "0_reuse1.conv1: 4x8x8"],
    ),
    "a later `let` changes nothing": (
        "let w = 3\na: { conv 4 k=w p1 }\nlet w = 1\nreuse a",
        ["a.conv1: 4x8x8", "a_reuse1.conv1: 4x8x8"],
    ),
}


@pytest.mark.parametrize(("body", "expected"), REUSE_CASES.values(), ids=REUSE_CASES.keys())
def test_reuse(body, expected):
    assert nodes(body) == expected


def test_reuse_keeps_the_defaults_of_the_first_use():
    graph = graph_of("net test { input x: 4x8x8\na: conv 4 k1\ndefault conv bias=no\nreuse a }")
    assert [list(node.params) for node in graph.nodes] == [[], ["weight", "bias"], ["weight", "bias"]]


def test_reuse_reads_the_labels_seen_where_the_group_is_written():
    graph = graph_of("""
    net test { input x: 4x8x8
    g: { a: conv 4 k1
    h: { add { relu
    @a } } }
    s: { a: conv 4 k1
    reuse g.h } }
    """)
    assert [source.name for source in graph.outputs["output"].inputs] == ["s.h_reuse1.relu1", "g.a"]


def test_defaults_belong_to_a_layer_whatever_name_holds_it():
    text = """
    default conv k=1 bias=no
    block unit(layer) { layer 4 }
    block other(conv) { conv 4 }
    net test { input x: 4x8x8
    unit conv -> other dense }
    """
    assert list(graph_of(text).params) == ["unit1.conv1.weight", "other1.dense1.weight", "other1.dense1.bias"]


@pytest.mark.parametrize(
    "body",
    [
        "unit -> unit",
        "relu\noutput side\nunit",
        "unit\noutput side",
        "relu\noutput x",
        "param p: 4x8x8\nadd { identity\n@p }\noutput p",
    ],
)
def test_outputs_of_all_kinds_have_names_of_their_own(body):
    with pytest.raises(NetdslError) as caught:
        nodes(body, "block unit { aux side: { flatten }\nconv 2 k1 }")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["E0506"]


def test_defaults_of_a_block_speak_of_the_tensor_that_reaches_it():
    blocks = "block half(n = in.channels // 2, k = n) { conv n k1 -> conv k k1 }"
    assert nodes("half -> half 3", blocks)[1::2] == ["half1.conv2: 2x8x8", "half2.conv2: 3x8x8"]
    assert nodes("reshape [4, 64] -> half 3 k=in.length", "block half(n, k) { conv k k1 }")[1] == "half1.conv1: 64x64"


def test_variants_fix_arguments_and_the_caller_wins():
    text = """
    net base(width, depth = 1, classes = 10) { input x: 4x8x8
    repeat depth { conv width k1 }
    flatten -> dense classes }
    net wide = base(32)
    net deep = wide(depth=3)
    """
    assert [n.type.shape[0] for n in graph_of(text, "deep").nodes if n.layer.kind == "conv"] == [32, 32, 32]
    graph = graph_of(text, "deep", classes=3, width=5)
    assert [n.type.shape[0] for n in graph.nodes if n.layer.kind == "conv"] == [5, 5, 5]
    assert str(graph.outputs["output"].type) == "3"


VARIANTS = """
let cats = ["lion", "lynx"]
net base(width, classes = 3) { input x: 4
dense width -> dense classes
labels ["a", "b", "c"]
assert params < 100
train { loss cross_entropy; batch 4 } }
net narrow = base(2) { assert params == 4*2 + 2 + 2*3 + 3; expect [len(cats) + 1] }
net recipe = narrow() { train { batch 8 } }
net two = recipe(classes=2) { labels cats }
net three = two(width=3) { train { batch 16 }; assert layers == 2 }
"""


@pytest.mark.parametrize(
    ("name", "labels", "batch"),
    [
        ("narrow", ("a", "b", "c"), 4),
        ("recipe", ("a", "b", "c"), 8),
        ("two", ("lion", "lynx"), 8),
        ("three", ("lion", "lynx"), 16),
    ],
)
def test_a_variant_may_have_labels_and_a_recipe_of_its_own(name, labels, batch):
    graph = graph_of(VARIANTS, name)
    assert graph.labels == labels
    assert graph.recipe.entries["batch"][0].value == batch
    assert ("loss" in graph.recipe.entries) == (name == "narrow")


def test_a_variant_promises_for_its_own_arguments_alone():
    graph_of(VARIANTS, "narrow", width=3)
    broken = VARIANTS.replace("3 + 3;", "3 + 4;")
    graph_of(broken, "two")
    with pytest.raises(NetdslError, match="`params` is 19"):
        graph_of(broken, "narrow")
    with pytest.raises(NetdslError, match="was promised"):
        graph_of(broken, "narrow", width=50)  # what the base promises holds for all


def test_names_of_layers_and_blocks_are_arguments_from_outside():
    text = """
    block twice(act) { act -> act }
    net base(unit, act = relu) { input x: 4
    unit act }
    """
    assert [n.layer.kind for n in graph_of(text, "base", unit="twice", act="tanh").nodes] == ["input", "tanh", "tanh"]


def test_outputs_aux_labels_and_recipe():
    graph = graph_of("""
    net test { input x: 4x8x8
    labels ["cat", "dog"]
    flatten -> dense 8
    output features
    aux side: { dense 2 -> relu }
    dense 2
    output logits
    train { loss cross_entropy; optimizer sgd lr=0.1 momentum=0.9; schedule milestones [3, 5]
            augment flip, crop 8 pad=4; batch 16 }
    }
    """)
    assert {name: node.name for name, node in graph.outputs.items()} == {"features": "dense1", "logits": "dense2"}
    assert {name: node.name for name, node in graph.aux.items()} == {"side": "side.relu1"}
    assert graph.labels == ("cat", "dog")
    assert graph.recipe.entries["optimizer"][0].momentum == 0.9
    assert graph.recipe.entries["schedule"] == (Milestones((3, 5), factor=0.1),)
    assert [type(item).__name__ for item in graph.recipe.entries["augment"]] == ["Flip", "RandomCrop"]


def test_an_aux_is_a_labelled_thing_without_a_number():
    graph = graph_of("""
    block head(n) = dense n -> relu
    net test { input x: 4
    all: [ relu
    for i in 1..2 { aux side{i}: head i }
    dense 3 ]
    aux again: @all }
    """)
    aux = {name: node.name for name, node in graph.aux.items()}
    assert aux == {"side1": "all.side1.relu1", "side2": "all.side2.relu1", "again": "all.1"}
    assert list(graph.outputs) == ["output"]


def test_outputs_in_a_chain():
    graph = graph_of("""
    net test { input x: 4x8x8
    flatten -> dense 8 -> output features -> relu -> output active
    add { identity -> output again ; relu } -> dense 2 -> output logits }
    """)
    named = {name: node.name for name, node in graph.outputs.items()}
    assert named == {"features": "dense1", "active": "relu1", "again": "identity1", "logits": "dense2"}


@pytest.mark.parametrize(
    ("chain", "body"),
    [
        ("conv 2 k1 -> a: conv 3 k1 -> relu", "{ conv 2 k1 -> a: conv 3 k1 -> relu }"),
        ("skip { conv 4 k1 } -> relu", "{ skip { conv 4 k1 } -> relu }"),
        ("concat { relu\nconv 2 k1 }", "{ concat { relu\nconv 2 k1 } }"),
        ("[ conv 2 k1 -> relu ]", "[ conv 2 k1 -> relu ]"),
        ("[ conv 2 k1 -> relu ] -> relu", "{ [ conv 2 k1 -> relu ] -> relu }"),
        ("a: [ conv 2 k1 -> relu ]", "{ a: [ conv 2 k1 -> relu ] }"),
    ],
)
def test_a_block_may_be_a_chain(chain, body):
    one, other = (nodes("unit -> unit", f"block unit {text}") for text in (f"= {chain}", body))
    assert one == other


def test_symbolic_sizes_of_a_residual_net():
    graph = graph_of("""
    net test { input x: 3xHxW
    conv 8 k7 s2 p3 -> maxpool k3 s2 p1
    skip { conv 16 k3 s2 p1 -> conv 16 k3 p1 } shortcut { conv 16 k1 s2 }
    global_avgpool -> flatten -> dense 10 }
    """)
    assert str(graph.outputs["output"].type) == "10"


def test_use_of_other_files(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "unit.net").write_text("block unit(width) { conv width k1 -> relu }\n")
    (tmp_path / "main.net").write_text('use "parts/unit.net"\nnet main { input x: 4x8x8\nunit 2 }\n')
    assert [node.name for node in check(str(tmp_path / "main.net")).graph.nodes] == ["x", "unit1.conv1", "unit1.relu1"]


def test_values_of_a_file(tmp_path):
    (tmp_path / "values.net").write_text("let narrow, wide = [2, 3]\nlet act = relu\nlet tail = [wide, narrow]\n")
    (tmp_path / "main.net").write_text("""
    use "values.net"
    let third = tail[-1] + 2
    default conv k=narrow
    block unit(width = third) { conv width -> act }
    net main(size = wide) { input x: [1, size, 8]
    let act = tanh
    unit -> unit narrow -> act }
    net other = main(size=wide + wide)
    """)
    made = [node.name for node in check(f"{tmp_path / 'main.net'}:main").graph.nodes]
    assert made == ["x", "unit1.conv1", "unit1.relu1", "unit2.conv1", "unit2.relu1", "tanh1"]
    assert str(check(f"{tmp_path / 'main.net'}:other").graph.outputs["output"].type) == "2x4x6"


def test_several_errors_in_one_run():
    with pytest.raises(NetdslError) as caught:
        graph_of("""
        net test { input x: 4x8x8
        conv 8 k9
        convv 8 k3
        conv 8 k3 stride=2
        let y = 1 / 0
        conv y k1 -> relu
        dense 10 q=1 }
        """)
    assert [d.code for d in caught.value.diagnostics] == ["E0402", "E0201", "E0301", "E0308", "E0301"]


def test_an_error_in_a_loop_is_told_once_with_its_calls():
    with pytest.raises(NetdslError) as caught:
        graph_of("""
        block inner(w) { conv w k9 }
        block outer(w) { inner w }
        net test { input x: 4x8x8
        concat { repeat 3 { outer 2 } } }
        """)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0402"
    assert [call for call, _ in diagnostic.stack] == ["inner", "outer"]


def test_a_broken_promise_shows_both_sides():
    with pytest.raises(NetdslError) as caught:
        graph_of("net test { input x: 4x8x8\nconv 2 k1\nassert params == 11 }")
    assert "`params` is 10" in str(caught.value)
