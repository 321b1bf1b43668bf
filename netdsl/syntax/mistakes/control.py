"""Mistakes in conditions, loops and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic
from netdsl.syntax.mistakes.spot import BEGINS, Spot

if TYPE_CHECKING:
    from netdsl.syntax.scanner import Token

_WITH_BODY = frozenset({"REPEAT", "FOR", "IF", "ELSE", "SKIP", "SHORTCUT", "AUX", "NET", "BLOCK"})
ELSE_IF = ("elif", "elseif", "elsif")


def else_alone(spot: Spot) -> Diagnostic | None:
    """`else { ... }` after something other than the body of an `if`, or a second time."""
    if spot.types(0, "ELSE") and not spot.types(-1, "IF") and not spot.wants_body:
        remedy = "write `if condition { ... } else { ... }`, or `a if condition else b` for a value"
        return spot.error("this `else` belongs to no `if`", remedy)
    return None


def shortcut_alone(spot: Spot) -> Diagnostic | None:
    """`shortcut { ... }` without a skip, after another join, or a second time."""
    if spot.types(0, "SHORTCUT"):
        return spot.error(
            "a `shortcut` stands once, right after the body of a `skip`", "write `skip { ... } shortcut { ... }`"
        )
    return None


def else_if_in_one_word(spot: Spot) -> Diagnostic | None:
    """`if a { ... } elif b { ... }`."""
    return _else_if(spot.token) if "ELSE" in spot.accepts and spot.token.text in ELSE_IF else None


def equals_in_condition(spot: Spot) -> Diagnostic | None:
    """`if depth = 3 { ... }`."""
    if (
        spot.types(0, "EQUAL")
        and "OPERATOR" in spot.accepts
        and any(token.type in ("IF", "ASSERT", "WHERE") for token in spot.statement)
    ):
        return spot.error("`=` does not compare", f"write `{spot.near(-1).text} == {spot.near(1).text}`")
    return None


def for_with_equals(spot: Spot) -> Diagnostic | None:
    """`for i = 1..3 { ... }`."""
    if spot.types(-2, "FOR", "NAME", "EQUAL"):
        return spot.error("`for` takes its values with `in`", f"write `for {spot.near(-1).text} in`")
    return None


def body_missing(spot: Spot) -> Diagnostic | None:
    """`repeat 3`, `if a:`, and a bracket on a line of its own."""
    if not spot.wants_body:
        return None
    keyword = next((token for token in reversed(spot.statement) if token.type in _WITH_BODY), None)
    if keyword is None:
        return None
    message = f"`{keyword.text}` needs a body in `{{ }}` or `[ ]`, got {spot.found}"
    if spot.types(0, "_END", "LBRACE|LSQB"):
        return spot.error(message, f"put the `{spot.near(1).text}` at the end of this line")
    if spot.types(0, "COLON"):
        return spot.error(message, "write `{` instead of `:`, and `}` at the end of the body")
    remedy = "put what belongs to it between `{` and `}`"
    if spot.types(-1, "RSQB") and any(token.type == "OPEN_INDEX" for token in spot.statement):
        remedy += "; before the `[` of a body stands a space"
    return spot.error(message, remedy)


def body_of_a_call(spot: Spot) -> Diagnostic | None:
    """`features{ conv 3 }`, which the grammar takes for the label `features{...}:`; `conv 3 [ relu ]`."""
    if spot.accepts == {"COLON"} and spot.types(-1, "RBRACE"):
        opener = next(i for i in range(spot.at - 1, -1, -1) if spot.tokens[i].type == "OPEN_LABEL")
    elif spot.types(0, "LBRACE|LSQB"):
        opener = spot.at
    else:
        opener = spot.opener or 0
    bracket = spot.tokens[opener]
    first = opener if opener != spot.at else spot.at - len(spot.statement) + 1
    name = spot.tokens[first - 1]
    if opener < 2 or name.type != "NAME" or spot.tokens[first - 2].type not in BEGINS:
        return None
    if bracket.type == "OPEN_LABEL":
        return spot.error(
            f"`{name.text}{{` begins a computed label, as in `{name.text}{{i}}:`",
            f"a body stands behind a blank, `{name.text} {{`; a group is labelled by `{name.text}: {{`",
            bracket.span,
        )
    if bracket.type == "LSQB" and "LSQB" not in spot.accepts:
        return spot.error(
            "a layer has no body in `[ ]`", "begin a new line, or write `->` before the group", bracket.span
        )
    return None


def _else_if(token: Token) -> Diagnostic:
    return Diagnostic("E0101", f"`{token.text}` is not a word of the language", token.span, help="write `else if`")
