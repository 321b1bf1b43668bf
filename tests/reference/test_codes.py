"""Every code is raised somewhere and explained, and its example gets it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check, check_file
from netdsl.reference.codes import CODES

PACKAGE = Path(__file__).parents[2] / "netdsl"
SOURCES = [path for path in PACKAGE.rglob("*.py") if "codes" not in path.parts]


def mentioned(pattern: str) -> set[str]:
    return {code for path in SOURCES for code in re.findall(pattern, path.read_text(encoding="utf-8"))}


def test_the_codes_that_are_raised_are_those_explained() -> None:
    raised = mentioned(r'"([EW]\d{4})"')
    assert raised - set(CODES) == set()
    assert set(CODES) - raised == {"E0909"}  # raised by layers of other packages


def test_codes_are_in_order_and_explanations_fit_a_screen() -> None:
    assert list(CODES) == sorted(CODES)
    for code, entry in CODES.items():
        assert entry.title[0].islower() or entry.title.startswith("E"), code
        assert len(entry.explanation) < 600, code
        assert entry.explanation.endswith("."), code


@pytest.mark.parametrize("code", [code for code, entry in CODES.items() if entry.example])
def test_an_example_gets_its_code(code: str, tmp_path: Path) -> None:
    file = tmp_path / "example.net"
    file.write_text(CODES[code].example, encoding="utf-8")
    found = {diagnostic.code for diagnostic in check_file(file).diagnostics}
    if not found:  # addressed without a name, as a file with one net is
        with pytest.raises(NetdslError) as error:
            check(str(file))
        found = {diagnostic.code for diagnostic in error.value.diagnostics}
    assert code in found
