"""Tables of numbers in a `.csv` file, with one sample in each row."""

from __future__ import annotations

import csv
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import read_file
from netdsl.base.source import Source, Span
from netdsl.data.parts import Array, Found, Part
from netdsl.ir.labels import class_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "label"
"""The column with the class if the table has a header; without one it is the last column."""
MAX_TABLE_BYTES, MAX_COLUMNS = 2**28, 2**20
"""The largest table that is read; larger data should be stored as `.npz`."""
_MAX_CLASS_NUMBER = 2**31
"""The limit of class numbers."""


def read_table(path: Path) -> Found:
    """Read a comma-separated table of numbers, with one column for the class, as a number from 0 or as a name.

    The first row is a header if it has the cell `label` or no cell that is a number. Class names are numbered in
    alphabetical order.

    Raises:
        NetdslError: the file cannot be read (E0901), a row has another length or a cell is not a number (E1002), a
            class is not an integer from 0 (E1004), or there is no sample (E1006).
    """
    try:
        text = read_file(path, MAX_TABLE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fail("E1002", f"`{path}` is not UTF-8 text: {error.reason} at byte {error.start}",
                   help="save it as CSV in UTF-8") from error  # fmt: skip
    source = Source(str(path), text.replace("\r\n", "\n").replace("\r", "\n"))  # a line ends at any of the three
    lines, rows = _rows(source)
    head = rows[0] if rows and _is_head(rows[0]) else None
    if head is not None:
        lines, rows = lines[1:], rows[1:]
    if not rows:
        raise fail("E1006", f"`{path}` has no row of numbers", help="give a table with a sample in each row")
    column = head.index(TARGET) if head is not None and TARGET in head else len(rows[0]) - 1
    width = len(head or rows[0])
    if width < 2:
        raise fail("E1002", f"expected columns of numbers and one of classes in `{path}`, got one column",
                   _line(source, lines[0]), help="put commas between the cells")  # fmt: skip
    inputs = np.empty((len(rows), width - 1), np.float32)
    for index, (line, row) in enumerate(zip(lines, rows, strict=True)):
        if len(row) != width:
            raise fail("E1002", f"expected a row of {width} cells, got {len(row)}",
                       _line(source, line), help="give every row the same number of cells")  # fmt: skip
        with np.errstate(over="ignore"):  # overflow in float32 is found with other infinite values
            inputs[index] = [
                _number(cell, source, line, head[place] if head is not None else f"number {place + 1}")
                for place, cell in enumerate(row)
                if place != column
            ]
    targets, labels = _classes([row[column] for row in rows], source, lines)
    return Found(str(path), Part(inputs, targets), labels=labels)


def _rows(source: Source) -> tuple[list[int], list[list[str]]]:
    """Return the rows that are not empty, and the number of the line at which each ends."""
    commas = 0

    def bounded() -> Iterator[str]:
        nonlocal commas
        for number, line in enumerate(StringIO(source.text, newline=""), 1):
            commas += line.count(",")
            if commas >= MAX_COLUMNS:  # checked before a row is split, which takes thirty times its memory
                raise fail("E1002", f"expected at most {MAX_COLUMNS:,} columns, got {commas + 1:,} or more",
                           _line(source, number), help="save the numbers as `.npz`")  # fmt: skip
            yield line

    reader = csv.reader(bounded(), skipinitialspace=True)
    lines, rows = [], []
    try:
        for row in reader:
            commas = 0
            if any(cell.strip() for cell in row):
                lines.append(reader.line_num)
                rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        raise fail("E1002", f"expected a row of a table: {error}", _line(source, reader.line_num),
                   help="put commas between the cells") from error  # fmt: skip
    return lines, rows


def _is_head(row: list[str]) -> bool:
    return TARGET in row or not any(_is_number(cell) for cell in row)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, source: Source, line: int, column: str) -> float:
    if not cell:
        raise fail("E1002", f"expected a number in the column `{column}`, got an empty cell", _line(source, line),
                   help="fill or remove the row")  # fmt: skip
    if not _is_number(cell) or not isfinite(float(cell)):
        raise fail("E1002", f"expected a finite number in the column `{column}`, got `{cell}`", _line(source, line),
                              help="write its values as numbers, or remove the row or the column; the class is in "
                              f"the column `{TARGET}`, or else in the last")  # fmt: skip
    return float(cell)


def _classes(cells: list[str], source: Source, lines: list[int]) -> tuple[Array, tuple[str, ...]]:
    numeric = [_is_number(cell) for cell in cells]
    if not any(numeric) and all(cells):
        names = [class_name(cell) for cell in cells]
        labels = tuple(sorted(set(names)))
        numbers = {label: number for number, label in enumerate(labels)}
        return np.array([numbers[name] for name in names]), labels
    for cell, line in zip(cells, lines, strict=True):
        if not _is_number(cell) or not float(cell).is_integer() or not 0 <= float(cell) < _MAX_CLASS_NUMBER:
            raise fail("E1004", f"expected a class as a whole number from 0, got `{cell}`", _line(source, line),
                       help="number the classes from 0, or name all of them")  # fmt: skip
    return np.array([int(float(cell)) for cell in cells]), ()


def _line(source: Source, number: int) -> Span:
    start = source.line_starts[number - 1]
    return Span(source, start, start + len(source.line(number)))
