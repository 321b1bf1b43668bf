"""From text to tokens: the terminals of the grammar, then the rules of layout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from lark.lexer import PatternStr

from netdsl.base.naming import MAX_NAME_LENGTH
from netdsl.base.source import Source, Span
from netdsl.syntax.tree import Comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lark.lexer import TerminalDef

ROUND = frozenset({"LPAR", "OPEN_CALL"})
BRACES = frozenset({"LBRACE", "OPEN_LABEL"})
OPENERS = ROUND | BRACES | {"LSQB", "OPEN_INDEX", "OPEN_REFERENCE", "OPEN_TAIL"}
CLOSERS = frozenset({"RPAR", "RSQB", "RBRACE"})
_DECLARES = frozenset({"BLOCK", "NET", "USE"})
"""Words that begin declarations only, so that they may be labels before `:` and after `reuse`."""
_TOUCHING = {
    "LSQB": ("OPEN_INDEX", frozenset({"NAME", "IN_ATTRIBUTE", "RPAR", "RSQB"})),
    "LPAR": ("OPEN_CALL", frozenset({"NAME"})),
    "LBRACE": ("OPEN_LABEL", frozenset({"NAME", "SHORT"})),
}
"""The type of an opening bracket that touches a token before it, and the types of such tokens."""
_NO_END_AFTER = OPENERS | {"COMMA", "_ARROW"}
_CLOSE = CLOSERS | {"$END"}
_NO_END_BEFORE = _CLOSE | {"COMMA", "_ARROW", "SHORTCUT", "ELSE"}

_MALFORMED = (
    r'(?P<MALFORMED>"[^"\r\n]*'
    r"|['\u2018\u2019][^'\u2018\u2019\r\n]*['\u2018\u2019]?"
    r'|[\u201c-\u201e][^\u201c-\u201e"\r\n]*[\u201c-\u201e"]?'
    r"|[0-9][A-Za-z0-9_]*|.)"
)
"""Text that no terminal matches, in pieces that a reader sees as one."""


@dataclass(slots=True)
class Token:
    """A terminal of the grammar (`type`) and its text.

    Two types are not in the grammar: `MALFORMED`, which is an error for the parser, and `$END`, the end of the text.
    A `reserved` token has the type NAME because `=` follows it; it can only be the key of an argument.
    """

    type: str
    source: Source
    start: int
    end: int
    reserved: bool = False

    @property
    def text(self) -> str:
        """The characters of the token."""
        return self.source.text[self.start : self.end]

    @property
    def span(self) -> Span:
        """The source location of the token."""
        return Span(self.source, self.start, self.end)


class Scanner:
    """Splits a text into the terminals of a grammar.

    Attributes:
        words: the reserved words, each with the name of its terminal.
        never_labels: the reserved words that cannot be labels.
    """

    def __init__(self, terminals: Iterable[TerminalDef]) -> None:
        fixed = {t.pattern.value: t.name for t in terminals if isinstance(t.pattern, PatternStr)}
        self.words = {text: name for text, name in fixed.items() if text.isidentifier()}
        self.never_labels = frozenset(text for text, name in self.words.items() if name not in _DECLARES)
        others = [t for t in terminals if t.pattern.value not in self.words]
        others.sort(key=lambda t: (-t.priority, -len(t.pattern.value)))
        self._pattern = re.compile("|".join([*(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in others), _MALFORMED]))
        self._not_names = frozenset({*self.words.values(), "SHORT"})

    def scan(self, source: Source, most: int, start: int = 0) -> tuple[list[Token], tuple[Comment, ...]]:
        """The tokens for the parser, and the comments, from the offset `start` on.

        The last token is `$END`, unless the text has more than `most` tokens, comments and lines: the rest is left out.
        """
        tokens: list[Token] = []
        comments: list[Comment] = []
        end: Token | None = None  # the end of the last statement, until the next token shows whether it counts
        round_brackets = 0
        previous = "_ARROW"  # so that `_END` never comes first
        for token in islice(self._split(source, start), most):
            kind = token.type
            if kind == "COMMENT":
                comments.append(Comment(token.span))
                continue
            if kind == "_END":
                if end is None or token.text == ";":
                    end = token
                continue
            if end is not None:
                if end.text == ";":
                    counts = kind not in _CLOSE
                else:
                    counts = not round_brackets and previous not in _NO_END_AFTER and kind not in _NO_END_BEFORE
                if counts:
                    tokens.append(end)
                end = None
            if kind == "EQUAL" and tokens and tokens[-1].type in self._not_names:
                tokens[-1].type, tokens[-1].reserved = "NAME", True
            elif kind == "COLON" and tokens and tokens[-1].type in _DECLARES:
                tokens[-1].type = "NAME"
            elif kind in _DECLARES and tokens and tokens[-1].type == "REUSE":
                token.type = kind = "NAME"
            elif kind in _TOUCHING and tokens:
                token.type = kind = _touching(token, tokens[-1])
            if kind in ROUND:
                round_brackets += 1
            elif kind == "RPAR":
                round_brackets -= 1
            tokens.append(token)
            previous = kind
        return tokens, tuple(comments)

    def _split(self, source: Source, start: int) -> Iterator[Token]:
        """All tokens, including comments and ends of lines; only spaces are left out."""
        for match in self._pattern.finditer(source.text, start):
            kind = str(match.lastgroup)
            if kind in ("NAME", "SHORT"):
                short = match.end() - match.start() <= MAX_NAME_LENGTH
                kind = self.words.get(match.group(), kind) if short else "MALFORMED"
            if kind != "BLANK":
                yield Token(kind, source, match.start(), match.end())
        yield Token("$END", source, len(source.text), len(source.text))


def _touching(bracket: Token, before: Token) -> str:
    """The type of an opening bracket, which differs where it touches the token before it."""
    touching, values = _TOUCHING[bracket.type]
    return touching if before.end == bracket.start and before.type in values else bracket.type
