"""Tables and numbers as text, for all reports of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.ir.dim import Dim


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; invisible characters in a cell cannot break the table.

    Attributes:
        headings: one for each column; a heading that begins with ``>`` aligns its column right.
        rows: the cells, one for each heading in each row.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """The table as text, with two spaces between columns and a rule under the headings."""
        titles = [heading.removeprefix(">") for heading in self.headings]
        rows = [[visible(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
        rule = ["-" * width for width in widths]
        return "\n".join(self._line(cells, widths) for cells in (titles, rule, *rows))

    def html(self) -> str:
        """The table as HTML, for a notebook."""
        head = "".join(f"<th>{escape(heading.removeprefix('>'))}</th>" for heading in self.headings)
        body = "".join(f"<tr>{''.join(map(self._cell, self.headings, row))}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        placed = (
            cell.rjust(width) if heading.startswith(">") else cell.ljust(width)
            for heading, cell, width in zip(self.headings, cells, widths, strict=True)
        )
        return "  ".join(placed).rstrip()

    @staticmethod
    def _cell(heading: str, cell: str) -> str:
        side = "right" if heading.startswith(">") else "left"
        return f'<td style="text-align:{side};white-space:pre">{escape(visible(cell))}</td>'


def short(number: Dim | float) -> str:
    """A number to three digits with its unit, `61.7 K` or `4.09 G`; a symbolic one as it is written."""
    return _scaled(number, 1000, ("", "K", "M", "G", "T", "P", "E"))


def exact(number: Dim) -> str:
    """A whole number with thousands separators; a symbolic one as it is written."""
    return f"{number:,}" if isinstance(number, int) else str(number)


def size(number: Dim) -> str:
    """A number of bytes to three digits, `3.06 MiB`; a symbolic one as it is written."""
    return _scaled(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))


def _scaled(number: Dim | float, step: int, units: tuple[str, ...]) -> str:
    if not isinstance(number, int | float):
        return f"{number} {units[0]}".rstrip()
    value, power = float(number), 0
    while abs(value) >= step - 0.5 and power < len(units) - 1:
        value, power = value / step, power + 1
    digits = 0 if power == 0 and isinstance(number, int) else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {units[power]}".rstrip()
