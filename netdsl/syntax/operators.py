"""Operator precedence: grouping of a flat row of operands and operators into a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.syntax import tree
from netdsl.syntax.scanner import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEVELS = (
    ("or",),
    ("and",),
    ("not",),
    ("==", "!=", "<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "//", "%"),
)
"""Binary operators from the loosest to the tightest. A sign binds tighter than these, and `**` tighter than a sign."""

_PRECEDENCE = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
_NOT, _COMPARISON, _SIGN = _PRECEDENCE["not"], _PRECEDENCE["=="], len(_LEVELS)
_POWER = _PRECEDENCE["**"] = _SIGN + 1


def group_operators(row: Sequence[Any]) -> tree.Expression:
    """Group a row such as `not`, a, `==`, b, `+`, c, whose operators are tokens, into a tree.

    Operators group to the left, and `**` to the right.

    Raises:
        NetdslError: a comparison of a comparison, which does not mean what it seems to.
    """
    return cast("tree.Expression", _Row(row).operation(0))


class _Row:
    """A row of operands and operators that is read from left to right."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items, self.at = items, 0

    def operation(self, least: int) -> Any:
        """Parse from here to the first operator that is looser than `least`."""
        left = self.operand()
        compared = False
        while self.at < len(self.items) and (level := _PRECEDENCE[self.items[self.at].text]) >= least:
            operator = self.items[self.at]
            if level == _COMPARISON:
                if compared:
                    raise _chained(left, operator)
                compared = True
            self.at += 1
            right = self.operation(level if level == _POWER else level + 1)
            left = tree.Binary(left.span.to(right.span), operator.text, left, right)
        return left

    def operand(self) -> Any:
        """Parse an operand with its prefix operators."""
        first = self.items[self.at]
        self.at += 1
        if not isinstance(first, Token):
            return first
        operand = self.operation(_NOT if first.type == "NOT" else _SIGN)
        return tree.Unary(first.span.to(operand.span), cast("Any", first.text), operand)


def _chained(left: tree.Binary, operator: Token) -> NetdslError:
    middle = left.right.span.text
    return fail(
        "E0101",
        "comparisons do not chain",
        operator.span,
        help=f"write `... {left.operator} {middle} and {middle} {operator.text} ...`",
    )
