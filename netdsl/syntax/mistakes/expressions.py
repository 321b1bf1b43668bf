"""Mistakes in expressions, and symbols of other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.syntax.mistakes.spot import Spot


def arrow(spot: Spot) -> Diagnostic | None:
    """`conv 3 >> relu`, `conv 3 => relu`, an arrow without a layer before or after it."""
    for first in (-1, 0):
        one, two = spot.near(first), spot.near(first + 1)
        if one.end == two.start and one.text + two.text in ("=>", ">>", "-->", "->>", "~>"):
            return spot.error(
                f"`{one.text + two.text}` is not an arrow of the language", "write `->`", one.span.to(two.span)
            )
    if spot.types(0, "_ARROW") and spot.wants_layer:
        return spot.error("there is no layer before `->`", "remove the arrow, or write a layer before it")
    if spot.types(-1, "_ARROW") and not (spot.is_word(spot.token) or spot.types(0, "INT|STRING|SHORT")):
        return spot.error(
            "there is no layer after `->`", "remove the arrow, or write a layer after it", spot.near(-1).span
        )
    return None


def comment(spot: Spot) -> Diagnostic | None:
    """`// text`."""
    pair = spot.token.text + spot.near(1).text
    if spot.token.text == "//" or pair in ("--", "/*"):
        return spot.error(f"{spot.found} begins neither a layer nor a statement", "a comment begins with `#`")
    return None


def index(spot: Spot) -> Diagnostic | None:
    """`dense[3]`, `block a[ relu ]`, `repeat n[ conv 3 -> relu ]`, `xs[0, 1]`, `xs[1:3:2]`."""
    here = spot.at if spot.types(0, "OPEN_INDEX") else spot.opener
    if here is None or spot.tokens[here].type != "OPEN_INDEX" or (here != spot.at and spot.wants_value):
        return None
    bracket = spot.tokens[here].span
    text = spot.tokens[here - 1].text
    if here == spot.at:
        message = f"`{text}[` begins an index, and none can stand here"
        return spot.error(message, "put a space before the `[` of a body or a list", bracket)
    message = f"`{text}[` begins an index: expected {spot.expected}, got {spot.found}"
    return spot.error(message, "it looks like `xs[2]` or `xs[1:3]`; before the `[` of a body or a list stands a space")


def function(spot: Spot) -> Diagnostic | None:
    """`let x = min (1, 2)`, `let x = min 1`."""
    if spot.types(-1, "NAME", "LPAR|INT|FLOAT|NAME") and "OPERATOR" in spot.accepts and "_ARROW" not in spot.accepts:
        name = spot.near(-1).text
        return spot.error(
            f"expected {spot.expected}, found {spot.found}",
            f"if `{name}` is a function, its arguments stand in parentheses that touch it: `{name}(...)`",
        )
    return None


def current_tensor(spot: Spot) -> Diagnostic | None:
    """`conv in`, `x.channels`, `.5`."""
    if spot.types(0, "IN") and spot.wants_value:
        return spot.error("`in` by itself is not a value", "write `in.channels`, `in.height`, `in.width` or `in.rank`")
    if not spot.types(0, "TAIL"):
        return None
    if spot.token.text[1:2].isdigit():
        return spot.error("numbers have digits on both sides of the point", f"write `0{spot.token.text}`")
    return spot.error(
        f"`{spot.near(-1).text}` has no parts",
        f"the current tensor is `in`, as in `in.channels`; a label is `@{spot.near(-1).text}{spot.token.text}`",
    )


def counting(spot: Spot) -> Diagnostic | None:
    """`let xs = 1..3`."""
    if spot.types(0, "_TO"):
        return spot.error("`..` counts in the head of a `for` only", "elsewhere write `range(...)`")
    return None
