"""Names: one grammar wherever they stand, nothing of them executed, and a path belongs to one layer."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from torch import fx, nn

import netdsl
from netdsl.backends.onnx.lower import lower as lower_to_onnx
from netdsl.backends.torch import lower as torch_backend
from netdsl.backends.torch_source.python import docstring, flat
from netdsl.base.diagnostics import INVISIBLE, NetdslError
from netdsl.base.naming import MAX_NAME_LENGTH, is_name, is_path, need_name
from netdsl.cli import main
from netdsl.ir.graph import Graph
from netdsl.ir.invariants import GraphError, verify
from netdsl.syntax.grammar import grammar
from netdsl.weights.initial import Initializer

FX_PAYLOAD = "\\. , getattr(__import__('os'),'system')('touch executed'))) #"
"""Behind a letter, the path of a submodule by which torch.fx writes a call of `touch` into its code."""
SOURCE_PAYLOAD = "'+str(__import__('os').system('touch executed'))+'"
"""Within a text that is quoted by pattern, a call of `touch`."""

TAILS = {
    "a call for fx": FX_PAYLOAD,
    "a call for Python": SOURCE_PAYLOAD,
    "a single quote": "'",
    "backslashes": "\\\\",
    "a dot": ".b",
    "brackets": "[0](){}",
    "a blank": " ",
    "a slash": "/Conv",
    "a hyphen": "-b",
    "an escape": "\x1b[31m",
    "an operating system command": "\x1b]0;title\x07",
    "a control of one byte": "\x9b31m",
    "a backspace": "\x08",
    "a direction": "\u202e",
    "an invisible": "\u200b",
    "a letter of another script": "\u0430",
    "a wide digit": "\uff11",
    "a separator of lines": "\u2028",
    "10,000 characters": "a" * 10_000,
}
"""What a string of the language can hold, and no name."""

PLACES = {
    "a label": 'a{"TAIL"}: conv 4 k1',
    "a label in a group": 'g: { conv 4 k1 -> a{"TAIL"}: conv 4 k1 }',
    "a label of a group": 'a{"TAIL"}: { conv 4 k1 }',
    "a label of a loop": 'a{"TAIL"}: repeat 2 { conv 4 k1 }',
    "a label in a loop": 'for s in ["TAIL"] { a{s}: conv 4 k1 }',
    "a label of a block": 'a{"TAIL"}: part 4',
    "a label in a block": 'named "TAIL"',
    "a reference": 'a: conv 4 k1\nadd { @a ; @a{"TAIL"} }',
    "a step of a reference": 'a: { b: conv 4 k1 }\nadd { @a.b ; @a.b{"TAIL"} }',
    "a reuse": 'a: conv 4 k1\nreuse a{"TAIL"}',
    "an auxiliary output": 'conv 4 k1\naux a{"TAIL"}: conv 2 k1',
    "what is reused as": 'a: conv 4 k1\nb{"TAIL"}: reuse a',
}
BLOCKS = "block part(n) { conv n k1 -> relu }\nblock named(s) { a{s}: conv 4 k1 }\n"

COMMANDS = {
    "check": "check n.net",
    "summary": "summary n.net",
    "compile": "compile n.net -o out.onnx",
    "compile to PyTorch": "compile n.net --to pytorch -o out.py",
    "compile to PyTorch, printed": "compile n.net --to pytorch -o -",
    "compile, the graph": "compile n.net --emit graph",
    "compile, the model": "compile n.net --emit onnx",
    "bench": "bench n.net",
    "verify": "verify n.net",
    "train": "train n.net --data digits",
    "weights": "weights w.npz --net n.net",
}


def net(body, head="input x: 4x8x8"):
    return f"{BLOCKS}net n {{\n{head}\n{body}\n}}\n"


def errors_of(text):
    with pytest.raises(NetdslError) as caught:
        netdsl.loads(text)
    return caught.value.diagnostics


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shows_nothing_hidden(text):
    return all(INVISIBLE.search(line) is None for line in text.split("\n"))


# -------------------------------------------------------------------------------------------- the grammar


def test_the_grammar_of_names_is_that_of_the_language():
    (terminal,) = [found for found in grammar().terminals if found.name == "NAME"]

    written = re.compile(terminal.pattern.to_regexp())
    for text in [*(f"a{tail}" for tail in TAILS.values()), "", "a", "_", "A1_", "1a", "a\n", "\na", "à", "a b"]:
        assert is_name(text) == (written.fullmatch(text) is not None), text


@pytest.mark.parametrize("text", ["", "a\n", "a.b", "1a", "a-1", "é", "a\x00"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(NetdslError) as caught:
        need_name(text, None)
    assert caught.value.diagnostics[0].code == "E0112"


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a. b", "a.b\n", "a/b"])
def test_what_is_no_path(text):
    assert not is_path(text)


def test_what_is_a_path():
    assert all(map(is_path, ["a", "a.b", "a.0.b", "a.0_reuse1"]))


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_name_is_refused_at_its_place(place, tail):
    found = errors_of(net(PLACES[place].replace("TAIL", TAILS[tail])))
    assert {diagnostic.code for diagnostic in found} <= {"E0111", "E0112"}
    assert all(diagnostic.span is not None for diagnostic in found)
    assert shows_nothing_hidden(str(NetdslError(found)))
    assert len(str(NetdslError(found)).splitlines()) < 20


@pytest.mark.parametrize("value", ['a"b', "a\nb", "a\r", "\ud800", "\x00"])
def test_a_name_computed_from_a_string_of_the_api(value):
    with pytest.raises(NetdslError) as caught:
        netdsl.loads("net n(s) {\ninput x: 4\na{s}: dense 2\n}", s=value)
    assert [d.code for d in caught.value.diagnostics] == ["E0112"]
    assert caught.value.diagnostics[0].span is not None
    assert shows_nothing_hidden(str(caught.value))


@pytest.mark.parametrize("number", ["-1", "1-3"])
def test_a_negative_number_makes_no_name(number):
    assert [d.code for d in errors_of(net(f"a{{{number}}}: conv 4 k1"))] == ["E0112"]


@pytest.mark.parametrize("label", ['i{"f"}', 'inpu{"t"}', 'shor{"tcut"}'])
def test_a_computed_label_is_no_word_of_the_language(label):
    assert [d.code for d in errors_of(net(f"{label}: conv 4 k1"))] == ["E0109"]


@pytest.mark.parametrize("label", ["a{0}", "a{12}", 'a{"_b1"}', 'a{""}', 'n{"et"}', "k{3}", f'a{{"{"b" * 99}"}}'])
def test_computed_labels_that_are_names(label):
    graph = netdsl.loads(net(f"{label}: conv 4 k1")).graph
    assert all(is_path(node.name) and len(node.name) <= MAX_NAME_LENGTH for node in graph.nodes)


@pytest.mark.parametrize(
    "text",
    [
        "net n.m { input x: 4; dense 2 }",
        "net n { input x.y: 4; dense 2 }",
        "net n { input \u0445: 4; dense 2 }",
        "net n { input x: 4; dense 2 -> output a'b }",
        'net n { input x: 4; dense 2 -> output "a" }',
        "net n { input x: 4; param a\x1b: 4; add { @x; @a } }",
        f"net n {{ input x: 4; aux {'a' * 10_000}: dense 2; dense 2 }}",
        f"net {'n' * 10_000} {{ input x: 4; dense 2 }}",
        "block b(a\\) { relu }\nnet n { input x: 4; b 1 }",
        "net n { input x: 4; let \u202e = 1; dense 2 }",
        "net n { input x: 4; dense 2; expect \u0661 }",
        'net n { input x: 4; dense 2; labels ["a", "\x1b[31mb"] }',
        'net n { input x: 4; dense 2; labels ["a\u202e", "b"] }',
    ],
)
def test_names_that_are_written_are_refused_at_their_place(text):
    found = errors_of(text)
    assert all(d.span is not None for d in found)
    assert shows_nothing_hidden(str(NetdslError(found)))


# -------------------------------------------------------------------------------------------- through the commands


@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_name_through_every_command(folder, command):
    """All tails in one net: each is refused with its place, nothing is executed, written or hidden."""
    lines = [f'l{number}{{"{tail}"}}: conv 4 k1' for number, tail in enumerate(TAILS.values())]
    (folder / "n.net").write_text(net("\n".join(lines)), encoding="utf-8")
    np.savez(folder / "w.npz", a=np.zeros(3))
    before = sorted(folder.iterdir())
    result = CliRunner().invoke(main, COMMANDS[command].split())
    assert result.exit_code == 1, result.output
    assert shows_nothing_hidden(result.output)
    for number in range(len(TAILS)):
        assert f"--> n.net:{number + 5}:" in result.output
    assert result.output.count("error[E011") == len(TAILS)
    assert sorted(folder.iterdir()) == before


@pytest.mark.usefixtures("folder")
def test_the_payloads_of_these_tests_would_run_behind_no_wall():
    """What the walls are for: fx writes a path into its code as it stands, and so would a text quoted by pattern."""
    root = nn.Module()
    path = f"a{FX_PAYLOAD}"
    root.add_module("a\\", nn.Module())
    getattr(root, "a\\").add_module(path.partition(".")[2], nn.Identity())
    graph = fx.Graph()
    graph.output(graph.call_module(path, (graph.placeholder("x"),)))
    with pytest.raises(TypeError):  # after `touch`
        fx.GraphModule(root, graph)(torch.zeros(1))
    assert Path("executed").exists()
    Path("executed").unlink()
    assert eval(f"'a{SOURCE_PAYLOAD}'") == "a0"  # noqa: S307 - the payload is ours
    assert Path("executed").exists()
    Path("executed").unlink()
    with pytest.raises(ValueError, match="fx would write"):
        torch_backend._need_plain(graph)
    assert not Path("executed").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("lower", [lower_to_onnx, lambda graph: torch_backend.lower(graph, Initializer())])
@pytest.mark.parametrize("hostile", [f"a{FX_PAYLOAD}", f"a{SOURCE_PAYLOAD}", "a\nb", "", "a."])
def test_a_graph_made_by_hand_meets_the_wall(lower, hostile):
    graph = netdsl.loads(net("a: conv 4 k1 -> output y")).graph
    node, param = graph.nodes[1], graph.nodes[1].params["weight"]
    for changed in (
        Graph(hostile, graph.nodes, graph.outputs),
        Graph("n", graph.nodes, {hostile: node}),
        Graph("n", graph.nodes, graph.outputs, aux={hostile: node}),
    ):
        with pytest.raises(NetdslError, match="E0112"):
            lower(changed)
    node.name = hostile
    with pytest.raises(NetdslError, match=r"E0112(.|\n)*<string>:5"):
        lower(graph)
    node.name, node.params["weight"] = "a", replace(param, name=hostile)
    with pytest.raises(NetdslError, match="E0112"):
        lower(graph)
    with pytest.raises(GraphError, match="expected a path"):
        verify(graph)
    assert not Path("executed").exists()


# -------------------------------------------------------------------------------------------- words of Python

WORDS = ["class", "None", "True", "lambda", "async", "if", "self", "__class__", "__import__", "__init__", "__x",
         "forward", "training", "half"]  # fmt: skip
LANGUAGE = {"if"}
ELSE_TAKEN = {("True", "a parameter"), ("False", "a parameter"), ("true", "a parameter"), ("slice", "a block"),
              ("slice", "a net")}  # fmt: skip
"""What the language does not call a value or a block so."""
FREE = ["match", "case", "type", "_", "inf", "nan", "device", "slice", "getattr", "exec", "print", "operator", "super",
        "math", "functional", "pytree", "size_1", "true", "none"]  # fmt: skip
PYTHON_PLACES = {
    "an input": "net n { input WORD: 4x8x8\nb: [ conv 4 k3 p1 -> relu ]\ncrop p=1 }",
    "a label": "net n { input x: 4x8x8\nWORD: conv 4 k1 }",
    "a label of a group": "net n { input x: 4x8x8\nWORD: { conv 4 k1 } -> relu }",
    "a learned tensor": "net n { input x: 4x8x8\nparam WORD: 4x8x8\nadd { @x ; @WORD } }",
    "an output": "net n { input x: 4x8x8\nconv 4 k1 -> output WORD\nconv 4 k1 -> output other }",
    "an auxiliary output": "net n { input x: 4x8x8\naux WORD: { conv 3 k1 -> relu }\nconv 4 k1 }",
    "a block": "block WORD(n) { add { conv n k1 ; conv n k1 } }\nnet n { input x: 4x8x8\na: WORD 4 -> b: WORD 5 }",
    "a parameter": "block b(WORD) { add { conv WORD k1 ; conv WORD k1 } }\nnet n { input x: 4x8x8\nb 4 -> b 5 }",
    "a net": "net WORD { input x: 4x8x8\nconv 4 k1 }",
}


@pytest.mark.parametrize("place", PYTHON_PLACES)
@pytest.mark.parametrize("word", [*WORDS, *FREE])
def test_words_of_python_are_names(word, place):
    """Harmless in ONNX; in PyTorch both forms refuse them with their place, or both compute the same."""
    text = PYTHON_PLACES[place].replace("WORD", word)
    if word in LANGUAGE or (word, place) in ELSE_TAKEN:
        assert all(d.span is not None for d in errors_of(text))
        return
    network = netdsl.loads(text)
    if word in ("self", "class", "__import__", "inf"):  # a few of each kind, since this takes the longest
        onnx.checker.check_model(network.to_onnx(), full_check=True)
    taken = []
    for made in (network.to_torch, network.to_torch_source):
        try:
            made()
        except NetdslError as error:
            (diagnostic,) = error.diagnostics
            assert diagnostic.code == "E0910"
            assert diagnostic.span is not None
            taken.append(word)
    if place in ("an output", "a block", "a parameter", "a net") or (word in FREE and place != "a label"):
        assert (taken == []) or (word in dir(nn.Module()))
    if word in WORDS and place in ("a label", "a learned tensor"):
        assert taken == [word, word]
    if taken:
        return
    module, space = network.to_torch().eval(), {}
    exec(compile(network.to_torch_source(), "source", "exec"), space)  # noqa: S102 - what is tested
    (*_, made) = [found for found in space.values() if isinstance(found, type) and found.__module__ == "builtins"]
    written = made().eval()
    written.load_state_dict(module.state_dict())
    sample = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
    ours, theirs = module(sample), written(sample)
    pairs = [(ours[name], theirs[name]) for name in ours] if isinstance(ours, dict) else [(ours, theirs)]
    assert all(torch.equal(left, right) for left, right in pairs)


@pytest.mark.parametrize("word", keyword.kwlist)
def test_no_word_of_python_comes_into_a_module(word):
    node = netdsl.loads(net("conv 4 k1")).graph.nodes[1]
    for taken in (torch_backend.WORDS, torch_backend.ATTRIBUTES):
        with pytest.raises(NetdslError, match="E0910"):
            torch_backend.need_free(word, node, taken)


# -------------------------------------------------------------------------------------------- generated source

TEXTS = ["a", "it's", 'a "b"', "'\"", "\\", "\\'", "\n", "\x1b[31m", "\u202e", "1e-05", "e-05'", '"""', "'''", "é",
         SOURCE_PAYLOAD, FX_PAYLOAD, "", "{x}", "\ud800", "\u2028"]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_in_python_is_itself(text):
    for value in (ast.Constant(text), ast.Call(ast.Name("f"), [ast.Constant(text), ast.Constant(1e-05)], [])):
        written = flat(value)
        assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(ast.unparse(value)))
        assert written.isprintable()
    joined = ast.JoinedStr([ast.Constant(text), ast.FormattedValue(ast.Name("i"), -1)])
    assert eval(flat(joined), {"i": 3}) == f"{text}3"  # noqa: S307 - a tree of ours


def test_plain_texts_and_numbers_are_written_as_ruff_does():
    call = ast.Call(ast.Name("f"), [ast.Constant("zeros"), ast.Constant(1e-05), ast.Constant("1e-05")], [])
    assert flat(call) == 'f("zeros", 1e-5, "1e-05")'


@pytest.mark.parametrize("text", TEXTS[:-2])
def test_a_docstring_is_its_text(text):
    for whole in (f"{text}.", f"The title.\n\n{text}\n"):
        (statement,) = ast.parse(docstring(whole)).body
        assert statement.value.value == whole


COMMENTS = ['"""', "\\", '"', '\\"', "'''\"\"\"", "\x1b[31mred\x07", "\u202eb", f"{{{'x' * 300}}}"]


@pytest.mark.parametrize("comment", COMMENTS)
def test_the_comment_of_a_file_is_text_in_its_source(comment):
    network = netdsl.loads(f"# {comment}\n# second {comment}\nnet n {{ input x: 4\ndense 2 }}")
    source = network.to_torch_source()
    assert all(line.isprintable() for line in source.split("\n"))
    assert ast.get_docstring(ast.parse(source)).replace("\n", "").count(comment[:20]) == 2


@pytest.mark.usefixtures("folder")
def test_strings_of_arguments_stay_strings():
    text = """
block part(s, n) { if s == "a" { conv n k1 } else { conv n k3 p1 } }
block two(s) { add { part s 4 ; part s 4 } }
net n(s, t) { input x: 4x8x8 ; two s -> two t -> two "a" }
"""
    source = netdsl.loads(text, s=f'x{SOURCE_PAYLOAD}"\n', t="\\").to_torch_source()
    space = {}
    exec(compile(source, "source", "exec"), space)  # noqa: S102 - what is tested
    assert space["N"]()(torch.zeros(1, 4, 8, 8)).shape == (1, 4, 8, 8)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "text",
    [
        "net a { input x: 4x8x8\nblocks: [ g: repeat 2 { c: conv 4 k1 -> relu } ]\n@x -> reuse blocks.g.1.c -> relu }",
        "block b(n) { margins1: conv 4 k1\npad n -> relu }\nnet a { input x: 4x8x8\nb 1 -> b 2 }",
        "block b(A, a) { conv A k1 -> conv a k1 -> conv A+a k1 }\nnet a { input x: 4x8x8\nb 3 5 -> b 2 7 }",
        "net a { input x: 4x8x8\nconv 4 k1 -> C: conv 4 k1\nc: conv 4 k1\nadd { @C ; @c ; @x -> conv 4 k1 } }",
        "net a { input x: 4x8x8\na: { _b: conv 4 k1 } -> _: conv 4 k1 -> _a_: [ conv 4 k1 -> relu ] }",
        "net batch_norm { input x: 4x2x2x2x2\nbn }",
    ],
)
def test_names_that_meet_in_python_stay_apart(text):
    network = netdsl.loads(text)
    module, space = network.to_torch(), {}
    exec(compile(network.to_torch_source(), "source", "exec"), space)  # noqa: S102 - what is tested
    written = [found for found in space.values() if isinstance(found, type) and found.__module__ == "builtins"][-1]()
    written.load_state_dict(module.state_dict())
    sample = torch.randn(2, *network.graph.inputs[0].type.shape)
    assert torch.allclose(module(sample), written(sample), atol=1e-6)


# -------------------------------------------------------------------------------------------- one path, one layer


@pytest.mark.parametrize(
    "text",
    [
        'a: { b: conv 4 k1 }\na{".b"}: conv 4 k1',
        'a: [ conv 4 k1 -> relu ]\na{".0"}: conv 4 k1',
        "conv 4 k1\nconv1: conv 4 k1",
        "a: conv 4 k1\na: conv 4 k1",
        "a: conv 4 k1\nparam a: 4x8x8\nadd { identity ; @a }",
        "for i in 1..2 { a: conv 4 k1 }",
        "again: { if in.height > 4 { conv 4 k1 } else { conv 4 k1 bias=no } }\nmaxpool k2 -> reuse again",
        "again: { if in.height > 4 { conv 4 k3 p1 } else { conv 4 k3 d2 p2 } }\nmaxpool k2 -> reuse again",
        "again: { if in.height > 4 { conv 4 k1 -> relu } ; conv 4 k1 }\nmaxpool k2 -> reuse again",
    ],
)
def test_two_layers_have_two_paths(text):
    found = errors_of(net(text))
    assert {d.code for d in found} <= {"E0112", "E0113", "E0204"}
    assert all(d.span is not None for d in found)


@pytest.mark.parametrize(
    "text",
    [
        "conv1: conv 4 k1 -> conv 4 k1",
        "a: conv 4 k1 -> reuse a -> reuse a",
        "a: { b: conv 4 k1 }\nreuse a -> reuse a.b",
        "a: repeat 2 { conv 4 k1 }\nreuse a -> reuse a.0",
        "a: conv 4 k1\nweight: { param a: 4x8x8\nadd { identity ; @a } }",
    ],
)
def test_layers_that_are_applied_again_keep_their_path(text):
    graph = netdsl.loads(net(text)).graph
    verify(graph)
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)


def test_two_layers_on_one_path_are_no_whole_graph():
    graph = netdsl.loads(net("a: conv 4 k3 p1\nb: conv 4 k3 d2 p2")).graph
    first, second = graph.nodes[1:3]
    second.params.update(first.params)
    with pytest.raises(GraphError, match="a and b are different layers, and both have the parameters of a"):
        verify(graph)


def test_a_graph_is_held_to_its_invariants_under_debug(monkeypatch):
    monkeypatch.setattr("netdsl.ir.invariants.always", False)
    monkeypatch.setattr("netdsl.ir.invariants._RULES", (lambda graph: [f"seen {graph.name}"],))
    text = net("conv 4 k1")
    netdsl.loads(text)
    monkeypatch.setenv("NETDSL_DEBUG", "1")
    with pytest.raises(GraphError, match="seen n"):
        netdsl.loads(text)
