"""Malformed programs and the exact text of what netdsl says about them.

`errors/<area>_<name>.net` is a program, `errors/<area>_<name>.txt` the text of its diagnostics. Programs of the area
`syntax` are parsed; of all others, the last net is checked. A folder is a program of several files, of which `main.net`
is checked. `python -m tests.diagnostics.test_errors --update` writes the texts anew, for reading in the diff.
"""

import re
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from netdsl.base.diagnostics import NetdslError, render
from netdsl.base.source import Source
from netdsl.compiler import check, check_text
from netdsl.reference.codes import CODES
from netdsl.syntax.parser import parse

TESTS = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "errors"
PROGRAMS = sorted(path for path in FOLDER.iterdir() if path.suffix == ".net" or path.is_dir())

COVERED_ELSEWHERE = {
    "E0105", "E0106", "E0107",  # texts that are no UTF-8, too large or nested too deep, in test_parser
    "E0212",  # what is asked for on the command line, in test_cli
    "E0901", "E0902", "E0903", "E0904", "E0905", "E0906", "E0907", "E0908",
    "E0909", "E0910", "E0915", "E0916", "E0917",  # files, models and devices
    "E1001", "E1002", "E1003", "E1004", "E1005", "E1006", "E1007", "E1008", "E1009", "W0110",  # data
    "E1101", "E1102", "E1103", "E1104", "E1105", "E1106", "E1107", "E1108", "E1109", "W0119",  # training runs
    "E0911", "E0912", "E0918", "W0108", "W0109",  # checkpoints
}  # fmt: skip


def text_of(program: Path) -> Path:
    return program.with_suffix(".txt")


def messages(program: Path) -> str:
    """The diagnostics of a program as the command line prints them, its file shown without the area's name."""
    area, _, name = program.name.partition("_")
    try:
        if program.is_dir():
            with chdir(program):
                found = check("main.net").warnings
        elif area == "syntax":
            found = parse(Source(name, program.read_bytes().decode("utf-8"))) and ()
        else:
            text = program.read_text(encoding="utf-8")
            found = check_text(text, name, next(reversed(re.findall(r"^net (\w+)", text, re.MULTILINE)), None)).warnings
    except NetdslError as error:
        found = error.diagnostics
    return "\n\n".join(map(render, found)) + "\n"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_messages(program: Path) -> None:
    expected = text_of(program).read_text(encoding="utf-8")
    assert expected.strip(), "a program of this table has something to be said about it"
    assert messages(program) == expected


def test_no_message_without_a_program() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in PROGRAMS}


def test_every_code_has_a_program() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")]
    shown = {code for text in texts for code in re.findall(r"^(?:error|warning)\[(\w+)\]", text, re.MULTILINE)}
    assert shown & COVERED_ELSEWHERE == set()
    assert shown | COVERED_ELSEWHERE == set(CODES)
    others = [
        path.read_text(encoding="utf-8") for path in FOLDER.parents[1].rglob("test_*.py") if path != Path(__file__)
    ]
    assert COVERED_ELSEWHERE - {code for text in others for code in re.findall(r"\b[EW]\d{4}\b", text)} == set()


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python -m tests.diagnostics.test_errors --update")
    for program in PROGRAMS:
        text_of(program).write_text(messages(program), encoding="utf-8")
