"""From text to a tree: `parse`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from lark import Lark
from lark.exceptions import UnexpectedToken

from netdsl.diagnostics import fail
from netdsl.resources import directory
from netdsl.syntax import tree
from netdsl.syntax.builder import Builder
from netdsl.syntax.scanner import Scanner

if TYPE_CHECKING:
    from netdsl.source import Source


@cache
def _grammar() -> tuple[Lark, Scanner]:
    text = (directory("grammars") / "netdsl.lark").read_text(encoding="utf-8")
    lark = Lark(text, start="file", parser="lalr", lexer="basic", transformer=Builder())
    return lark, Scanner(lark.terminals)


def parse(source: Source) -> tree.File:
    """The tree of a source.

    Raises:
        NetdslError: the text is no program (codes E01xx).
    """
    lark, scanner = _grammar()
    tokens, comments = scanner.scan(source)
    if len(tokens) == 1:
        raise fail("E0108", "the file declares nothing", tokens[0].span, help="write a `net`")
    state: Any = lark.parse_interactive()
    result: Any = None
    for token in tokens:
        try:
            result = state.feed_token(token)
        except UnexpectedToken:
            raise fail("E0101", f"unexpected `{token.text}`", token.span) from None
    return tree.File(tokens[0].span.to(tokens[-1].span), source, result, comments)
