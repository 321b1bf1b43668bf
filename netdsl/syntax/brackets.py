"""A check on the tokens: brackets match, and nesting stays below the depth that later steps can handle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic
from netdsl.base.source import Span
from netdsl.syntax.scanner import CLOSERS, OPENERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.syntax.scanner import Token

MAX_BRACKET_DEPTH = 100
"""The largest number of open brackets."""
MAX_EXPRESSION_DEPTH = 200
"""The largest height of the tree of an expression, or of a row of `else if`."""

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_OPERATORS = frozenset({"SIGN", "OPERATOR", "AND", "OR", "NOT", "IF", "ELSE"})
_SEPARATORS = frozenset({"_END", "COMMA", "_ARROW"})
_BLANKS = re.compile(r"[ \t]*")
_DECLARATIONS = frozenset({"NET", "BLOCK", "USE"})


@dataclass(slots=True)
class _Level:
    """The content of one open bracket, or of the text outside all brackets.

    The height of an expression's tree is at most its number of operators plus the height of its highest operand in
    brackets.
    """

    opener: Token | None
    operators: int = 0
    operand: int = 0
    highest: int = 0

    def separate(self) -> None:
        """Begin the next item."""
        self.highest = max(self.highest, self.operators + self.operand)
        self.operators = self.operand = 0


def check_brackets(tokens: Sequence[Token]) -> Diagnostic | None:
    """The first unmatched bracket, or the place where nesting exceeds its limits; None if there is no mistake."""
    levels = [_Level(None)]
    for token in tokens:
        level = levels[-1]
        kind = token.type
        if kind in OPENERS:
            if len(levels) > MAX_BRACKET_DEPTH:
                return Diagnostic(
                    "E0107",
                    f"brackets are nested more than {MAX_BRACKET_DEPTH} deep",
                    token.span,
                    help="move an inner part into a separate `block`",
                )
            levels.append(_Level(token))
        elif kind in CLOSERS:
            if level.opener is None:
                return Diagnostic(
                    "E0101",
                    f"`{token.text}` closes nothing",
                    token.span,
                    help="remove it, or find the bracket before it that is closed too early",
                )
            if _PAIRS[level.opener.text[-1]] != token.text:
                return _mismatched(level.opener, token, levels)
            level.separate()
            levels.pop()
            levels[-1].operand = max(levels[-1].operand, level.highest + 1)
            levels[-1].operators += level.opener.type == "OPEN_INDEX"  # an index is a node above the indexed value
        elif kind in _OPERATORS:
            level.operators += 1
        elif kind in _SEPARATORS:
            level.separate()
        if levels[-1].operators + levels[-1].operand > MAX_EXPRESSION_DEPTH:
            return Diagnostic(
                "E0107",
                f"more than {MAX_EXPRESSION_DEPTH} operators, indices or `else if` are strung together or nested here",
                token.span,
                help="give parts of it names with `let`, or move them into a `block`",
            )
    return _unclosed_at_end(tokens) if levels[-1].opener else None


def _mismatched(opener: Token, closer: Token, levels: Sequence[_Level]) -> Diagnostic:
    """The error of two brackets of different kinds: the closing one matches an outer bracket, or none."""
    if any(level.opener and _PAIRS[level.opener.text[-1]] == closer.text for level in levels):
        return _unclosed(opener, f"`{closer.text}` in line {_line(closer)} closes another kind of bracket")
    bracket = opener.text[-1]
    return Diagnostic(
        "E0101",
        f"`{closer.text}` does not close the `{bracket}` of line {_line(opener)}",
        closer.span,
        help=f"write `{_PAIRS[bracket]}`, or remove it",
    )


def _unclosed_at_end(tokens: Sequence[Token]) -> Diagnostic:
    """The bracket that most likely is not closed, where the text ends inside brackets.

    The layout shows it: a closing bracket that is indented less than its opening one was meant for another, and a
    declaration stands outside all brackets.
    """
    opened: list[Token] = []
    suspect: Token | None = None
    previous = ""
    for token in tokens:
        if token.type in OPENERS:
            opened.append(token)
        elif token.type in CLOSERS:
            opener = opened.pop()
            if suspect is None and _indentation(token) < _indentation(opener):
                suspect = opener
        elif token.type in _DECLARATIONS and previous == "_END" and opened:
            return _unclosed(suspect or opened[-1], f"a new `{token.text}` begins in line {_line(token)}")
        previous = token.type
    return _unclosed(suspect or opened[-1], "the file ends first")


def _unclosed(opener: Token, why: str) -> Diagnostic:
    bracket = opener.text[-1]
    place = Span(opener.source, opener.end - 1, opener.end)
    return Diagnostic(
        "E0102",
        f"`{bracket}` is never closed: {why}",
        place,
        "opened here",
        help=f"write `{_PAIRS[bracket]}` where it should end",
    )


def _line(token: Token) -> int:
    return token.source.position(token.start)[0]


def _indentation(token: Token) -> int:
    """The indentation of the line of a token; a tab counts as one character."""
    start = token.source.line_starts[_line(token) - 1]
    blanks = _BLANKS.match(token.source.text, start)
    return blanks.end() - start if blanks else 0
