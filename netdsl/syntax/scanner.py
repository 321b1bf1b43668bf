"""From text to tokens: the grammar's terminals, then the rules of layout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lark.lexer import PatternStr

from netdsl.diagnostics import fail
from netdsl.source import Source, Span
from netdsl.syntax.tree import Comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lark.lexer import TerminalDef

OPENERS = frozenset({"LPAR", "LSQB", "LBRACE", "OPEN_REFERENCE", "OPEN_TAIL"})
CLOSERS = frozenset({"RPAR", "RSQB", "RBRACE"})
_NOTHING_AFTER = OPENERS | {"COMMA", "_ARROW"}
_NOTHING_BEFORE = CLOSERS | {"COMMA", "_ARROW", "SHORTCUT", "$END"}


@dataclass(slots=True)
class Token:
    """A terminal of the grammar (`type`) and the text it stands for."""

    type: str
    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters of the token."""
        return self.source.text[self.start : self.end]

    @property
    def span(self) -> Span:
        """Where the token stands."""
        return Span(self.source, self.start, self.end)


class Scanner:
    """Splits texts by the terminals of a grammar."""

    def __init__(self, terminals: Iterable[TerminalDef]) -> None:
        plain = {t.pattern.value: t.name for t in terminals if isinstance(t.pattern, PatternStr)}
        self.words = {text: name for text, name in plain.items() if text.isidentifier()}
        ordered = sorted(terminals, key=lambda t: (-t.priority, -len(t.pattern.value)))
        self.pattern = re.compile("|".join(
            f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in ordered if t.pattern.value not in self.words
        ))

    def split(self, source: Source) -> Iterator[Token]:
        """All tokens, newlines and comments among them; blanks left out."""
        position = 0
        words, text = self.words, source.text
        for match in self.pattern.finditer(text):
            start, end = match.span()
            if start != position:
                raise fail("E0104", "a character that begins no token", Span(source, position, position + 1))
            position = end
            kind = match.lastgroup
            if kind == "BLANK":
                continue
            if kind == "NAME":
                kind = words.get(match.group(), "NAME")
            yield Token(kind or "", source, start, end)
        if position != len(text):
            raise fail("E0104", "a character that begins no token", Span(source, position, position + 1))

    def scan(self, source: Source) -> tuple[list[Token], tuple[Comment, ...]]:
        """The tokens that the parser is to see, `$END` last, and the comments."""
        tokens: list[Token] = []
        comments: list[Comment] = []
        end: Token | None = None
        round_brackets = 0
        previous = "_ARROW"
        for token in [*self.split(source), Token("$END", source, len(source.text), len(source.text))]:
            kind = token.type
            if kind == "COMMENT":
                comments.append(Comment(token.span))
                continue
            if kind == "_END":
                if token.text == ";" or end is None:
                    end = token
                continue
            if end is not None:
                if not round_brackets and previous not in _NOTHING_AFTER and kind not in _NOTHING_BEFORE:
                    tokens.append(end)
                end = None
            if kind == "EQUAL" and previous in self.words.values():
                tokens[-1].type = "NAME"
            round_brackets += (kind == "LPAR") - (kind == "RPAR")
            tokens.append(token)
            previous = kind
        return tokens, tuple(comments)
