"""Characters that begin no token, with what the writer may have meant."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic
from netdsl.base.naming import MAX_NAME_LENGTH
from netdsl.syntax.mistakes.spot import shorten

if TYPE_CHECKING:
    from netdsl.syntax.scanner import Token

_ARROWS = "|\u2192\u27f6\u2794\u279c\u21d2"
_REMEDIES = {
    "&": "write `and`",
    "!": "write `not`, or `!=` for unequal",
    "^": "there are no powers; multiply",
    "?": "write `a if condition else b`",
    "@": "a label follows at once: `@name`",
    ".": "numbers have digits on both sides of the point: `0.5`, `5.0`",
    "\u00d7": "write a plain `x` in shapes, `*` in products",
    "\u2212": "write a plain `-`",
    "\u2013": "write a plain `-`",
    "\u2014": "write a plain `-`",
    "`": 'names stand by themselves, strings between `"`',
    "\\": "a line goes on after `->`, a comma, or inside round brackets",
    "$": "names stand by themselves, without `$`",
}


def explain_malformed(token: Token) -> Diagnostic:
    """Explain a token of type `MALFORMED`."""
    text = token.text
    first = text[0]
    if first == '"':
        return Diagnostic("E0103", "the string does not end on its line", token.span, help='close it with `"`')
    if first in "'\u2018\u2019\u201c\u201d\u201e":
        inner = shorten(text.strip("'\u2018\u2019\u201c\u201d\u201e\""))
        return Diagnostic(
            "E0104", "strings stand between straight double quotes", token.span, help=f'write `"{inner}"`'
        )
    if first.isascii() and (first.isalpha() or first == "_"):
        return Diagnostic(
            "E0111", f"expected a name of at most {MAX_NAME_LENGTH} characters, got {len(text):,}", token.span
        )
    if first.isdigit():
        return _number(token)
    if first in _ARROWS:
        return Diagnostic("E0104", f"`{first}` has no meaning here", token.span, help="layers are joined by `->`")
    if first.isalpha() and not first.isascii():
        return Diagnostic(
            "E0104", f"names are made of the letters a-z and A-Z, digits and `_`, without `{first}`", token.span
        )
    digits = re.search(r"[0-9]*\Z", token.source.text[max(token.start - 20, 0) : token.start])
    if first == "." and digits and digits[0]:
        return Diagnostic(
            "E0110",
            "a digit is missing after the point",
            token.span,
            help=f"write `{digits[0]}.0`",
        )
    if first.isprintable() and not first.isspace():
        return Diagnostic("E0104", f"`{first}` has no meaning here", token.span, help=_REMEDIES.get(first))
    name = unicodedata.name(first, "control character").lower()
    return Diagnostic(
        "E0104",
        f"the character U+{ord(first):04X} ({name}) has no meaning here",
        token.span,
        help="put a plain space in its place" if first.isspace() else "remove it; it is invisible",
    )


def _number(token: Token) -> Diagnostic:
    text = token.text
    sizes = text.split("x")
    if len(sizes) > 1 and all(re.fullmatch(r"[0-9]+|[A-Za-z_][A-Za-z0-9_]*", size) for size in sizes):
        return Diagnostic(
            "E0110",
            f"the sizes in `{shorten(text)}` are neither numbers nor single capital letters",
            token.span,
            help=f"write `[{shorten(', '.join(sizes))}]`",
        )
    return Diagnostic(
        "E0110",
        f"`{shorten(text)}` is neither a number nor a name",
        token.span,
        help="numbers look like `28`, `0.5` or `1e-3`; names begin with a letter",
    )
