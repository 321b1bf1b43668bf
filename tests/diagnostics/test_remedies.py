"""The remedies that messages tell, applied to the letter: the program is right afterwards.

Every program below has one thing wrong. Its help line is read by the patterns of `REMEDIES`, each of which makes the
programs that the line describes, and these are checked.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.base.diagnostics import Diagnostic

IMAGE = "input image: 8x32x32"
UNKNOWN = "input image: 8xHxW"

PROGRAMS = {
    # misspelt names
    "a layer": f"{IMAGE}; convv 8 k3",
    "a layer of another framework": f"{IMAGE}; flatten -> Linear 8",
    "an argument": f"{IMAGE}; conv 8 k3 bais=no",
    "an argument of another framework": f"{IMAGE}; conv 8 k3 padding=1",
    "a word": f"{IMAGE}; upsample mode=bilinar",
    "an attribute": f"{IMAGE}; conv in.chanels k3",
    "an attribute without `in`": f"{IMAGE}; conv channels k3",
    "a label": f"{IMAGE}; first: conv 8 k1; add {{ identity ; @frist }}",
    "a tensor as a layer": f"{IMAGE}; first: conv 8 k1; add {{ identity ; first }}",
    "an element type": "input image: 8x32x32 flaot32; relu",
    "a recipe": f"{IMAGE}; relu; train {{ optimizer sdg lr=0.1 }}",
    "a promise": f"{IMAGE}; relu; assert parms == 0",
    # values
    "a truth value": f"{IMAGE}; conv 8 k3 bias=0",
    "a number in quotes": f'{IMAGE}; conv "8" k3',
    "a count": f"{IMAGE}; let n = 3; for i in n {{ relu }}",
    "a condition": f"{IMAGE}; let n = 3; if n {{ relu }}",
    "too many to unpack": f"{IMAGE}; let a, b = [8, 2, 3]; conv a k=b",
    # windows
    "a kernel": f"{IMAGE}; conv 8 k33",
    "a kernel in one dimension": "input samples: 4x6; conv 8 k9",
    "a kernel that two dimensions lack": "input image: 3x6x4; conv 8 k9x7",
    "a kernel with padding": f"{IMAGE}; conv 8 p=3 k40",
    "a dilated kernel": f"{IMAGE}; conv 8 k5 d10",
    "the kernel of a pool": f"{IMAGE}; maxpool k36",
    "the kernel of a small pool's image": "input image: 3x2x2; maxpool k9",
    "the dilated kernel of a pool": "input image: 3x4x4; maxpool k2 d7",
    "the kernel of a pool that rounds up": "input image: 3x3x9; avgpool k5 s2 ceil=yes",
    "padding of a pool": f"{IMAGE}; maxpool k3 p2",
    "same with a stride": f"{IMAGE}; conv 8 k3 s2 p=same; expect 8x16x16",
    "same with a stride and an even kernel": f"{IMAGE}; conv 8 k4x5 s2 p=same; expect 8x16x16",
    "padding of a deconvolution": "input image: 8x2x9; deconv 8 k3 p3",
    # channels
    "groups": f"{IMAGE}; conv 24 k3 g5",
    "outputs of groups": f"{IMAGE}; conv 10 k3 g4",
    "group norm": f"{IMAGE}; gn 3",
    "parts": f"{IMAGE}; split 3 0",
    "unknown channels": "input image: Cx32x32; channel_shuffle 4",
    "unknown channels of pixels": "input image: Cx32x32; pixel_shuffle 2",
    # joins
    "channels of a skip": f"{IMAGE}; skip {{ conv 16 k3 p1 }}",
    "stride of a skip": f"{IMAGE}; skip {{ conv 16 k3 s2 p1 }}",
    "padding of a skip": f"{IMAGE}; skip {{ conv 8 k3 }}",
    "stride of a shortcut": f"{IMAGE}; skip {{ conv 16 k3 s2 p1 }} shortcut {{ conv 16 k1 }}",
    "channels of a sum": f"{IMAGE}; add {{ conv 4 k1 ; conv 6 k1 }}",
    "a gate": f"{IMAGE}; mul {{ identity ; global_avgpool -> conv 2 k1 }}",
    "a flat gate": f"{IMAGE}; mul {{ identity ; global_avgpool -> flatten }}",
    "padding of a concat": f"{IMAGE}; concat {{ conv 4 k1 ; conv 4 k3 }}",
    "uneven padding of a concat": f"{IMAGE}; concat {{ conv 4 k2 ; conv 4 k1 }}",
    "stride of a concat": f"{IMAGE}; concat {{ maxpool k2 ; identity }}",
    "channels beside a concat": f"{IMAGE}; concat axis=1 {{ identity ; conv 4 k1 }}",
    # unknown sizes
    "a residual": f"{UNKNOWN}; skip {{ conv 8 k3 s2 p1 -> upsample 2 }}",
    "a deep residual": f"{UNKNOWN}; skip {{ maxpool k2 -> maxpool k3 -> upsample 6 }}",
    "a stride and a pool": f"{UNKNOWN}; add {{ conv 8 k3 s2 p1 ; maxpool k2 }}",
    "an order": f"{UNKNOWN}; if (in.height - 3) // 2 > 10 {{ relu }}",
    "an equality": f"{UNKNOWN}; if in.height // 2 * 2 == in.height {{ relu }}",
    "a quotient": f"{UNKNOWN}; relu; expect [8, H/2*2, W]",
    "an expectation": f"{UNKNOWN}; conv 8 k1 s2; expect [8, (H+1)//2, W//2]",
    "a slice": f"{UNKNOWN}; slice 4 axis=1",
    "a window": "input image: 4xT; conv 8 k4 d3",
    "a crop": f"{UNKNOWN}; crop 1",
    "windows one after the other": f"{UNKNOWN}; repeat 3 {{ conv 8 k3 s2 -> maxpool k3 ceil=yes }}",
    "a window before a table": "input image: Tx8; transpose (1, 0) -> conv 8 k5 -> transpose (1, 0) -> positions 9",
    "values to normalize": f"{UNKNOWN}; conv 8 k5 -> instance_norm",
    "bins": f"{UNKNOWN}; adaptive_avgpool 7",
    "a promise about sizes": "input samples: 8xH; conv 8 k1; assert macs >= 6400",
    # elements
    "a reshape": "input image: 3x8x8; reshape [4, 8, 8]",
    "a reshape to one size": "input image: 3x8x8; reshape 100",
    "a reshape of unknown sizes": f"{UNKNOWN}; reshape [16, -1]",
    "a constraint": "input image: 8xHxW where H > 32; relu",
    "labels": f'{IMAGE}; global_avgpool -> flatten; labels ["a", "b"]',
    # warnings
    "unseen columns": f"{IMAGE}; conv 8 k3 s2",
    "unseen columns of a pool": "input image: 3x15x16; maxpool k2",
    "a bias before a norm": f"{IMAGE}; conv 8 k3 -> bn",
    "a dense layer on an image": f"{IMAGE}; dense 4",
}


def replaced(text: str, at: Diagnostic, new: str) -> str:
    return text[: at.span.start] + new + text[at.span.end :]


def behind(text: str, at: Diagnostic, new: str) -> str:
    return f"{text[: at.span.end]} {new}{text[at.span.end :]}"


def before_the_end(text: str, opener: int, new: str) -> str:
    end = text.index("}", opener)
    return f"{text[:end]}{new} {text[end:]}"


def constrained(text: str, at: Diagnostic, where: str) -> list[str]:
    del at
    return [re.sub(r"(input \w+: \w+)", rf"\1 {where}", text)]


def renamed(text: str, at: Diagnostic, name: str) -> list[str]:
    sign, _, value = at.span.text.partition("=")
    return [replaced(text, at, ("@" if sign.startswith("@") else "") + name + (f"={value}" if value else ""))]


def given(text: str, at: Diagnostic, argument: str) -> list[str]:
    if "p=same" in text:
        return [text.replace("p=same", argument)]
    return [behind(text, at, argument).replace("p=3 ", "")]


def appended(text: str, at: Diagnostic, layers: str, role: str) -> list[str]:
    body = text.index("{", at.span.start)
    if role == "the shortcut":
        return [before_the_end(text, text.index("shortcut"), f"-> {layers}")]
    if role == "the body":
        return [before_the_end(text, body, f"-> {layers}")]
    branches = text[body + 1 : text.index("}", body)].split(";")
    branches[int(role.removeprefix("branch ")) - 1] += f"-> {layers} "
    return [text[: body + 1] + ";".join(branches) + text[text.index("}", body) :]]


def shortcut(text: str, at: Diagnostic, new: str) -> list[str]:
    end = text.index("}", at.span.start) + 1
    return [f"{text[:end]} {new}{text[end:]}"]


def in_place(text: str, at: Diagnostic, *new: str | None) -> list[str]:
    return [replaced(text, at, one) for one in new if one is not None]


def divided(text: str, at: Diagnostic, divisors: str) -> list[str]:
    return in_place(text, at, *divisors.split(", "))


def more_names(text: str, at: Diagnostic, names: str) -> list[str]:
    del at
    return [text.replace("a, b", f"a, b, {names}")]


def labelled(text: str, at: Diagnostic, count: str) -> list[str]:
    return in_place(text, at, json.dumps(list("abcdefgh"[: int(count)])))


def flattened(text: str, at: Diagnostic) -> list[str]:
    return in_place(text, at, f"flatten -> {at.span.text}")


REMEDIES: list[tuple[str, Callable[..., list[str]]]] = [
    (r"add `(where [^`]*)` to the `input`", constrained),
    (r"did you mean `([^`]*)`\?", renamed),
    (r"write `([^`]*)`", in_place),
    (r"compare it, as in `([^`]*)`", in_place),
    (r"add `([_, ]*)` to the names", more_names),
    (r"use `(\w+=[^`]*)`", given),
    (r"add `(bias=no)`", given),
    (r"a kernel of at most (\d+)", in_place),
    (r"use (\d+)(?: or (\d+))?$", in_place),
    (r"use (?:a padding of )?at most (\d+)$", in_place),
    (r"is divisible by ([\d, ]*)$", divided),
    (r"put `([^`]*)` at the end of (branch \d+|the body|the shortcut)$", appended),
    (r"replace the identity by `([^`]*)`", shortcut),
    (r"`reshape ([^`]*)` fits", in_place),
    (r"give (\d+) labels", labelled),
    (r"put `flatten` before it", flattened),
]


def told(text: str) -> tuple[Diagnostic, ...]:
    try:
        return check_text(text).warnings
    except NetdslError as error:
        return error.diagnostics


@pytest.mark.parametrize("body", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_remedy_mends(body: str) -> None:
    text = f"net n {{ {body} }}"
    (wrong,) = told(text)
    ways = [way for pattern, make in REMEDIES for found in [re.search(pattern, wrong.help or "")] if found
            for way in make(text, wrong, *found.groups())]  # fmt: skip
    assert ways, f"a remedy that is not understood: {wrong.help}"
    for way in ways:
        assert [f"{d.code} {d.message}" for d in told(way) if d.severity == "error" or d.code == wrong.code] == [], way
