"""Programs to mutate: generated ones, single layers, small shipped nets, and the examples in the documentation."""

from __future__ import annotations

import re
import sys
from dataclasses import MISSING
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netdsl.layers  # noqa: F401 - fills the table of layers
from netdsl.layers.base import LAYERS, signature

if TYPE_CHECKING:
    from random import Random

ROOT = Path(__file__).parents[2]
MAX_BYTES = 1700
"""The size of the largest shipped file that is taken, in bytes."""

INPUTS = ("8", "1", "300", "4x8", "1x6", "6x1", "3x6x6", "4x8x8", "6x1x1", "2x1x5", "1x9x7", "2x4x4x4", "TxH", "4xT",
          "3xHxW", "CxHxW", "2xHx5", "T", "2xDxHxW", "4x4x4x4x4")  # fmt: skip
TYPES = ("", "", "", "", "", "", " float32", " float64", " float16", " bfloat16", " int64", " int32", " uint8", " bool")
WHERE = ("", "", "", "", " where H % 4 == 0", " where H >= 5", " where T >= 3, T <= 9", " where W == 3",
         " where H % 3 == 0, W >= 2", " where T % 2 == 0")  # fmt: skip
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "7",
    "8",
    "-1",
    "-2",
    "0.5",
    "0.1",
    "1e-5",
    "1e-12",
    "-0.5",
    "2.5",
    "1/3",
    "16",
)
WORDS = ("yes", "no", "same", "reflect", "replicate", "circular", "bilinear", "linear", "nearest", "bicubic", "tanh",
         "relu", "[1, 2]", "(1, 2)", "(2, 1, 0, 1)", "[0, -1]", "[]", '"a"')  # fmt: skip


def text(random: Random) -> str:
    """Return a program of a random kind."""
    kind = random.choices([generated, probe, shipped, example], [9, 6, 3, 3])[0]
    return kind(random)


def generated(random: Random) -> str:
    """Return a well-typed program of `tests/support/programs.py`."""
    writer = import_test("programs").Writer(random.randbytes(random.choice([15, 30, 60, 120])))
    written: str = writer.program().text
    return written


def probe(random: Random) -> str:
    """Return a net of one to three layers, whose arguments may be wrong."""
    where = random.choice(WHERE) if random.random() < 0.3 else ""
    layers = " -> ".join(layer(random) for _ in range(random.choice([1, 1, 2, 3])))
    return f"net n {{\ninput x: {random.choice(INPUTS)}{random.choice(TYPES)}{where}\n{layers}\n}}\n"


def layer(random: Random) -> str:
    """Return a call of a random layer with its required arguments, and some others."""
    kind = random.choice(sorted(LAYERS.keys() - {"input", "param"}))
    words = [kind]
    fields: tuple[Any, ...] = signature(LAYERS[kind])  # type: ignore[arg-type] # a class has a hash
    for field in fields:
        if field.default is MISSING:
            words.append(random.choice(NUMBERS[1:6]) if random.random() < 0.9 else value(random))
        elif random.random() < 0.25:
            words.append(f"{field.name}={value(random)}")
    return " ".join(words)


def value(random: Random) -> str:
    """Return a value for an argument."""
    return random.choice(NUMBERS if random.random() < 0.75 else WORDS)


def shipped(random: Random) -> str:
    """Return a shipped file made small: large numbers are divided, and promises left out."""
    return small(random.choice(_shipped()), random.choice([2, 4, 8]))


def example(random: Random) -> str:
    """Return an example of docs/language.md."""
    return small(random.choice(_examples()), 8)


@cache
def _shipped() -> list[str]:
    texts = [path.read_text() for path in sorted((ROOT / "nets").glob("*.net")) if path.stat().st_size <= MAX_BYTES]
    return [written for written in texts if 'use "' not in written]


@cache
def _examples() -> list[str]:
    fences = re.findall(r"^```net\n(.*?)^```", (ROOT / "docs/language.md").read_text(), re.MULTILINE | re.DOTALL)
    return [fence if re.search(r"^net ", fence, re.MULTILINE) else wrapped(fence) for fence in fences]


def wrapped(fragment: str) -> str:
    """Return a fragment of a program as a program with a net."""
    if re.match(r"block |use |default ", fragment):
        return f"{fragment}\nnet n {{\ninput x: 4x8x8\nrelu\n}}\n"
    return f"net n {{\n{'' if 'input ' in fragment else 'input x: 4x8x8'}\n{fragment}\n}}\n"


def small(written: str, divisor: int) -> str:
    """Return a program with its large numbers divided, and without promises."""
    kept = [re.sub(r"\{ assert [^}]* \}", "", line) for line in written.splitlines()]
    kept = [line for line in kept if not re.match(r"\s*(assert|expect|#)", line)]
    return re.sub(r"\b\d{2,8}\b", lambda found: _divided(found[0], divisor), "\n".join(kept)) + "\n"


def _divided(number: str, divisor: int) -> str:
    return str(int(number) // divisor) if int(number) >= 32 else number


def import_test(name: str) -> Any:
    """Import a module of `tests/support`."""
    path = str(ROOT / "tests" / "support")
    if path not in sys.path:
        sys.path.append(path)
    return import_module(name)
