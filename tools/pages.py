"""Measured figures: tables with a heading and a note, printed or written as a page of the documentation."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from netdsl.base.table import Table


@dataclass(frozen=True)
class Figures:
    """One table of a page; the note says what was measured and how, and may be empty."""

    title: str
    note: str
    table: Table

    def text(self) -> str:
        """Return the text for the terminal."""
        return f"{self.title}\n{self.note}\n\n{self.table.text()}\n"

    def markdown(self) -> str:
        """Return Markdown for the documentation."""
        headings = [heading.removeprefix(">") for heading in self.table.headings]
        sides = ["---:" if heading.startswith(">") else "---" for heading in self.table.headings]
        lines = [f"| {' | '.join(cells)} |" for cells in (headings, sides, *self.table.rows)]
        note = f"{self.note}\n\n" if self.note else ""
        return f"## {self.title}\n\n{note}" + "\n".join(lines) + "\n"


def environment(packages: Iterable[str]) -> str:
    """Describe in one sentence when and with which versions figures were measured."""
    found = [f"{package} {installed}" for package in packages if (installed := _version(package))]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()}, {', '.join(found)} "
        f"on {platform.system()} {platform.machine()} with {os.cpu_count()} cores."
    )


def write_page(path: Path, title: str, command: str, facts: str, sections: Sequence[Figures]) -> None:
    """Write a page of figures; `command` is the command that writes it."""
    parts = [f"# {title}\n", f"`{command}` writes this page. {facts}\n", *(section.markdown() for section in sections)]
    path.write_text("\n".join(parts), encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
