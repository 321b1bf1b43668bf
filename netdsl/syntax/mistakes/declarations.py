"""Mistakes in declarations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from netdsl.base.naming import is_name
from netdsl.base.source import Span

if TYPE_CHECKING:
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.syntax.mistakes.spot import Spot

_OTHER_LANGUAGES = {
    "import": 'write `use "other.net"`',
    "include": 'write `use "other.net"`',
    "from": 'write `use "other.net"`',
    "def": "write `block name(...) { ... }`",
    "fn": "write `block name(...) { ... }`",
    "func": "write `block name(...) { ... }`",
    "function": "write `block name(...) { ... }`",
    "module": "write `block name(...) { ... }`",
    "layer": "write `block name(...) { ... }`",
    "class": "write `net name(...) { ... }`",
    "model": "write `net name(...) { ... }`",
    "network": "write `net name(...) { ... }`",
}


def declaration_expected(spot: Spot) -> Diagnostic | None:
    """`import "x.net"`; `conv 3` outside of all nets."""
    if "NET" not in spot.accepts:
        return None
    text = spot.token.text
    if text in _OTHER_LANGUAGES:
        return spot.error(f"`{text}` is not a word of the language", _OTHER_LANGUAGES[text])
    if text.lower() in ("net", "block", "use", "let", "default"):
        return spot.error(f"`{text}` begins no declaration", f"write `{text.lower()}`")
    if spot.token.type == "NAME" or spot.is_word(spot.token):
        return spot.error(
            f"`{text}` stands outside of every `net` and `block`", "write `net name { ... }` around the layers"
        )
    return spot.error(
        f"expected {spot.expected}, got {spot.found}",
        "a file is a list of declarations; layers stand inside a `net`",
    )


def hyphen(spot: Spot) -> Diagnostic | None:
    """`net my-net { ... }`."""
    if not spot.types(-2, "NET|BLOCK", "NAME", "SIGN") or spot.token.text != "-":
        return None
    name = re.match(r"[\w-]+", spot.token.source.text[spot.near(-1).start :])
    if name is None or not is_name(name[0].replace("-", "_")):
        return None
    span = Span(spot.token.source, spot.near(-1).start, spot.near(-1).start + name.end())
    return spot.error("a name has no `-`", f"write `{name[0].replace('-', '_')}`", span)


def nested_declaration(spot: Spot) -> Diagnostic | None:
    """`net a { block b { ... } }`."""
    if spot.wants_layer and spot.types(0, "NET|BLOCK|USE"):
        return spot.error(f"`{spot.token.text}` stands inside a body", "declarations stand outside of all brackets")
    return None


def use_without_quotes(spot: Spot) -> Diagnostic | None:
    """`use other.net`."""
    if not spot.types(-1, "USE") and not spot.types(-2, "USE", "NAME"):
        return None
    first = spot.token if spot.types(-1, "USE") else spot.near(-1)
    rest = re.match(r"\S*", first.source.text[first.start :])
    path = rest[0] if rest else ""
    return spot.error("the path of a used file is a string", f'write `use "{path}"`', first.span)


def variant_without_brackets(spot: Spot) -> Diagnostic | None:
    """`net small = resnet`."""
    if spot.types(-2, "EQUAL", "NAME") and spot.accepts == {"LPAR", "OPEN_CALL"}:
        name = spot.near(-1).text
        return spot.error(f"the arguments of `{name}` are missing", f"write `{name}()`, or arguments in the brackets")
    return None


def goes_on(spot: Spot) -> Diagnostic | None:
    """`skip { ... } relu`, two declarations in a line."""
    if "_END" not in spot.accepts or not (spot.types(0, "NAME") or spot.is_word(spot.token)):
        return None
    arrow = f"write `->` before `{spot.token.text}`, or " if "_ARROW" in spot.accepts else ""
    return spot.error(f"expected {spot.expected}, got {spot.found}", f"{arrow}begin a new line")
