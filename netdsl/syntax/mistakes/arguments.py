"""Mistakes in arguments and shapes."""

from __future__ import annotations

import re

from netdsl.base.diagnostics import Diagnostic
from netdsl.base.source import Span
from netdsl.syntax.mistakes.spot import BEGINS, Spot, shorten
from netdsl.syntax.scanner import BRACES

_VALUED = {
    "REPEAT": "repeat 3 { ... }",
    "IF": "if stride > 1 { ... }",
    "ASSERT": "assert params == 61706",
    "IN": "for i in 1..3 { ... }",
    "LABELS": 'labels ["plane", "car"]',
    "WHERE": "where H % 32 == 0",
}


def call_in_parentheses(spot: Spot) -> Diagnostic | None:
    """`conv(6, k=5)`, `relu()`."""
    if spot.types(0, "EQUAL|COMMA|SHORT") and spot.opener:
        opener = spot.opener
    elif spot.types(-1, "OPEN_CALL|LPAR", "RPAR"):
        opener = spot.at - 1
    else:
        return None
    name = spot.tokens[opener - 1]
    if not spot.types(opener - 1 - spot.at, "NAME", "LPAR|OPEN_CALL"):
        return None
    if spot.tokens[opener - 2].type in BEGINS:
        return parenthesised_arguments(name.span, spot.tokens[opener].span)
    return (
        parenthesised_arguments(name.span, spot.tokens[opener].span, lower=True) if _in_recipe(spot, opener) else None
    )


def _in_recipe(spot: Spot, opener: int) -> bool:
    """Whether a bracket follows a word of a recipe, as in `train { optimizer Adam(lr=0.01) }`."""
    return spot.tokens[opener - 2].type == "NAME" and spot.tokens[opener - 3].type in BEGINS and any(
        token.type == "TRAIN" for token in spot.tokens[:opener]
    )  # fmt: skip


def comma(spot: Spot) -> Diagnostic | None:
    """`conv 6, 5`, `labels "a", "b"`."""
    if not spot.types(0, "COMMA"):
        return None
    if spot.statement and spot.statement[0].type == "LABELS":
        return spot.error("the labels are one list", 'write `labels ["a", "b"]`')
    if "_ARROW" in spot.accepts:
        return _branches(spot) or spot.error(
            "arguments are separated by spaces", "remove the comma; between layers write `->`"
        )
    return None


def _branches(spot: Spot) -> Diagnostic | None:
    """`add { a, b }`."""
    opener = spot.opener
    if not opener or spot.tokens[opener].type not in BRACES or not spot.types(opener - 1 - spot.at, "NAME"):
        return None
    text = spot.token.source.text
    start = spot.tokens[opener].end
    inner = re.match(r"([^{}()\n]*)\}", text[start : start + 200])
    if inner is None:
        return None
    branches = [branch.strip() for branch in inner[1].split(",")]
    labels = [re.search(rf"\b{branch}\s*:", text) if re.fullmatch(r"\w+", branch) else None for branch in branches]
    shown = [f"@{branch}" if label else branch for branch, label in zip(branches, labels, strict=True)]
    name = spot.tokens[opener - 1]
    span = Span(spot.token.source, name.start, start + inner.end())
    return spot.error("branches are separated by `;`", f"write `{name.text} {{ {' ; '.join(shown)} }}`", span)


def percent(spot: Spot) -> Diagnostic | None:
    """`dropout 50%`."""
    if not spot.types(-2, "INT|FLOAT", "OPERATOR") or spot.near(-1).text != "%" or not spot.ends_line:
        return None
    number = spot.near(-2)
    written = f"{float(number.text) / 100:g}"
    return spot.error("`%` is the remainder of a division", f"write `{written}`", number.span.to(spot.near(-1).span))


def value_missing(spot: Spot) -> Diagnostic | None:
    """`conv 6 k=`, `repeat { ... }`."""
    keyword = spot.near(-1)
    if spot.wants_value and keyword.type in _VALUED:
        return spot.error(
            f"`{keyword.text}` needs a value, got {spot.found}", f"it looks like `{_VALUED[keyword.type]}`"
        )
    if spot.types(-1, "EQUAL") and spot.wants_value and not spot.types(0, "EQUAL|OPERATOR"):
        return spot.error(
            f"`{spot.near(-2).text}=` has no value",
            "a value follows `=`",
            spot.near(-2).span.to(spot.near(-1).span),
        )
    return None


def colon_for_equals(spot: Spot) -> Diagnostic | None:
    """`conv 6 k: 5`; `conv 6 fc: dense 10`."""
    if not (spot.types(-1, "NAME", "COLON") and "_ARROW" in spot.accepts):
        return None
    name, value = spot.near(-1).text, spot.near(1)
    if value.type == "NAME" or spot.is_word(value):
        return spot.error(
            f"the label `{name}` stands behind a layer",
            f"begin a new line, or write `->` before `{name}:`",
            spot.near(-1).span,
        )
    return spot.error(f"`{name}` is given its value with `=`", f"write `{name}={value.text}`")


def train_entry(spot: Spot) -> Diagnostic | None:
    """`train { batch = 128 }`, `train loss cross_entropy`."""
    if spot.types(-1, "TRAIN"):
        return spot.error(
            f"`train` needs its entries in `{{ }}`, got {spot.found}",
            "it looks like `train { loss cross_entropy; batch 128 }`",
        )
    opener = spot.opener
    if opener and spot.types(opener - 1 - spot.at, "TRAIN") and spot.types(-1, "NAME", "EQUAL|COLON"):
        return spot.error(
            f"`{spot.near(-1).text}` is followed by its value at once",
            f"write `{spot.near(-1).text} {spot.near(1).text}`",
            spot.near(-1).span.to(spot.near(1).span),
        )
    return None


def shape(spot: Spot) -> Diagnostic | None:
    """`input x: 3 x 224 x 224`, `input x: (3, 224, 224)`, `input x 3x224x224`."""
    keyword = spot.statement[0].type if spot.statement else ""
    if keyword in ("INPUT", "PARAM") and len(spot.statement) == 2:
        return spot.error(
            "`:` is missing between the name and the shape",
            f"write `{spot.near(-1).text}: 3x224x224`, with the shape that it has",
        )
    if keyword in ("INPUT", "PARAM", "EXPECT") and (
        "SHAPE" in spot.accepts or not spot.accepts & {"COLON", "OPERATOR"}
    ):
        return spot.error(
            f"expected {spot.expected}, got {spot.found}",
            "a shape is written without spaces, the batch left out: `3x224x224` or `[c, size, size]`",
        )
    return None


def shape_as_value(spot: Spot) -> Diagnostic | None:
    """`conv 64 3x3`."""
    if spot.types(0, "SHAPE") and spot.wants_value:
        text = shorten(spot.token.text)
        windowed = any("conv" in token.text or "pool" in token.text for token in spot.statement if token.type == "NAME")
        return spot.error(
            f"expected a value, got the shape `{text}`",
            f"a kernel is written `k{text}`" if windowed else f"write `[{', '.join(text.split('x'))}]`",
        )
    return None


def parenthesised_arguments(name: Span, opener: Span, *, lower: bool = False) -> Diagnostic:
    """The error of a call with parentheses, as other languages write it, with the corrected call.

    With `lower`, the name is that of a class of PyTorch, such as `Adam`.
    """
    called = name.text.lower() if lower else name.text
    inner = re.match(r"\(([^()\n]*)\)", opener.source.text[opener.start : opener.start + 200])
    rewritten = re.sub(r"\s*=\s*", "=", inner[1].replace(",", " ")).split() if inner else ["..."]
    return Diagnostic(
        "E0101",
        f"the arguments of `{name.text}` stand in parentheses",
        Span(opener.source, name.start, opener.start + inner.end()) if inner else opener,
        help=f"arguments follow the name, with spaces between: `{' '.join([called, *rewritten])}`",
    )
