"""The tree of rooms in ARCHITECTURE.md: `python tools/architecture.py` writes it from the docstrings of the rooms.

Each entry is the first line of the docstring of the room's `__init__.py`, or of a file at the top of the package.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "ARCHITECTURE.md"
FIRST, LAST = "```text\nnetdsl/\n", "```\n"
ROOMS = (
    *("__init__.py", "__main__.py", "api.py", "compiler.py", "base", "syntax", "ir", "layers", "recipe", "elaborate"),
    *("analysis", "passes", "backends", "backends/onnx", "backends/torch", "backends/torch_source", "weights", "data"),
    *("runtime", "training", "training/samples", "evaluation", "verification", "plots", "pages", "reference", "cli"),
)
"""The files at the top of the package, and the rooms from the lowest to the highest."""


def tree() -> str:
    """Return the tree, with one line for each room."""
    return "".join(_lines())


def _lines() -> Iterator[str]:
    for room in ROOMS:
        path = ROOT / "netdsl" / room
        depth, name = room.count("/") + 1, room.rpartition("/")[2] + "/" * path.is_dir()
        yield f"{'  ' * depth + name:<20}{_first_line(path)}\n"


def _first_line(path: Path) -> str:
    file = path / "__init__.py" if path.is_dir() else path
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def with_tree(page: str) -> str:
    """Return a page with its tree replaced by the current one."""
    before, mark, rest = page.partition(FIRST)
    return f"{before}{mark}{tree()}{LAST}{rest.partition(LAST)[2]}"


if __name__ == "__main__":
    PAGE.write_text(with_tree(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
