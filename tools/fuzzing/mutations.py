"""Mutations of programs: of their characters, tokens, lines and trees."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from fuzzing.seeds import NUMBERS, TYPES, WHERE, layer, text, value
from netdsl.base.diagnostics import NetdslError
from netdsl.base.source import Source
from netdsl.compiler import check_text
from netdsl.layers.base import LAYERS
from netdsl.syntax.parser import parse
from netdsl.syntax.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    Mutation = Callable[[Random, str], str]

MAX_TEXT = 20_000
"""The largest number of characters of a program."""
TAKEN_BACK = 0.6
"""The probability that a change is undone if `check` refuses the changed program."""
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|\d+(?:\.\d+)?(?:e-?\d+)?|->|\*\*|//|[=!<>]=|\.\.|\n|[^\s\w]')
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])|(?<=[a-zx])\d+\b")
HUGE = (
    "0",
    "1",
    "-1",
    "255",
    "65536",
    "2147483648",
    "9223372036854775807",
    "1000000000000000000000",
    "1e999",
    "1e-300",
)
LABELS = (
    '{"a"}', '{".b"}', '{"\'"}', '{"\\\\"}', "{1}", "{-1}", '{"x y"}', '{"a.b"}', "{[1]}", '{"\u00e9"}', '{""}',
    "{1/2}", "{yes}", '{"__class__"}', '{"class"}', '{"\t"}', '{"0"}', '{"weight"}', '{"0.1"}', "{1 + 1}",
)  # fmt: skip
EXTRA = (
    "->",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ":",
    ";",
    "\n",
    "@",
    "=",
    "if",
    "repeat 2",
    "for i in 1..2",
    "skip",
    "add",
    "concat",
    "shortcut",
    "reuse",
    "output y",
    "aux a:",
    "let a = 2",
    "in.channels",
    "expect 4x8x8",
    "input z: 4",
    "param p: 4",
    "@x",
    "default conv bias=no",
    'labels ["a", "b"]',
    "where",
    "#",
    '"',
    "..",
    "yes",
    "block",
)


def mutated(random: Random) -> str:
    """Return a program after a few changes; most changes that make `check` refuse it are undone."""
    written = _accepted(random, lambda: text(random), tries=4)
    for _ in range(random.choices([0, 1, 2, 4], [3, 8, 5, 3])[0]):
        before, change = written, random.choices(*zip(*MUTATIONS, strict=True))[0]
        written = change(random, before)[:MAX_TEXT]
        if random.random() < TAKEN_BACK and refused(written):
            written = before
    return written


def refused(written: str) -> bool:
    """Whether `check` refuses a program; if `check` fails otherwise, it does not refuse it."""
    try:
        check_text(written, "program.net", chosen_net(written))
    except NetdslError:
        return True
    except Exception:  # noqa: BLE001 - a finding, which must be tried
        return False
    return False


def chosen_net(written: str) -> str | None:
    """Return the net of a program that is tried: the last one if there are several."""
    names = re.findall(r"^net (\w+)", written, re.MULTILINE)
    return names[-1] if len(names) > 1 else None


def _accepted(random: Random, draw: Callable[[], str], tries: int) -> str:
    written = draw()
    for _ in range(tries):
        if not refused(written) or random.random() > TAKEN_BACK:
            break
        written = draw()
    return written


# ------------------------------------------------------------------------------------------------ characters


def character(random: Random, written: str) -> str:
    """Remove, double or replace a character."""
    if not written:
        return written
    at = random.randrange(len(written))
    other = random.choice(["", written[at] * 2, chr(random.choice([0, 7, 9, 13, 27, 34, 92, 127, 0x202E, 0x1F600]))])
    return written[:at] + other + written[at + 1 :]


def cut(random: Random, written: str) -> str:
    """Cut a program off."""
    return written[: random.randrange(len(written) + 1)]


# ------------------------------------------------------------------------------------------------ tokens and lines


def number(random: Random, written: str) -> str:
    """Replace a number, mostly by one near it."""

    def other(old: str) -> str:
        near = str(max(0, int(float(old)) + random.choice([-2, -1, 1, 2])))
        return random.choice([near, near, near, random.choice(NUMBERS), random.choice(HUGE)])

    return _replaced(random, written, NUMBER, other)


def tokens(random: Random, written: str) -> str:
    """Remove or double a token, exchange it with the next, or insert one."""
    found = [*TOKEN.finditer(written)]
    if len(found) < 2:
        return written
    at = random.randrange(len(found) - 1)
    first, second = found[at], found[at + 1]
    match random.choice(["away", "twice", "exchanged", "more"]):
        case "away":
            middle = ""
        case "twice":
            middle = f"{first[0]} {first[0]}"
        case "exchanged":
            return written[: first.start()] + f"{second[0]} {first[0]}" + written[second.end() :]
        case _:
            middle = f"{first[0]} {random.choice(EXTRA)}"
    return written[: first.start()] + middle + written[first.end() :]


def lines(random: Random, written: str) -> str:
    """Remove or double a line, or exchange it with another."""
    rows = written.splitlines()
    if len(rows) < 3:
        return written
    a, b = random.randrange(len(rows)), random.randrange(len(rows))
    match random.choice(["away", "twice", "exchanged"]):
        case "away":
            del rows[a]
        case "twice":
            rows.insert(b, rows[a])
        case _:
            rows[a], rows[b] = rows[b], rows[a]
    return "\n".join(rows) + "\n"


def kind(random: Random, written: str) -> str:
    """Replace the kind of a layer."""
    names = re.compile(rf"\b(?:{'|'.join(sorted(LAYERS, key=len, reverse=True))})\b")
    return _replaced(random, written, names, lambda _: random.choice(sorted(LAYERS)))


def argument(random: Random, written: str) -> str:
    """Replace the value of an argument, or add an argument."""
    if random.random() < 0.5:
        return _replaced(random, written, re.compile(r"(?<==)[\w.]+"), lambda _: value(random))
    names = re.compile(rf"\b(?:{'|'.join(sorted(LAYERS, key=len, reverse=True))})\b[^\n>;}}]*")

    def more(call: str) -> str:
        given = LAYERS.get(re.split(r"\W", call, maxsplit=1)[0])
        keys = [field.name for field in fields(given)] if given is not None else []
        return f"{call.rstrip(' -')} {random.choice(keys or ['k'])}={value(random)} {'-' * call.endswith('-')}"

    return _replaced(random, written, names, more)


def label(random: Random, written: str) -> str:
    """Replace a label by a computed one, or put a computed label before a layer."""
    if re.search(r"\b[a-z]\w*:(?! *\S*x)", written) and random.random() < 0.6:
        return _replaced(random, written, re.compile(r"(?<=\w)(?=: [a-z{\[])"), lambda _: random.choice(LABELS))
    return _replaced(random, written, re.compile(r"(?<=-> )(?=[a-z])"), lambda _: f"a{random.choice(LABELS)}: ")


def open_size(random: Random, written: str) -> str:
    """Make a size of an input open, or an open one fixed."""
    shape = re.compile(r"(?<=: )[\w]+(?:x\w+)+")

    def other(old: str) -> str:
        sizes = old.split("x")
        sizes[random.randrange(len(sizes))] = random.choice(["H", "W", "T", "1", "2", "9"])
        return "x".join(sizes)

    changed = _replaced(random, written, shape, other)
    if random.random() < 0.3:
        return re.sub(r"(input \w+: \w+)(?=\n)", lambda found: found[0] + random.choice(WHERE), changed, count=1)
    return changed


def element_type(random: Random, written: str) -> str:
    """Give an input an element type."""
    return re.sub(r"(input \w+: [\w\[\], ]+?)(?=\n| where)", lambda found: found[0] + random.choice(TYPES), written,
                  count=1)  # fmt: skip


def more_layers(random: Random, written: str) -> str:
    """Add a layer to a chain."""
    return _replaced(random, written, re.compile(r" -> |\n"), lambda old: f"{old}{layer(random)}{old}")


# ------------------------------------------------------------------------------------------------ trees


def subtree(random: Random, written: str) -> str:
    """Replace a part of the program by another of the same kind, from this program or another."""
    parts = spans(written)
    if not parts:
        return written
    name, start, end = random.choice(parts)
    source = written if random.random() < 0.6 else text(random)
    others = [source[a:b] for other, a, b in (parts if source is written else spans(source)) if other == name]
    return written[:start] + (random.choice(others) if others else "") + written[end:]


def around(random: Random, written: str) -> str:
    """Put a chain inside another construct."""
    chains = [(start, end) for name, start, end in spans(written) if name in ("Chain", "Element")]
    if not chains:
        return written
    start, end = random.choice(chains)
    inner = written[start:end]
    forms = ("skip {{ {0} }}", "skip {{ {0} }} shortcut {{ {0} }}", "add {{ {0} ; identity }}", "repeat 2 {{ {0} }}",
             "concat {{ {0}\n{0} }}", "b: [ {0} ]", "if in.rank > 1 {{ {0} }} else {{ relu }}", "{0} -> {0}",
             "mul {{ {0}\nsigmoid }}", "for i in 1..2 {{ a{{i}}: {{ {0} }} }}", "max {{ {0} ; {0} }}")  # fmt: skip
    return written[:start] + random.choice(forms).format(inner) + written[end:]


def spans(written: str) -> list[tuple[str, int, int]]:
    """Return the kind, start and end of each part of a program; nothing if it cannot be parsed."""
    try:
        file = parse(Source("program", written))
    except NetdslError:
        return []
    return [(type(node).__name__, node.span.start, node.span.end) for node in _nodes(file.declarations)]


def _nodes(found: Any) -> Iterator[Tree]:
    if isinstance(found, tuple):
        for one in found:
            yield from _nodes(one)
    elif isinstance(found, Tree):
        yield found
        for field in fields(found):
            yield from _nodes(getattr(found, field.name))


def _replaced(random: Random, written: str, pattern: re.Pattern[str], other: Callable[[str], str]) -> str:
    """Return a text with one match of a pattern replaced."""
    found = [*pattern.finditer(written)]
    if not found:
        return written
    one = random.choice(found)
    return written[: one.start()] + other(one[0]) + written[one.end() :]


MUTATIONS: tuple[tuple[Mutation, int], ...] = (
    (character, 2), (cut, 1), (number, 12), (tokens, 4), (lines, 3), (kind, 8), (argument, 8), (label, 4),
    (open_size, 5), (element_type, 3), (more_layers, 5), (subtree, 8), (around, 6),
)  # fmt: skip
"""All mutations, with their weights in the draw."""
