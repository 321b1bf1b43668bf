"""From text to tree: constructs, layout, spans, comments, limits and recovery."""

import dataclasses
import gc
import logging
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import lark
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdsl.base.diagnostics import MAX_ERRORS, Diagnostic, NetdslError, render
from netdsl.base.resources import directory
from netdsl.base.source import Source
from netdsl.elaborate.calls import MADE_BY_STATEMENTS
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.layers.base import LAYERS
from netdsl.syntax import grammar as grammar_file
from netdsl.syntax import tree
from netdsl.syntax.grammar import grammar
from netdsl.syntax.parser import MAX_FILE_BYTES, never_labels, parse, read_source

GRAMMAR = (directory("grammars") / "netdsl.lark").read_text(encoding="utf-8")


def outline(node: object) -> str:
    """A tree as text: the types of its nodes and what they hold, without places."""
    if isinstance(node, tuple):
        return f"[{', '.join(map(outline, node))}]"
    if not isinstance(node, tree.Tree):
        return repr(node)
    held = [
        outline(getattr(node, f.name)) for f in dataclasses.fields(node) if f.name != "source" and "span" not in f.name
    ]
    return f"{type(node).__name__}({', '.join(held)})"


def statement(text: str) -> tree.Statement:
    """The tree of one statement."""
    net = parse(Source("test.net", f"net test {{\n{text}\n}}\n")).declarations[0]
    assert isinstance(net, tree.BlockDeclaration)
    (only,) = net.body.statements
    return only


def expression(text: str) -> str:
    """The outline of an expression."""
    let = statement(f"let x = {text}")
    assert isinstance(let, tree.Let)
    return outline(let.value)


def items(text: str) -> str:
    """The outlines of the items of a chain."""
    chain = statement(text)
    assert isinstance(chain, tree.Chain)
    return "; ".join(outline(link.item) for link in chain.links if isinstance(link, tree.Element))


def walk(node: object) -> Iterator[tree.Tree]:
    """A node and all below it."""
    if isinstance(node, tree.Tree):
        yield node
        for field in dataclasses.fields(node):
            yield from walk(getattr(node, field.name))
    elif isinstance(node, tuple):
        for item in node:
            yield from walk(item)


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    """What the parser says about a text."""
    try:
        parse(Source("test.net", text))
    except NetdslError as error:
        return error.diagnostics
    return ()


# ---------------------------------------------------------------------------------------------------- constructs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", "Constant(42)"),
        ("4.1e9", "Constant(4100000000.0)"),
        ("5e-4", "Constant(0.0005)"),
        ("yes", "Constant(True)"),
        ("no", "Constant(False)"),
        ('"# no comment"', "Constant('# no comment')"),
        ("width", "Name('width')"),
        ("in.channels", "InAttribute('channels')"),
        ("[]", "List([])"),
        (
            "[1, [2], (3, 4), (5,),]",
            "List([Constant(1), List([Constant(2)]), List([Constant(3), Constant(4)]), List([Constant(5)])])",
        ),
        ("(1)", "Constant(1)"),
        ("1 + 2 * 3", "Binary('+', Constant(1), Binary('*', Constant(2), Constant(3)))"),
        ("(1 + 2) * 3", "Binary('*', Binary('+', Constant(1), Constant(2)), Constant(3))"),
        ("7 - 2 - 1", "Binary('-', Binary('-', Constant(7), Constant(2)), Constant(1))"),
        (
            "7 / 2 // 3 % 4",
            "Binary('%', Binary('//', Binary('/', Constant(7), Constant(2)), Constant(3)), Constant(4))",
        ),
        ("-a**-b", "Unary('-', Binary('**', Name('a'), Unary('-', Name('b'))))"),
        ("2**a**b", "Binary('**', Constant(2), Binary('**', Name('a'), Name('b')))"),
        (
            "a * 2**b * c",
            "Binary('*', Binary('*', Name('a'), Binary('**', Constant(2), Name('b'))), Name('c'))",
        ),
        ("xs[i]**2", "Binary('**', Index(Name('xs'), Name('i')), Constant(2))"),
        ("xs[1:][-1]", "Index(Slice(Name('xs'), Constant(1), None), Unary('-', Constant(1)))"),
        ("in.shape[:i + 1]", "Slice(InAttribute('shape'), None, Binary('+', Name('i'), Constant(1)))"),
        ("(1, 2)[:]", "Slice(List([Constant(1), Constant(2)]), None, None)"),
        ("[a][\n0\n]", "Index(List([Name('a')]), Constant(0))"),
        ("-a * -2", "Binary('*', Unary('-', Name('a')), Unary('-', Constant(2)))"),
        (
            "not a == b and c or d",
            "Binary('or', Binary('and', Unary('not', Binary('==', Name('a'), Name('b'))), Name('c')), Name('d'))",
        ),
        ("a and not b", "Binary('and', Name('a'), Unary('not', Name('b')))"),
        ("a < 2 + 1", "Binary('<', Name('a'), Binary('+', Constant(2), Constant(1)))"),
        (
            "1 if a else 2 if b else 3",
            "Conditional(Constant(1), Name('a'), Conditional(Constant(2), Name('b'), Constant(3)))",
        ),
        ("min(a, max(1, 2))", "FunctionCall('min', [Name('a'), FunctionCall('max', [Constant(1), Constant(2)])])"),
        ("len(xs) - 1", "Binary('-', FunctionCall('len', [Name('xs')]), Constant(1))"),
        ("@enc3", "Reference([ReferencePart('enc3', None)])"),
        (
            "@layer1.0.conv1",
            "Reference([ReferencePart('layer1', None), ReferencePart('0', None), ReferencePart('conv1', None)])",
        ),
        ("@cell{i-1}", "Reference([ReferencePart('cell', Binary('-', Name('i'), Constant(1)))])"),
        (
            "@a.b{i}.c.d{2}",
            (
                "Reference([ReferencePart('a', None), ReferencePart('b', Name('i')), ReferencePart('c', None), "
                "ReferencePart('d', Constant(2))])"
            ),
        ),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert expression(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu", "Call('relu', [])"),
        (
            "conv 4*width k1",
            "Call('conv', [Argument(None, Binary('*', Constant(4), Name('width'))), Argument('k', Constant(1))])",
        ),
        (
            "conv 6 k3x5 p1x0",
            (
                "Call('conv', [Argument(None, Constant(6)), Argument('k', List([Constant(3), Constant(5)])), "
                "Argument('p', List([Constant(1), Constant(0)]))])"
            ),
        ),
        (
            "conv 6 k = (3, 5) p=same",
            (
                "Call('conv', [Argument(None, Constant(6)), "
                "Argument('k', List([Constant(3), Constant(5)])), Argument('p', Name('same'))])"
            ),
        ),
        (
            "normalize mean=0 max=1 if=2 input=3",
            (
                "Call('normalize', [Argument('mean', Constant(0)), "
                "Argument('max', Constant(1)), Argument('if', Constant(2)), Argument('input', Constant(3))])"
            ),
        ),
        ("unit (3, 4)", "Call('unit', [Argument(None, List([Constant(3), Constant(4)]))])"),
        ("unit a -1", "Call('unit', [Argument(None, Binary('-', Name('a'), Constant(1)))])"),
        ("unit a (-1)", "Call('unit', [Argument(None, Name('a')), Argument(None, Unary('-', Constant(1)))])"),
        ("unit -1 a", "Call('unit', [Argument(None, Unary('-', Constant(1))), Argument(None, Name('a'))])"),
        ("unit not a b", "Call('unit', [Argument(None, Unary('not', Name('a'))), Argument(None, Name('b'))])"),
        (
            "unit a if b else c d",
            "Call('unit', [Argument(None, Conditional(Name('a'), Name('b'), Name('c'))), Argument(None, Name('d'))])",
        ),
        (
            "cell @previous 44",
            (
                "Call('cell', [Argument(None, Reference([ReferencePart('previous', None)])), "
                "Argument(None, Constant(44))])"
            ),
        ),
        ("dense(10)", "Call('dense', [Argument(None, Constant(10))])"),
        ("@a -> relu", "Reference([ReferencePart('a', None)]); Call('relu', [])"),
        ("{ relu }", "Group(Body('{', [Chain([Element(None, Call('relu', []))])]))"),
        ("[ ] -> { }", "Group(Body('[', [])); Group(Body('{', []))"),
        (
            "concat axis=-1 { relu }",
            (
                "Join('concat', [Argument('axis', Unary('-', Constant(1)))], "
                "Body('{', [Chain([Element(None, Call('relu', []))])]))"
            ),
        ),
        ("any { }", "Join('any', [], Body('{', []))"),
        ("any 2 k=x{ }", "Join('any', [Argument(None, Constant(2)), Argument('k', Name('x'))], Body('{', []))"),
        ("skip { }", "Skip(None, Body('{', []), None)"),
        (
            "skip if a > 1 { } shortcut [ ]",
            "Skip(Binary('>', Name('a'), Constant(1)), Body('{', []), Shortcut(None, Body('[', [])))",
        ),
        ("skip { }\n# between\nshortcut if a { }", "Skip(None, Body('{', []), Shortcut(Name('a'), Body('{', [])))"),
        ("repeat depth - 1 { }", "Repeat(Binary('-', Name('depth'), Constant(1)), Body('{', []))"),
        ("repeat n [ ]", "Repeat(Name('n'), Body('[', []))"),
        ("for x in xs { }", "For([Name('x')], Name('xs'), Body('{', []))"),
        (
            "for a, b in [(1, 2)] { }",
            "For([Name('a'), Name('b')], List([List([Constant(1), Constant(2)])]), Body('{', []))",
        ),
        (
            "for i in 1..n-1 { }",
            "For([Name('i')], CountingRange(Constant(1), Binary('-', Name('n'), Constant(1))), Body('{', []))",
        ),
        ("if a { }", "If(Name('a'), Body('{', []), None)"),
        ("if a { } else [ ]", "If(Name('a'), Body('{', []), Body('[', []))"),
        ("if a { }  # yes\n\n else [ ]", "If(Name('a'), Body('{', []), Body('[', []))"),
        ("if a { }\nelse if b { }", "If(Name('a'), Body('{', []), If(Name('b'), Body('{', []), None))"),
        ("if a { } else if b { }", "If(Name('a'), Body('{', []), If(Name('b'), Body('{', []), None))"),
        (
            "if a { } else if b { } else if c { } else { }",
            "If(Name('a'), Body('{', []), If(Name('b'), Body('{', []), If(Name('c'), Body('{', []), Body('{', []))))",
        ),
        ("if a if b else c { }", "If(Conditional(Name('a'), Name('b'), Name('c')), Body('{', []), None)"),
        ("reuse tower.conv1", "Reuse(Reference([ReferencePart('tower', None), ReferencePart('conv1', None)]))"),
        ("reuse cell{i}.a", "Reuse(Reference([ReferencePart('cell', Name('i')), ReferencePart('a', None)]))"),
        ("unit xs[0]", "Call('unit', [Argument(None, Index(Name('xs'), Constant(0)))])"),
        ("unit xs [0]", "Call('unit', [Argument(None, Name('xs')), Argument(None, List([Constant(0)]))])"),
        ("unit [0]", "Call('unit', [Argument(None, List([Constant(0)]))])"),
        ("unit 3[0]", "Call('unit', [Argument(None, Constant(3)), Argument(None, List([Constant(0)]))])"),
        ("repeat xs[0] [ ]", "Repeat(Index(Name('xs'), Constant(0)), Body('[', []))"),
        ("skip[ ]", "Skip(None, Body('[', []), None)"),
        ("for x in xs[1:] [ ]", "For([Name('x')], Slice(Name('xs'), Constant(1), None), Body('[', []))"),
        ("reuse s2", "Reuse(Reference([ReferencePart('s2', None)]))"),
    ],
)
def test_items(text: str, expected: str) -> None:
    assert items(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let n = 3", "Let([Name('n')], Constant(3))"),
        ("let a, b = xs", "Let([Name('a'), Name('b')], Name('xs'))"),
        ("default conv bias=no k3", "Default('conv', [Argument('bias', Constant(False)), Argument('k', Constant(3))])"),
        ("input image: 3x224x224", "Input('image', Shape([Constant(3), Constant(224), Constant(224)]), None, [])"),
        ("input x: 784", "Input('x', Shape([Constant(784)]), None, [])"),
        ("input x: T int64", "Input('x', Shape([Name('T')]), Name('int64'), [])"),
        ("input x: TxD", "Input('x', Shape([Name('T'), Name('D')]), None, [])"),
        ("input x: [c, 2*size]", "Input('x', Shape([Name('c'), Binary('*', Constant(2), Name('size'))]), None, [])"),
        (
            "input x: 3xHxW float32 where H % 32 == 0,\n W > 1",
            (
                "Input('x', Shape([Constant(3), Name('H'), Name('W')]), "
                "Name('float32'), [Binary('==', Binary('%', Name('H'), Constant(32)), Constant(0)), "
                "Binary('>', Name('W'), Constant(1))])"
            ),
        ),
        ("param token: 1x768", "Parameter('token', Shape([Constant(1), Constant(768)]), None)"),
        ("param gate: C = 1/c", "Parameter('gate', Shape([Name('C')]), Binary('/', Constant(1), Name('c')))"),
        ("output p3", "Chain([Output('p3')])"),
        (
            "relu -> output a\n -> tanh -> output b",
            ("Chain([Element(None, Call('relu', [])), Output('a'), Element(None, Call('tanh', [])), Output('b')])"),
        ),
        ("aux side: { }", "Aux(Element(Label('side', None), Group(Body('{', []))))"),
        ("aux side{i}: relu", "Aux(Element(Label('side', Name('i')), Call('relu', [])))"),
        ("expect 512x7x7", "Expect(Shape([Constant(512), Constant(7), Constant(7)]))"),
        ("assert params == 61706", "Assert(Binary('==', Name('params'), Constant(61706)))"),
        ('labels ["plane", "car"]', "ClassLabels(List([Constant('plane'), Constant('car')]))"),
        ("train { }", "Train([])"),
        (
            "train { loss cross_entropy; batch 128\n augment flip,\n crop 224 pad=4 }",
            (
                "Train(["
                "TrainEntry('loss', [TrainItem([Argument(None, Name('cross_entropy'))])]), "
                "TrainEntry('batch', [TrainItem([Argument(None, Constant(128))])]), "
                "TrainEntry('augment', [TrainItem([Argument(None, Name('flip'))]), TrainItem(["
                "Argument(None, Name('crop')), Argument(None, Constant(224)), Argument('pad', Constant(4))])])])"
            ),
        ),
        ("fc: dense 10", "Chain([Element(Label('fc', None), Call('dense', [Argument(None, Constant(10))]))])"),
        (
            "s2: relu -> cell{i+1}: repeat 2 { }",
            (
                "Chain([Element(Label('s2', None), Call('relu', [])), Element("
                "Label('cell', Binary('+', Name('i'), Constant(1))), Repeat(Constant(2), Body('{', [])))])"
            ),
        ),
    ],
)
def test_statements(text: str, expected: str) -> None:
    assert outline(statement(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('use "other.net"', "Use('other.net', False)"),
        ("use residual", "Use('residual', True)"),
        ("net a { }", "BlockDeclaration('a', [], Body('{', []), True)"),
        ("block a() [ ]", "BlockDeclaration('a', [], Body('[', []), False)"),
        (
            "block a = relu ->\n tanh",
            (
                "BlockDeclaration('a', [], Body('{', [Chain([Element(None, Call('relu', [])), "
                "Element(None, Call('tanh', []))])]), False)"
            ),
        ),
        (
            "block a(b) = skip { } shortcut [ ]",
            (
                "BlockDeclaration('a', [FormalParameter('b', None)], Body('{', [Chain([Element(None, "
                "Skip(None, Body('{', []), Shortcut(None, Body('[', []))))])]), False)"
            ),
        ),
        (
            "block a(b, c = 1 + 1,) { }",
            (
                "BlockDeclaration('a', [FormalParameter('b', None), "
                "FormalParameter('c', Binary('+', Constant(1), Constant(1)))], Body('{', []), False)"
            ),
        ),
        ("net a = b()", "Variant('a', 'b', [], None)"),
        ("net a = b() { }", "Variant('a', 'b', [], Body('{', []))"),
        (
            "net a = b(1) {\n assert params == 3\n expect 10 }",
            (
                "Variant('a', 'b', [Argument(None, Constant(1))], Body('{', ["
                "Assert(Binary('==', Name('params'), Constant(3))), Expect(Shape([Constant(10)]))]))"
            ),
        ),
        (
            "net a = b(unit, [3, 4], classes=10)",
            (
                "Variant('a', 'b', [Argument(None, Name('unit')), "
                "Argument(None, List([Constant(3), Constant(4)])), Argument('classes', Constant(10))], None)"
            ),
        ),
        ("default conv bias=no", "Default('conv', [Argument('bias', Constant(False))])"),
        ("let a, b = xs", "Let([Name('a'), Name('b')], Name('xs'))"),
    ],
)
def test_declarations(text: str, expected: str) -> None:
    (declaration,) = parse(Source("test.net", text)).declarations
    assert outline(declaration) == expected


@pytest.mark.parametrize("path", sorted(directory("nets").glob("*.net")), ids=lambda path: path.stem)
def test_shipped_nets_parse(path: Path) -> None:
    assert parse(read_source(path)).declarations


# ---------------------------------------------------------------------------------------------------- layout


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("net a { conv 3; relu }", "\n\nnet a\t{\r\n  conv 3 \r\n\r\n relu ;\r\n}\r\n\r\n"),
        ("net a { conv 3 -> relu -> tanh }", "net a { conv 3 -> # why\n\n relu\n # and\n -> tanh }"),
        ("net a { conv k=(3, 5) }", "net a { conv k=(\n3,\n5\n) }"),
        ("net a { let x = (1 + 2) }", "net a { let x = (1\n+ # one\n2) }"),
        ("net a { let x = [1, [2, 3]] }", "net a { let x = [\n1,\n[\n2\n, 3]\n] }"),
        ("net a { skip { relu } shortcut { } -> relu }", "net a { skip {\nrelu\n}\nshortcut {\n}\n-> relu }"),
        ("net a { if x { relu } else { tanh } }", "net a { if x {\nrelu\n} else {\ntanh\n} }"),
        ("block f(a, b = 1) { }\nnet n = f(1, b=2)", "block f(\n a,\n b = 1,\n) { }\nnet n = f(\n 1,\n b=2,\n)"),
        (
            "net a { train { augment flip, crop 2; batch 1 } }",
            "net a { train {\n augment flip,\n crop 2\n batch 1\n} }",
        ),
    ],
)
def test_layout_has_no_meaning_beyond_newlines(one: str, other: str) -> None:
    assert outline(parse(Source("a", one)).declarations) == outline(parse(Source("b", other)).declarations)


@pytest.mark.parametrize("word", ["block", "net", "use"])
def test_words_of_declarations_may_be_labels(word: str) -> None:
    chain = statement(f"{word}: relu -> {word}: [ relu ]")
    assert isinstance(chain, tree.Chain)
    assert [link.label and link.label.name for link in chain.links] == [word, word]
    assert items(f"reuse {word}") == f"Reuse(Reference([ReferencePart('{word}', None)]))"


def test_a_newline_ends_a_statement() -> None:
    (net,) = parse(Source("a", "net a {\n conv\n relu\n let x = 1\n [tanh]\n}")).declarations
    assert isinstance(net, tree.BlockDeclaration)
    assert [type(s).__name__ for s in net.body.statements] == ["Chain", "Chain", "Let", "Chain"]


# ---------------------------------------------------------------------------------------------------- places


SPANS = """\
use "other.net"  # first
default conv bias=no

block unit(width, stride = 1) [
    skip if stride > 1 { conv (1 + width) k3x5 } shortcut { identity }
    repeat 2 { relu }
    for i, j in [1, (2, 3)] { cell{i}: relu }
    for i in 1..n { @cell{i-1}.a }
    if a { } else if b [ ] else { }
]

net main(unit) {
    input image: 3xHx8 int64 where not H % 2
    param token: [c, -1]
    let a, b = min("#", in.rank)
    x: concat axis=1 { reuse a.0 } -> { }
    aux side: { }
    output logits
    expect 10
    assert yes if a else no
    labels ["u"]
    train { batch 128, 2 }
}
# last
net variant = main(unit, n=3)
"""
EXPECTED_SPANS = {
    "Use": {'use "other.net"'},
    "Default": {"default conv bias=no"},
    "Variant": {"net variant = main(unit, n=3)"},
    "FormalParameter": {"width", "stride = 1", "unit"},
    "Skip": {"skip if stride > 1 { conv (1 + width) k3x5 } shortcut { identity }"},
    "Shortcut": {"shortcut { identity }"},
    "Call": {"conv (1 + width) k3x5", "identity", "relu"},
    "Repeat": {"repeat 2 { relu }"},
    "For": {"for i, j in [1, (2, 3)] { cell{i}: relu }", "for i in 1..n { @cell{i-1}.a }"},
    "CountingRange": {"1..n"},
    "Label": {"cell{i}:", "side:", "x:"},
    "If": {"if a { } else if b [ ] else { }", "if b [ ] else { }"},
    "Input": {"input image: 3xHx8 int64 where not H % 2"},
    "Parameter": {"param token: [c, -1]"},
    "Shape": {"3xHx8", "[c, -1]", "10"},
    "Let": {'let a, b = min("#", in.rank)'},
    "Join": {"concat axis=1 { reuse a.0 }"},
    "Reuse": {"reuse a.0"},
    "Group": {"{ }"},
    "FunctionCall": {'min("#", in.rank)'},
    "InAttribute": {"in.rank"},
    "Aux": {"aux side: { }"},
    "Output": {"output logits"},
    "Expect": {"expect 10"},
    "Assert": {"assert yes if a else no"},
    "Conditional": {"yes if a else no"},
    "ClassLabels": {'labels ["u"]'},
    "Train": {"train { batch 128, 2 }"},
    "TrainEntry": {"batch 128, 2"},
    "TrainItem": {"128", "2"},
    "Reference": {"@cell{i-1}.a", "a.0"},
    "ReferencePart": {"cell{i-1}", "a", "0"},
    "Argument": {"bias=no", "(1 + width)", "k3x5", "axis=1", "128", "2", "unit", "n=3"},
    "Binary": {"stride > 1", "(1 + width)", "i-1", "H % 2"},
    "Unary": {"not H % 2", "-1"},
    "List": {"3x5", "[1, (2, 3)]", "(2, 3)", '["u"]'},
    "Comment": {"# first", "# last"},
}


def test_spans_slice_to_what_was_written() -> None:
    found = defaultdict(set)
    for node in walk(parse(Source("spans.net", SPANS))):
        found[type(node).__name__].add(node.span.text)
    assert {kind: found[kind] for kind in EXPECTED_SPANS} == EXPECTED_SPANS
    elsewhere = {"File", "BlockDeclaration", "Body", "Chain", "Element", "Name", "Constant"}
    assert set(found) == set(EXPECTED_SPANS) | elsewhere, "every type of node is in the program"


@pytest.mark.parametrize("program", [SPANS, *(p.read_text() for p in sorted(directory("nets").glob("*.net")))])
def test_nodes_lie_inside_their_parents_in_order(program: str) -> None:
    source = Source("spans.net", program)
    for node in walk(parse(source)):
        held = [getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "comments"]
        below = [
            n for value in held for n in (value if isinstance(value, tuple) else (value,)) if isinstance(n, tree.Tree)
        ]
        places = [node.span.start, *(offset for n in below for offset in (n.span.start, n.span.end)), node.span.end]
        assert places == sorted(places), node.span.text
        assert node.span.text == node.span.text.strip()


def test_name_spans_are_the_name_alone() -> None:
    seen = set()
    for node in walk(parse(Source("spans.net", SPANS))):
        for field, meant in (("name_span", "name"), ("base_span", "base"), ("key_span", "key")):
            place = getattr(node, field, None)
            if place is not None:
                assert place.text == getattr(node, meant)
                seen.add(field)
    assert seen == {"name_span", "base_span", "key_span"}


def test_comments_are_kept_in_order() -> None:
    text = '# one\nnet a { labels ["# none"] # two\n}\n#\n# three \r\n'
    comments = parse(Source("a", text)).comments
    assert [comment.span.text for comment in comments] == ["# one", "# two", "#", "# three "]


# ---------------------------------------------------------------------------------------------------- the grammar


def conflicts(text: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What Lark says about conflicts when it makes the tables of a grammar."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark(text, start="file", parser="lalr", lexer="basic", debug=True)
    return [record.getMessage() for record in caplog.records if "conflict" in record.getMessage().lower()]


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    ambiguous = 'file: file "+" file | "a"'
    assert conflicts(ambiguous, caplog), "Lark would say so"
    assert conflicts(GRAMMAR, caplog) == []


def test_every_rule_has_its_method() -> None:
    parser = grammar()
    shaped = {str(rule.alias or rule.origin.name) for rule in parser.rules}
    rules = {name for name in shaped if not name.startswith("_")}
    missing = {name for name in rules if not hasattr(parser.options.transformer, name)}
    assert missing == {"declaration", "statement", "expression", "unsigned"}, "these only choose among others"


def test_no_layer_and_no_function_is_a_reserved_word() -> None:
    assert never_labels() & {*LAYERS, *FUNCTIONS} == {*MADE_BY_STATEMENTS}
    for name in ("concat", "max", "sum", "zip"):
        text = f"block {name}({name}) {{ {name}: {name} {name} k={name} -> reuse {name}{{{name}({name})}} }}"
        assert parse(Source("n.net", text)).declarations


@pytest.fixture
def grammars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the grammar alone, which stands for the package's own."""
    (tmp_path / "netdsl.lark").write_text(GRAMMAR, encoding="utf-8")
    monkeypatch.setattr(grammar_file, "directory", lambda _: tmp_path)
    return tmp_path


def made_by_lark(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Lark has to make the table at a start; the parser works in both cases."""
    calls: list[str] = []
    make = grammar_file._made
    monkeypatch.setattr(grammar_file, "_made", lambda text: calls.append(text) or make(text))
    assert grammar.__wrapped__().terminals
    monkeypatch.setattr(grammar_file, "_made", make)
    return calls != []


def test_the_table_beside_the_grammar_is_read(grammars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made_by_lark(monkeypatch)
    (grammars / grammar_file.TABLE).write_text(grammar_file.table(), encoding="utf-8")
    assert not made_by_lark(monkeypatch)
    read, made = grammar.__wrapped__(), grammar_file._made(GRAMMAR)
    assert len(read.rules) == len(made.rules)
    tables = [one.parser.parser._parse_table for one in (read, made)]
    assert len(tables[0].states) == len(tables[1].states)  # their numbers are Lark's, another time other ones
    assert sorted(map(len, tables[0].states.values())) == sorted(map(len, tables[1].states.values()))


def test_a_table_that_does_not_fit_is_passed_over(grammars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, table = grammars / grammar_file.TABLE, grammar_file.table()
    for other in (table[: len(table) // 2], "{}", table.replace('"made_from":"', '"made_from":"0')):
        path.write_text(other, encoding="utf-8")
        assert made_by_lark(monkeypatch)
    path.write_text(table, encoding="utf-8")
    monkeypatch.setattr(grammar_file, "lark_version", "0.0")
    assert made_by_lark(monkeypatch)


def test_no_file_is_written_by_a_parser(grammars: Path) -> None:
    grammar.__wrapped__()
    assert [path.name for path in grammars.iterdir()] == ["netdsl.lark"]


# ---------------------------------------------------------------------------------------------------- limits


LIMITS = {
    "a text beyond the limit": ("E0106", "'#' * 2_000_001"),
    "too many statements": ("E0106", "'net a {' + 'relu;' * 399_000 + '}'"),
    "too many comments": ("E0106", "'#\\n' * 900_000"),
    "stray characters": ("E0106", "'$' * 1_900_000"),
    "stray quotes": ("E0106", '"\'" * 1_900_001'),
    "stray characters in a bracket": ("E0104", "'net a {' + '$' * 140_000"),
    "round brackets": ("E0107", "'net a { let x = ' + '(' * 1_000_000"),
    "curly brackets": ("E0107", "'net a ' + '{' * 1_000_000"),
    "square brackets": ("E0107", "'net a { let x = ' + '[' * 101 + ']' * 101 + '}'"),
    "a sum": ("E0107", "'net a { let x = 1' + '+1' * 100_000 + '}'"),
    "a sum of sums": ("E0107", "'net a { let x = ' + '(' * 90 + '1' + ('+1' * 150 + ')') * 90 + '}'"),
    "signs": ("E0107", "'net a { let x = ' + '-' * 100_000 + '1 }'"),
    "negations": ("E0107", "'net a { let x = ' + 'not ' * 100_000 + 'yes }'"),
    "conditionals": ("E0107", "'net a { let x = ' + '1 if yes else ' * 50_000 + '1 }'"),
    "else if": ("E0107", "'net a { if a { b }' + ' else if a { b }' * 40_000 + '}'"),
    "a number": ("E0110", "'net a { conv ' + '9' * 1_900_000 + '}'"),
    "a short form": ("E0110", "'net a { conv k' + '9' * 19 + '}'"),
    "sizes of a shape": ("E0110", "'net a { expect 3x' + '9' * 19 + '}'"),
    "a float": ("E0110", "'net a { conv 1e999 }'"),
    "a shape": ("E0110", "'net a { expect ' + '1x' * 900_000 + '1 }'"),
    "a path": ("E0101", "'net a { @a' + '.a' * 900_000 + '}'"),
    "blank lines alone": ("E0108", "'\\n' * 1_900_000"),
    "errors": ("E0101", "'net a {' + 'x = 1\\n' * 35_000 + '}'"),
    "errors in a line": ("E0101", "'net a {' + 'x = 1;' * 35_000 + '}'"),
}

MEASURE = """
import re, time
from pathlib import Path
from netdsl.base.diagnostics import Diagnostic, NetdslError, render
from netdsl.base.source import Source
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.layers.base import LAYERS
from netdsl.syntax.parser import parse
text = {text}
start = time.process_time()
try:
    parse(Source("test.net", text))
except NetdslError as error:
    shown = sum(len(render(diagnostic)) for diagnostic in error.diagnostics)
    seconds = time.process_time() - start
    # not ru_maxrss, which counts the tests' own process that this one was started by
    megabytes = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(error.diagnostics[0].code, shown < 20_000, seconds < 2, megabytes < 500, seconds, megabytes)
"""


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    code, text = LIMITS[name]
    process = subprocess.run(
        [sys.executable, "-c", MEASURE.format(text=text)], capture_output=True, text=True, check=True
    )
    assert process.stdout.split()[:4] == [code, "True", "True", "True"], process.stdout


@pytest.mark.parametrize(
    "text",
    [
        "(" * 97 + "1" + ")" * 97,
        "[" * 98 + "]" * 98,
        "1" + "+1" * 190,
        "-" * 190 + "1",
        "1 if yes else " * 90 + "1",
        "[" + "1 + 1, " * 1000 + "]",
        "9" * 18,
    ],
)
def test_within_the_limits(text: str) -> None:
    assert outline(statement(f"let x = {text}"))


def test_time_grows_with_the_length() -> None:
    def seconds(lines: int) -> float:
        source = Source("long.net", "net a {\n" + "conv 8 k3 p1 -> relu\n" * lines + "}\n")
        start = time.process_time()
        parse(source)
        return time.process_time() - start

    seconds(10)
    short = min(seconds(500) for _ in range(3))
    assert min(seconds(4000) for _ in range(3)) < 8 * 2.5 * short


# ---------------------------------------------------------------------------------------------------- errors


def test_statements_after_an_error_are_read() -> None:
    text = "block a(b c) {\n  x = \n}\nnet d {\n  relu -> -> tanh\n  concat {\n    conv 3,\n  }\n  relu\n  output\n}\n"
    lines = [d.span.source.position(d.span.start)[0] for d in diagnostics(text) if d.span]
    assert lines == [1, 5, 7, 10]


def test_there_are_at_most_twenty_errors() -> None:
    found = diagnostics("net a {\n" + "x = 1\n" * 100 + "}")
    assert len(found) == MAX_ERRORS


@pytest.mark.parametrize("text", ["net a { relu }", "net a { relu"])
def test_garbage_is_collected_afterwards(text: str) -> None:
    assert gc.isenabled()
    diagnostics(text)
    assert gc.isenabled()


SAMPLE = """
net block a conv skip if else for in let input train output reuse use x ( ) [ ] { } -> ; , = == : + - // not 3 k3 3x4
1.5 "s" @a @a{ .. in.rank min concat " | é true 1e999 shortcut default where yes repeat .5 param aux expect assert
"""
WORDS = st.sampled_from([*SAMPLE.split(), "\n", "# c\n"])


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_any_text_is_a_tree_or_an_error_with_a_place(text: str) -> None:
    check_any(text)


@given(st.data())
def test_a_damaged_program_is_a_tree_or_an_error_with_a_place(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SPANS)))
    until = data.draw(st.integers(at, min(len(SPANS), at + 12)))
    check_any(SPANS[:at] + data.draw(WORDS | st.just("")) + SPANS[until:])


@given(st.text(max_size=60))
def test_any_characters_are_a_tree_or_an_error_with_a_place(text: str) -> None:
    check_any(f"net a {{ {text} }}")


def check_any(text: str) -> None:
    """The parser ends, and what it says has a code, a place and words that a reader knows."""
    found = diagnostics(text)
    assert len(found) <= MAX_ERRORS
    for diagnostic in found:
        assert diagnostic.code.startswith("E01")
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
        assert render(diagnostic)
        assert "_END" not in f"{diagnostic.message} {diagnostic.help}"
        assert "__" not in diagnostic.message


# ---------------------------------------------------------------------------------------------------- files


def test_a_file_is_read_under_its_path_or_another_name(tmp_path: Path) -> None:
    file = tmp_path / "a.net"
    file.write_bytes(b"\xef\xbb\xbfnet a { relu }  # \xc3\xa9\r\n")
    assert read_source(file).text == "net a { relu }  # é\r\n"
    assert read_source(file).name == str(file)
    assert read_source(file, "shown.net").name == "shown.net"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a.net"
    file.write_text("net a { }")
    for path, said in (
        (tmp_path, "expected a file, got a directory"),
        (tmp_path / "none.net", "no such file"),
        (file / "b.net", "not a directory"),
        (Path("a\0b"), "null"),
    ):
        with pytest.raises(NetdslError) as caught:
            read_source(path)
        (found,) = caught.value.diagnostics
        assert found.code == "E0901"
        assert said in found.message


@pytest.mark.parametrize(("start", "place"), [(b"", "a.net:2:7"), (b"\xef\xbb\xbf", "a.net:2:7")])
def test_a_byte_that_is_not_utf8_is_shown_in_its_line(tmp_path: Path, start: bytes, place: str) -> None:
    file = tmp_path / "a.net"
    file.write_bytes(start + b"net \xc3\xa9 {\n relu \xff\n}")
    with pytest.raises(NetdslError) as caught:
        read_source(file, "a.net")
    (found,) = caught.value.diagnostics
    assert found.code == "E0105"
    assert found.span is not None
    assert found.span.place == place


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.net"
    file.write_bytes(b"#" * MAX_FILE_BYTES)
    assert len(read_source(file).text) == MAX_FILE_BYTES
    for path, code in ((Path("/dev/zero"), "E0901"), (file, "E0106")):
        with file.open("ab") as more:
            more.write(b"#")
        with pytest.raises(NetdslError) as caught:
            read_source(path)
        assert caught.value.diagnostics[0].code == code
