"""Text that all evaluations share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import visible
from netdsl.base.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.evaluation.answers import Answers


def heading(found: Answers) -> str:
    """Return the first line: the model and its data."""
    count = len(found.targets) // found.positions
    positions = f" of {found.positions:,} positions" if found.positions > 1 else ""
    views = f", {found.views} views of each" if found.views > 1 else ""
    return visible(f"{found.model} on {found.data}: {count:,} {found.split} samples{positions}{views}")


def facts(rows: list[tuple[str, str]]) -> list[str]:
    """Return a line for each name and its value."""
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def percent(part: float | None) -> str:
    """Return a fraction as a percentage, or `-` for None."""
    return "-" if part is None else f"{100 * part:.2f} %"


def alone(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a table of the metrics of each of several models; nothing for one model."""
    return ["", Table(("alone", *headings), rows).text()] if rows else []
