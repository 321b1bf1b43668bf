"""Mistakes in names and labels."""

from __future__ import annotations

import re

from netdsl.base.diagnostics import Diagnostic
from netdsl.base.source import Span
from netdsl.syntax.mistakes.spot import BEGINS, Spot

_NAMED = {
    "NET": "net name { ... }",
    "BLOCK": "block name(width) { ... }",
    "DEFAULT": "default conv bias=no",
    "LET": "let n = 3",
    "INPUT": "input image: 3x224x224",
    "PARAM": "param token: 1x768",
    "OUTPUT": "output logits",
    "AUX": "aux name: { ... }",
    "REUSE": "reuse label",
    "FOR": "for n in [1, 2, 3] { ... }",
}


def input_without_name(spot: Spot) -> Diagnostic | None:
    """`input: 3x32x32`, `Input: 3x32x32`, `Input image: 3x32x32`."""
    if spot.types(-2, "INPUT|NAME", "COLON", "SHAPE|LSQB") and spot.near(-2).text.lower() == "input":
        shape = _rest_of_line(spot, spot.token.start)
        return spot.error(
            "`input` needs a name", f"write `input image: {shape}`", _line_span(spot, spot.near(-2).start)
        )
    if spot.types(0, "COLON", "SHAPE|LSQB") and spot.near(-1).text.lower() == "input":
        shape = _rest_of_line(spot, spot.near(1).start)
        return spot.error(
            "`input` needs a name", f"write `input image: {shape}`", _line_span(spot, spot.near(-1).start)
        )
    return None


def output_as_label(spot: Spot) -> Diagnostic | None:
    """`output: dense 10`."""
    if spot.types(-1, "OUTPUT", "COLON") and not spot.types(1, "_END"):
        chain = _rest_of_line(spot, spot.near(1).start)
        remedy = f"write `{chain} -> output result`"
        return spot.error("`output` marks a tensor, and labels none", remedy, _line_span(spot, spot.near(-1).start))
    return None


def _rest_of_line(spot: Spot, start: int) -> str:
    found = re.match(r"[^\n#;}]*", spot.token.source.text[start : start + 200])
    return found[0].rstrip() if found else ""


def _line_span(spot: Spot, start: int) -> Span:
    return Span(spot.token.source, start, start + len(_rest_of_line(spot, start)))


def name_reserved(spot: Spot) -> Diagnostic | None:
    """`block mean(c) { ... }`, `input: conv 8`."""
    if spot.types(0, "COLON") and spot.is_word(spot.near(-1)) and not spot.types(1, "LBRACE|LSQB"):
        return None if spot.types(-1, "ELSE") else reserved_name(spot.near(-1).span)
    if spot.wants_name and "_END" not in spot.accepts and not spot.types(0, "IN"):
        return reserved_name(spot.token.span) if spot.is_word(spot.token) or spot.types(0, "SHORT") else None
    if spot.wants_layer and spot.is_word(spot.token) and spot.types(1, "COLON"):
        return reserved_name(spot.token.span)
    return None


def name_missing(spot: Spot) -> Diagnostic | None:
    """`output`, `aux: { ... }`, `reuse @label`."""
    keyword = spot.near(-1)
    if not (spot.wants_name and keyword.type in _NAMED):
        return None
    if spot.types(0, "SHAPE|INT|LSQB"):
        return spot.error(f"`{keyword.text}` needs a name", f"write `{keyword.text} name: {spot.token.text}`")
    if spot.types(0, "REFERENCE|OPEN_REFERENCE"):
        return spot.error(
            f"`{keyword.text}` takes a label without `@`", f"write `{keyword.text} {spot.token.text[1:]}`"
        )
    return spot.error(f"`{keyword.text}` needs a name, got {spot.found}", f"it looks like `{_NAMED[keyword.type]}`")


def aux_without_colon(spot: Spot) -> Diagnostic | None:
    """`aux side { dense 10 }`, whose bracket is parsed as that of a computed label."""
    outside = spot.opener or 0
    computed = spot.tokens[outside - 1].end == spot.tokens[outside].start
    head = [*spot.tokens[max(outside - 2, 0) : outside]] if not computed else []
    words = head if head and head[0].type == "AUX" else spot.statement
    if len(words) < 2 or words[0].type != "AUX":
        return None
    remedy = f"write `aux {words[1].text}: {{ ... }}`"
    if all(token.type != "COLON" for token in words):
        return spot.error(f"`aux {words[1].text}` needs a colon", remedy, words[1].span)
    if spot.types(0, "_ARROW"):
        return spot.error(f"`aux {words[1].text}` is one layer, block or group", f"{remedy} around the chain")
    return None


def assignment(spot: Spot) -> Diagnostic | None:
    """`features = conv 3`."""
    if spot.types(0, "EQUAL") and spot.types(-1, "NAME") and spot.near(-2).type in BEGINS:
        name, value = spot.near(-1).text, spot.near(1)
        if spot.near(-1).reserved:
            example = _NAMED.get(spot.words.get(name, ""))
            if example is None:
                return reserved_name(spot.near(-1).span)
            return spot.error(f"`{name}` needs a name, got {spot.found}", f"it looks like `{example}`")
        if value.type == "NAME" or spot.is_word(value):
            rest = _rest_of_line(spot, value.start)
            return spot.error(
                "a layer is labelled with `:`, not with `=`",
                f"write `{name}: {rest}`; to name a number, `let {name} = ...`",
                _line_span(spot, spot.near(-1).start),
            )
        return spot.error("`=` gives a value to arguments and in a `let` only", f"write `let {name} = {value.text}`")
    return None


def reserved_name(name: Span) -> Diagnostic:
    """The error of a name that is a reserved word or a short form."""
    text = name.text
    if re.fullmatch(r"[kspdg][0-9]+(x[0-9]+)*", text):
        return Diagnostic(
            "E0109",
            f"`{text}` is short for the argument `{text[0]}={text[1:]}` and so cannot be a name",
            name,
            help=f"write `{text[0]}_{text[1:]}`",
        )
    return Diagnostic(
        "E0109",
        f"`{text}` is a word of the language and cannot be a name",
        name,
        help=f"choose another one, such as `{text}_`",
    )
