"""Construction of the syntax tree: one method for each rule of the grammar, called when the parser reduces it."""
# ruff: noqa: D102 - the rule of the same name in the grammar describes a method

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.source import Span
from netdsl.syntax import tree
from netdsl.syntax.mistakes.names import reserved_name
from netdsl.syntax.operators import group_operators
from netdsl.syntax.scanner import Token

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DIGITS = 18
_TRUTH = {"true": "yes", "True": "yes", "false": "no", "False": "no"}


def _nodes(children: list[Any]) -> tuple[Any, ...]:
    """The children that are nodes, without punctuation and omitted parts."""
    return tuple(child for child in children if isinstance(child, tree.Tree))


def _whole(children: list[Any]) -> Span:
    """The span from the first child to the last one that is present."""
    if len(children) == 1:
        return cast("Span", children[0].span)
    last = children[-1]
    if last is None:
        last = next(child for child in reversed(children) if child is not None)
    return cast("Span", children[0].span.to(last.span))


def _free(token: Token) -> Token:
    """Return a token that may be a name; refuse a reserved one."""
    if token.reserved:
        raise NetdslError(reserved_name(token.span))
    return token


class Builder:
    """Builds the nodes; the names of the methods are those of the grammar's rules."""

    # ---------------------------------------------------------------------------------------------- declarations

    def file(self, children: list[Any]) -> tuple[tree.Declaration, ...]:
        return tuple(children)

    def use(self, children: list[Any]) -> tree.Use:
        path: Token = children[1]
        library = path.type == "NAME"
        return tree.Use(_whole(children), path.text if library else path.text[1:-1], path.span, library)

    def block(self, children: list[Any]) -> tree.BlockDeclaration:
        keyword, name, parameters, *_, body = children
        if isinstance(body, tree.Chain):
            match body.links:
                case [tree.Element(label=None, item=tree.Group(body=whole))]:
                    body = whole
                case _:
                    body = tree.Body(body.span, "{", (body,))
        return tree.BlockDeclaration(
            _whole(children), name.text, name.span, parameters or (), body, net=keyword.text == "net"
        )

    net = block

    def variant(self, children: list[Any]) -> tree.Variant:
        _, name, _, base, _, *rest, body = children
        arguments = tuple(
            node if isinstance(node, tree.Argument) else tree.Argument(node.span, None, node) for node in _nodes(rest)
        )
        return tree.Variant(_whole(children), _free(name).text, name.span, base.text, base.span, arguments, body)

    def default(self, children: list[Any]) -> tree.Default:
        name = children[1]
        return tree.Default(_whole(children), name.text, name.span, _nodes(children))

    def parameters(self, children: list[Any]) -> tuple[tree.FormalParameter, ...]:
        return _nodes(children)

    def parameter(self, children: list[Any]) -> tree.FormalParameter:
        name, default = children
        return tree.FormalParameter(_whole(children), _free(name).text, default)

    # ---------------------------------------------------------------------------------------------- statements

    def body(self, children: list[Any]) -> tree.Body:
        return tree.Body(_whole(children), children[0].text, tuple(children[1:-1]))

    promises = body

    def let(self, children: list[Any]) -> tree.Let:
        return tree.Let(_whole(children), _targets(children), children[-1])

    def input(self, children: list[Any]) -> tree.Input:
        _, name, _, shape, dtype, where = children
        word = dtype and tree.Name(dtype.span, dtype.text)
        constraints = where or ()
        span = _whole([*children[:-1], *constraints])
        return tree.Input(span, name.text, name.span, shape, word, constraints)

    def where(self, children: list[Any]) -> tuple[tree.Expression, ...]:
        return _nodes(children)

    def param(self, children: list[Any]) -> tree.Parameter:
        _, name, _, shape, _, value = children
        return tree.Parameter(_whole(children), name.text, name.span, shape, value)

    def output(self, children: list[Any]) -> tree.Output:
        return tree.Output(_whole(children), children[1].text, children[1].span)

    def aux(self, children: list[Any]) -> tree.Aux:
        return tree.Aux(_whole(children), self.element(children[1:]))

    def expect(self, children: list[Any]) -> tree.Expect:
        return tree.Expect(_whole(children), children[1])

    def assert_(self, children: list[Any]) -> tree.Assert:
        return tree.Assert(_whole(children), children[1])

    def labels(self, children: list[Any]) -> tree.ClassLabels:
        return tree.ClassLabels(_whole(children), children[1])

    def train(self, children: list[Any]) -> tree.Train:
        return tree.Train(_whole(children), _nodes(children))

    def entry(self, children: list[Any]) -> tree.TrainEntry:
        key, *items = children
        return tree.TrainEntry(_whole(children), key.text, key.span, tuple(items))

    def train_item(self, children: list[Any]) -> tree.TrainItem:
        return tree.TrainItem(_whole(children), tuple(children))

    def shape(self, children: list[Any]) -> tree.Shape:
        first = children[0]
        if first.type == "NAME" and not (len(first.text) == 1 and first.text.isupper()):
            raise fail(
                "E0101",
                f"`{first.text}` is not a shape",
                first.span,
                help=f"write `[{first.text}]`, or sizes such as `3x224x224`",
            )
        return tree.Shape(_whole(children), _nodes(children) if first.type == "LSQB" else _dims(first.span))

    # ---------------------------------------------------------------------------------------------- chains

    def chain(self, children: list[Any]) -> tree.Chain:
        return tree.Chain(_whole(children), tuple(children))

    def element(self, children: list[Any]) -> tree.Element:
        label, item = children
        return tree.Element(label.span.to(item.span) if label else item.span, label, item)

    def label(self, children: list[Any]) -> tree.Label:
        index = children[2] if len(children) > 2 else None
        return tree.Label(_whole(children), children[0].text, index)

    def call(self, children: list[Any]) -> tree.Call:
        name, *arguments = children
        return tree.Call(_whole(children), name.text, name.span, tuple(arguments))

    def group(self, children: list[Any]) -> tree.Group:
        return tree.Group(children[0].span, children[0])

    def join(self, children: list[Any]) -> tree.Join:
        name, *rest = children
        at = next(i for i, child in enumerate(rest) if isinstance(child, Token))
        body = self.body(rest[at:])
        return tree.Join(_whole(children), name.text, name.span, tuple(rest[:at]), body)

    def skip(self, children: list[Any]) -> tree.Skip:
        _, condition, body, shortcut = children
        return tree.Skip(_whole(children), condition, body, shortcut)

    def shortcut(self, children: list[Any]) -> tree.Shortcut:
        _, condition, body = children
        return tree.Shortcut(_whole(children), condition, body)

    def condition(self, children: list[Any]) -> tree.Expression:
        return cast("tree.Expression", children[0])

    def repeat(self, children: list[Any]) -> tree.Repeat:
        _, count, body = children
        return tree.Repeat(_whole(children), count, body)

    def for_(self, children: list[Any]) -> tree.For:
        return tree.For(_whole(children), _targets(children), children[-2], children[-1])

    def counting(self, children: list[Any]) -> tree.CountingRange:
        first, last = children
        return tree.CountingRange(_whole(children), first, last)

    def if_(self, children: list[Any]) -> tree.If:
        # `if c b`, then any number of `else if c b`, then perhaps `else b`: nested from the last branch to the first
        end = children[-1].span
        otherwise = children.pop() if len(children) % 4 == 1 else None
        for at in range((len(children) - 3) // 4 * 4, -1, -4):
            keyword, condition, body = children[at : at + 3]
            otherwise = tree.If(keyword.span.to(end), condition, body, otherwise)
        return cast("tree.If", otherwise)

    def reuse(self, children: list[Any]) -> tree.Reuse:
        return tree.Reuse(_whole(children), self.reference(children[1:]))

    # ---------------------------------------------------------------------------------------------- arguments

    def positional(self, children: list[Any]) -> tree.Argument:
        return tree.Argument(children[0].span, None, children[0])

    unsigned_positional = positional

    def bracketed(self, children: list[Any]) -> tree.Argument:
        value = self.parenthesised(children)
        return tree.Argument(value.span, None, value)

    def keyed(self, children: list[Any]) -> tree.Argument:
        name, value = children
        return tree.Argument(_whole(children), name.text, value)

    def short(self, children: list[Any]) -> tree.Argument:
        token: Token = children[0]
        span = Span(token.source, token.start + 1, token.end)
        digits = span.text
        value = _integer(span, digits) if digits.isdigit() else tree.List(span, _dims(span))
        return tree.Argument(token.span, token.text[0], value)

    # ---------------------------------------------------------------------------------------------- expressions

    def operation(self, children: list[Any]) -> tree.Expression:
        return group_operators(children)

    unsigned_operation = operation

    def conditional(self, children: list[Any]) -> tree.Conditional:
        then, condition, otherwise = children
        return tree.Conditional(_whole(children), then, condition, otherwise)

    unsigned_conditional = conditional

    def constant(self, children: list[Any]) -> tree.Constant:
        return _CONSTANTS[children[0].type](children[0])

    def name(self, children: list[Any]) -> tree.Name:
        name = tree.Name(children[0].span, children[0].text)
        if name.id in _TRUTH:
            raise fail(
                "E0101", f"`{name.id}` is not a word of the language", name.span, help=f"write `{_TRUTH[name.id]}`"
            )
        return name

    def in_attribute(self, children: list[Any]) -> tree.InAttribute:
        return tree.InAttribute(children[0].span, children[0].text[3:])

    def sequence(self, children: list[Any]) -> tree.List:
        return tree.List(_whole(children), _nodes(children))

    def index(self, children: list[Any]) -> tree.Index:
        items, _, position, _ = children
        return tree.Index(_whole(children), items, position)

    def slice(self, children: list[Any]) -> tree.Slice:
        items, _, first, _, end, _ = children
        return tree.Slice(_whole(children), items, first, end)

    def parenthesised(self, children: list[Any]) -> tree.Expression:
        return cast("tree.Expression", replace(children[1], span=_whole(children)))

    def function(self, children: list[Any]) -> tree.FunctionCall:
        return tree.FunctionCall(_whole(children), children[0].text, _nodes(children))

    def reference(self, children: list[Any]) -> tree.Reference:
        parts: list[tree.ReferencePart] = []
        for child in children:
            if isinstance(child, tree.Tree):
                parts[-1] = replace(parts[-1], index=cast("tree.Expression", child))
            elif child.text == "}":
                parts[-1] = replace(parts[-1], span=parts[-1].span.to(child.span))
            elif child.type != "OPEN_LABEL":
                start = child.start
                for piece in child.text.split("."):
                    name = piece.strip("@{")
                    at = start + piece.startswith("@")
                    if name:
                        parts.append(tree.ReferencePart(Span(child.source, at, at + len(name)), name))
                    start += len(piece) + 1
        return tree.Reference(_whole(children), tuple(parts))


setattr(Builder, "assert", Builder.assert_)
setattr(Builder, "for", Builder.for_)
setattr(Builder, "if", Builder.if_)


def _integer(span: Span, digits: str) -> tree.Constant:
    if len(digits) > _MAX_DIGITS:
        raise fail("E0110", f"expected a number of at most {_MAX_DIGITS} digits, got {len(digits)}", span)
    return tree.Constant(span, int(digits))


def _float(token: Token) -> tree.Constant:
    value = float(token.text)
    if math.isinf(value):
        raise fail("E0110", "the number is too large", token.span, help="the largest is about 1.8e308")
    return tree.Constant(token.span, value)


_CONSTANTS: dict[str, Callable[[Token], tree.Constant]] = {
    "INT": lambda token: _integer(token.span, token.text),
    "FLOAT": _float,
    "STRING": lambda token: tree.Constant(token.span, token.text[1:-1]),
    "YES": lambda token: tree.Constant(token.span, True),
    "NO": lambda token: tree.Constant(token.span, False),
}


def _targets(children: list[Any]) -> tuple[tree.Name, ...]:
    return tuple(tree.Name(c.span, _free(c).text) for c in children if isinstance(c, Token) and c.type == "NAME")


def _dims(sizes: Span) -> tuple[Any, ...]:
    """The sizes in `3xHxW`."""
    dims: list[Any] = []
    start = sizes.start
    for size in sizes.text.split("x"):
        span = Span(sizes.source, start, start + len(size))
        dims.append(_integer(span, size) if size.isdigit() else tree.Name(span, size))
        start += len(size) + 1
    return tuple(dims)
