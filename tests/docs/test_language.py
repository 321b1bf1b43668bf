"""docs/language.md speaks of everything that the language has; test_readme.py runs its examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netdsl.base.resources import library
from netdsl.compiler import read_program
from netdsl.elaborate.expressions import IN_ATTRIBUTES
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.ir.types import DType
from netdsl.recipe.words import NUMBERS, WORDS
from netdsl.syntax.grammar import grammar
from netdsl.syntax.scanner import Scanner

TEXT = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
QUOTED = set(re.findall(r"`([^`\n]+)`", TEXT))
SAID = {word for quoted in QUOTED for word in re.findall(r"\w+", quoted)}


def given(path: Path) -> set[str]:
    """The names that a file of the library makes known."""
    module = read_program(path)
    return {*module.blocks, *module.lets}


EVERYTHING = {
    "reserved words": set(Scanner(grammar().terminals).words),
    "functions": set(FUNCTIONS),
    "attributes of in": {f"in.{attribute}" for attribute in IN_ATTRIBUTES},
    "element types": {dtype.value for dtype in DType},
    "entries of recipes": {*WORDS, *NUMBERS},
    "words of recipes": {word for words in WORDS.values() for word in words},
    "files of the library": set(library()),
    "names of the library": {name for path in library().values() for name in given(path)},
}


@pytest.mark.parametrize("kind", EVERYTHING)
def test_everything_is_spoken_of(kind: str) -> None:
    assert {word for word in EVERYTHING[kind] if word not in SAID and word not in QUOTED} == set()


def test_the_table_of_the_library_says_what_each_file_gives() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*) \|$", TEXT.partition("| `use` | names |")[2].partition("```")[0], re.MULTILINE
    )
    assert {name: set(re.findall(r"\w+", names)) for name, names in rows} == {
        name: given(path) for name, path in library().items()
    }
