"""Translating expressions of the language to Python, and evaluating them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from netdsl.backends.torch_source.python import literal
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod, "**": ast.Pow,
}  # fmt: skip
SIGNS: dict[str, type[ast.unaryop]] = {"-": ast.USub, "+": ast.UAdd, "not": ast.Not}
COMPARISONS: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq, "!=": ast.NotEq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE,
}  # fmt: skip
FUNCTIONS = {"ceil": "math.ceil", "floor": "math.floor"}
KNOWN = {"math": math, "min": min, "max": max, "round": round, "abs": abs, "sum": sum, "len": len, "range": range,
         "enumerate": enumerate, "zip": zip, "float": float}  # fmt: skip

Names: TypeAlias = Callable[[str], ast.expr]


class Whole(ast.NodeTransformer):
    """Replaces `/` by `//`: in the language, `/` gives an integer if there is no remainder."""

    def visit_Div(self, node: ast.Div) -> ast.FloorDiv:
        """Return the other operator."""
        del node
        return ast.FloorDiv()


class NoExpressionError(Exception):
    """Something cannot be expressed in Python, or not at this place."""


def translate(e: tree.Expression, name: Names, channels: ast.expr | None) -> ast.expr:
    """Translate an expression to Python.

    Args:
        e: the expression.
        name: returns the Python expression for a name, or raises `NoExpressionError`.
        channels: the expression for `in.channels`; None if there is none.

    Raises:
        NoExpressionError: it cannot be translated.
    """

    def inner(part: tree.Expression) -> ast.expr:
        return translate(part, name, channels)

    match e:
        case tree.Constant(value=value):
            return literal(value)
        case tree.Name(id=word):
            return name(word)
        case tree.InAttribute(attribute="channels") if channels is not None:
            return channels
        case tree.List(items=items):
            return ast.Tuple([inner(item) for item in items], ast.Load())
        case tree.Index(items=items, position=position):
            return ast.Subscript(inner(items), inner(position), ast.Load())
        case tree.Slice(items=items, first=first, end=end):
            bounds = [inner(place) if place is not None else None for place in (first, end)]
            return ast.Subscript(inner(items), ast.Slice(*bounds), ast.Load())
        case tree.Unary(operator=word, operand=operand):
            return ast.UnaryOp(SIGNS[word](), inner(operand))
        case tree.Binary(operator="and" | "or" as word, left=left, right=right):
            return ast.BoolOp(ast.And() if word == "and" else ast.Or(), [inner(left), inner(right)])
        case tree.Binary(operator=word, left=left, right=right) if word in BINARY:
            return ast.BinOp(inner(left), BINARY[word](), inner(right))
        case tree.Binary(operator=word, left=left, right=right):
            return ast.Compare(inner(left), [COMPARISONS[word]()], [inner(right)])
        case tree.Conditional(then=then, condition=condition, otherwise=otherwise):
            return ast.IfExp(inner(condition), inner(then), inner(otherwise))
        case tree.FunctionCall(function=function, arguments=arguments):
            callee = ast.parse(FUNCTIONS.get(function, function), mode="eval").body
            keywords = [ast.keyword("strict", ast.Constant(value=True))] if function == "zip" else []
            return ast.Call(callee, [inner(argument) for argument in arguments], keywords)
    raise NoExpressionError


def computed(expression: ast.expr, values: Mapping[str, Any]) -> Any:
    """Evaluate a translated expression, with lists as tuples; raise `NoExpressionError` if that fails."""
    code = compile(ast.fix_missing_locations(ast.Expression(expression)), "<ejected>", "eval")
    try:
        value = eval(code, {"__builtins__": {}}, {**KNOWN, **values})  # noqa: S307 - built from a tree of the language
    except (ArithmeticError, LookupError, TypeError, ValueError, NameError):
        raise NoExpressionError from None
    return tuple(value) if isinstance(value, list | range | enumerate | zip) else value


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same type: 1 is neither 1.0 nor True."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)
