"""The tests mirror the house: a folder for each room, and what several files share in support/."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
BESIDE = {
    "diagnostics": "every code and message, whichever room they come from",
    "docs": "the programs and commands in README.md and docs/",
    "figures": "numbers from elsewhere that the nets are compared with",
    "nets": "the zoo",
    "support": "what several files share",
    "tools": "what a maintainer runs",
    "words": "first attempts, and the lines that their messages give",
}
"""The folders of tests/ that are no room of netdsl, and what they are for."""

FILES = sorted(path for folder in (TESTS, ROOT / "tools") for path in folder.rglob("*.py"))


def folders(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_every_folder_is_a_room_or_one_of_a_short_list() -> None:
    rooms = folders(ROOT / "netdsl")
    assert folders(TESTS) - rooms == set(BESIDE)
    assert rooms & set(BESIDE) == set()


def test_the_names_of_files_are_their_own() -> None:
    """Files of tests are no package, so two of one name would stand for each other."""
    names = [path.stem for path in FILES if path.stem.startswith("test_")]
    assert sorted(names) == sorted(set(names))


def imported(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(alias.name for alias in node.names)]
    return found


def test_nothing_is_imported_from_a_file_of_tests() -> None:
    tests = {path.stem for path in FILES if path.stem.startswith("test_")}
    assert len(tests) > 50
    assert {path.name: tests & set(imported(path)) for path in FILES if tests & set(imported(path))} == {}
