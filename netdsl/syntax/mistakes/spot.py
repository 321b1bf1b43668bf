"""The place of a syntax error: the token at fault, and the tokens that would have been accepted, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic
from netdsl.base.source import Span
from netdsl.syntax.scanner import BRACES, CLOSERS, OPENERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.syntax.scanner import Token

_SELDOM = {"LBRACE": "`{`", "RBRACE": "`}`", "RSQB": "`]`", "STRING": "a string"}

BEGINS = frozenset({"_END", "_ARROW", "COLON", "LSQB"}) | BRACES
"""The tokens that may stand before the first token of an element."""

_PUNCTUATION = {
    "COLON": ":",
    "EQUAL": "=",
    "IN": "in",
    "ELSE": "else",
    "COMMA": ",",
    "_TO": "..",
    "LPAR": "(",
    "RPAR": ")",
}


@dataclass(frozen=True)
class Spot:
    """The first token at which the parser cannot continue.

    Attributes:
        tokens: all tokens of the text.
        at: the index of the token at fault.
        accepts: the types of the tokens that would have been accepted.
        words: the reserved words with their types.
    """

    tokens: Sequence[Token]
    at: int
    accepts: frozenset[str]
    words: Mapping[str, str]

    @property
    def token(self) -> Token:
        """The token at fault."""
        return self.tokens[self.at]

    def near(self, distance: int) -> Token:
        """The token `distance` places after this one, or before it if negative; at the ends, the first or last."""
        return self.tokens[min(max(self.at + distance, 0), len(self.tokens) - 1)]

    def types(self, first: int, *wanted: str) -> bool:
        """Whether the tokens from `first` places on have these types; `|` separates alternatives."""
        if self.at + first < 0:
            return False
        return all(self.near(first + i).type in types.split("|") for i, types in enumerate(wanted))

    def is_word(self, token: Token) -> bool:
        """Whether a token is a reserved word."""
        return token.type in self.words.values()

    @cached_property
    def opener(self) -> int | None:
        """The index of the bracket around the token; None outside all brackets."""
        depth = 0
        for index in range(self.at - 1, -1, -1):
            kind = self.tokens[index].type
            if kind in CLOSERS:
                depth += 1
            elif kind in OPENERS:
                if depth == 0:
                    return index
                depth -= 1
        return None

    @cached_property
    def statement(self) -> Sequence[Token]:
        """The tokens of the statement up to the token at fault; an open `(` or `[` around it begins no new one."""
        depth = 0
        start = self.at
        while start > 0:
            token = self.tokens[start - 1]
            if token.type in CLOSERS:
                depth += 1
            elif token.type in OPENERS:
                if depth == 0 and token.type in BRACES:
                    break
                depth = max(depth - 1, 0)
            elif token.type == "_END" and depth == 0:
                break
            start -= 1
        return self.tokens[start : self.at]

    @property
    def wants_body(self) -> bool:
        """Whether a body is expected."""
        return {"LBRACE", "LSQB"} <= self.accepts and not self.accepts & {"INT", "SKIP"}

    @property
    def wants_value(self) -> bool:
        """Whether an expression or an argument is possible."""
        return {"INT", "STRING"} <= self.accepts

    @property
    def wants_layer(self) -> bool:
        """Whether an element of a chain may begin here."""
        return "SKIP" in self.accepts

    @property
    def wants_name(self) -> bool:
        """Whether only a name, or what may follow one, is possible here."""
        return "NAME" in self.accepts and not (self.wants_value or self.wants_layer or "NET" in self.accepts)

    @property
    def ends_line(self) -> bool:
        """Whether the missing part belongs at the end of a line."""
        if self.token.type == "_END":
            return self.token.text != ";"
        between = self.token.source.text[self.near(-1).end : self.token.start]
        return self.at > 0 and self.token.type in CLOSERS and "\n" in between

    @property
    def found(self) -> str:
        """The token at fault, in words."""
        if self.token.type == "$END":
            return "the end of the file"
        if self.ends_line:
            return "the end of the line"
        return f"`{shorten(self.token.text)}`"

    def error(self, message: str, help: str | None = None, span: Span | None = None) -> Diagnostic:  # noqa: A002 - as in Diagnostic
        """An error at the token, or at `span`; where something is missing at the end of a line, it is shown there."""
        if span is None and self.at and (self.ends_line or self.token.type == "$END"):
            span = Span(self.token.source, self.near(-1).end, self.near(-1).end)
        return Diagnostic("E0101", message, span or self.token.span, help=help)

    @property
    def expected(self) -> str:
        """What would have been accepted here, in words, the most helpful first."""
        accepts = self.accepts
        names: list[str] = []
        if "NET" in accepts:
            names.append("`net`, `block`, `use`, `let` or `default`")
        elif "LET" in accepts:
            names.append("a layer or a statement")
        elif self.wants_layer:
            names.append("a layer")
        if self.wants_value:
            names.append("an argument" if accepts & {"_ARROW", "SHORT"} else "a value")
        if "SHAPE" in accepts:
            names.append("a shape such as `3x224x224`")
        if self.wants_name and not (accepts & {"_END", "SHAPE"}):
            names.append("a name")
        if self.wants_body:
            names.append("a body in `{ }` or `[ ]`")
        if "COMMA" in accepts and "RSQB" in accepts and "_END" not in accepts:
            names.append("`]`")
        names += [f"`{text}`" for kind, text in _PUNCTUATION.items() if kind in accepts and not self._implied(kind)]
        if "_ARROW" in accepts:
            names.append("`->`")
        if "_END" in accepts:
            names.append("the end of the line")
        elif not names:
            names += [text for kind, text in _SELDOM.items() if kind in accepts]
        return _either(names or ["the end of the file"])

    def _implied(self, kind: str) -> bool:
        """Whether a token is left out of the list, because it is possible here but helps nobody."""
        if kind == "LPAR":
            return self.wants_value
        if kind == "COLON":
            return "_ARROW" in self.accepts
        return kind in ("COMMA", "EQUAL") and self.wants_value


def shorten(text: str) -> str:
    """Shorten a text for a message."""
    return text if len(text) <= 40 else f"{text[:37]}..."


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
