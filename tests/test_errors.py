"""Malformed programs and the exact text of what netdsl says about them.

`errors/<area>_<name>.net` is a program, `errors/<area>_<name>.txt` the text of its diagnostics. Programs of the area
`syntax` are parsed; all others are checked whole. `python -m tests.test_errors --update` writes the texts anew, for
reading in the diff.
"""

import sys
from pathlib import Path

import pytest

from netdsl.compiler import check_text
from netdsl.diagnostics import NetdslError, render
from netdsl.source import Source
from netdsl.syntax.parser import parse

PROGRAMS = sorted((Path(__file__).parent / "errors").glob("*.net"))


def messages(program: Path) -> str:
    """The diagnostics of a program as the command line prints them, its file shown without the area's name."""
    area, _, name = program.name.partition("_")
    text = program.read_bytes().decode("utf-8")
    try:
        found = parse(Source(name, text)) and () if area == "syntax" else check_text(text, name).warnings
    except NetdslError as error:
        found = error.diagnostics
    return "\n\n".join(map(render, found)) + "\n"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_messages(program: Path) -> None:
    expected = program.with_suffix(".txt").read_text(encoding="utf-8")
    assert expected.strip(), "a program of this table has something to be said about it"
    assert messages(program) == expected


def test_no_message_without_a_program() -> None:
    folder = Path(__file__).parent / "errors"
    assert {path.stem for path in folder.glob("*.txt")} == {path.stem for path in PROGRAMS}


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python -m tests.test_errors --update")
    for program in PROGRAMS:
        program.with_suffix(".txt").write_text(messages(program), encoding="utf-8")
