"""The positions along one axis that each position of a result reads: a first and a last one.

A window reads `extent` positions and moves by its stride, for every position of an endless axis. An upsampling by 4
reads one position four times, then the next: the pattern repeats after `period` positions, moved by `shift`. A slice
has an end, beyond which nothing is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import gcd, inf, lcm
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Span: TypeAlias = "tuple[float, float]"
"""The first and the last position that are read: whole numbers, or infinite ones in `NOTHING`."""
NOTHING: Final[Span] = (inf, -inf)

MAX_SPAN_POSITIONS = 4096
"""The largest number of positions kept separately; patterns with a longer period are not followed."""


@dataclass(frozen=True)
class Spans:
    """The positions that each position along an axis reads.

    Attributes:
        spans: the first and the last position that positions 0, 1, ... read; `NOTHING` where one reads none.
        shift: the distance by which the pattern moves for the positions after them; None if there are no further ones.
        start: the position of the first of `spans`, where `shift` is None.
        step: the distance between the positions that one position reads, as in a dilated window.
    """

    spans: tuple[Span, ...]
    shift: int | None = None
    start: int = 0
    step: int = 1
    ordered: bool = field(init=False, repr=False, compare=False)
    """Whether the first and the last position that are read never decrease from one position to the next."""

    def __post_init__(self) -> None:
        row = self.spans if self.shift is None else (*self.spans, _moved(self.spans[0], self.shift))
        ordered = NOTHING not in row and all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(row))
        object.__setattr__(self, "ordered", ordered)

    @classmethod
    def window(cls, extent: int, stride: int = 1, before: int = 0, step: int = 1) -> Spans:
        """A window of `extent` positions that reads every `step`-th; it begins `before` positions before the first."""
        return cls(((-before, extent - 1 - before),), stride, step=step)

    @classmethod
    def repeated(cls, times: int) -> Spans | None:
        """Every position repeated `times` times; None where these are too many."""
        return cls(((0, 0),) * times, 1) if times <= MAX_SPAN_POSITIONS else None

    @classmethod
    def table(cls, spans: Iterable[Span], start: int = 0) -> Spans:
        """The given spans, with nothing before and after them."""
        row = list(spans)
        while row and row[-1] == NOTHING:
            row.pop()
        leading = next((i for i, span in enumerate(row) if span != NOTHING), 0)
        return cls(tuple(row[leading:]), None, start + leading) if row else cls((NOTHING,), 0)

    @property
    def period(self) -> int:
        """The number of positions after which the pattern repeats."""
        return len(self.spans)

    @property
    def single(self) -> bool:
        """Whether every position reads at most one position."""
        return all(first >= last for first, last in self.spans)

    def at(self, position: int) -> Span:
        """The span that one position reads."""
        if self.shift is None:
            inside = 0 <= position - self.start < len(self.spans)
            return self.spans[position - self.start] if inside else NOTHING
        turns, phase = divmod(position, len(self.spans))
        return _moved(self.spans[phase], turns * self.shift)

    def hull(self, first: float, last: float, step: int = 1) -> Span:
        """The span that covers what the positions from `first` to `last`, `step` apart, read."""
        if first > last:
            return NOTHING
        a, b = int(first), int(last)
        if self.shift is None:
            a += max(0, -((a - self.start) // step) * step)
            b -= max(0, -((self.start + len(self.spans) - 1 - b) // step) * step)
            if a > b:
                return NOTHING
        if self.ordered:
            return self.at(a)[0], self.at(b)[1]
        turn = (len(self.spans) - 1) * step  # from one repetition to the next, spans never move back
        return (
            min(self.at(i)[0] for i in range(a, min(b, a + turn) + 1, step)),
            max(self.at(i)[1] for i in range(b, max(a, b - turn) - 1, -step)),
        )

    def of(self, read: Spans, size: int | None) -> Spans | None:
        """The positions seen through another layer, each of whose positions reads some positions of this one.

        Args:
            read: the positions of this one that each position of the layer's result reads.
            size: the number of positions of the result; None where it is unknown.

        Returns:
            None where more than `MAX_SPAN_POSITIONS` positions would have to be kept separately.
        """
        if read.shift is None:
            return Spans.table((self.hull(*span, read.step) for span in read.spans), read.start)
        if self.shift is None and read.shift:
            lows, highs = zip(*(span for span in read.spans if span != NOTHING), strict=True)
            before, behind = self.start - int(max(highs)), self.start + len(self.spans) - 1 - int(min(lows))
            first, last = read.period * (before // read.shift), read.period * (behind // read.shift + 1)
            return self._row(read, max(0, first), last if size is None else min(last, size - 1))
        turns = 1 if self.shift is None else len(self.spans) // gcd(len(self.spans), read.shift)
        if read.period * turns > MAX_SPAN_POSITIONS:
            return self._row(read, 0, size - 1) if size is not None else None
        row = tuple(self.hull(*read.at(i), read.step) for i in range(read.period * turns))
        return Spans(row, 0 if self.shift is None else read.shift * turns // len(self.spans) * self.shift)

    def _row(self, read: Spans, first: int, last: int) -> Spans | None:
        """The same, as a table of positions."""
        if last - first >= MAX_SPAN_POSITIONS:
            return None
        return Spans.table((self.hull(*read.at(i), read.step) for i in range(first, last + 1)), first)

    def within(self, size: int, offset: int = 0) -> Spans | None:
        """The first `size` positions, moved by `offset`, the others cut off; None where these are too many."""
        if size > MAX_SPAN_POSITIONS:
            return None
        return Spans.table((self.at(i) for i in range(size)), offset)

    def joined(self, other: Spans) -> Spans | None:
        """The spans of positions that read both this and `other`; None where the two move at different speeds."""
        if self.shift is None or other.shift is None or self.shift * other.period != other.shift * self.period:
            return None
        period = lcm(self.period, other.period)
        if period > MAX_SPAN_POSITIONS:
            return None
        row = tuple(_both(self.at(i), other.at(i)) for i in range(period))
        return Spans(row, self.shift * (period // self.period))


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _both(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


EACH: Final = Spans(((0, 0),), 1)
"""Every position reads itself."""

Reads: TypeAlias = Spans | Literal["all"] | None
"""The positions read along an axis; `all` if each reads the whole axis, None if symbolic sizes decide."""


def grouped(read: int, made: int) -> Spans | None:
    """Groups: each group of `made` positions reads its own group of `read` positions."""
    return Spans(((0, read - 1),) * made, read) if made <= MAX_SPAN_POSITIONS else None


def cut(start: int, step: int, size: int | None) -> Spans:
    """Positions from `start` on, `step` apart: `size` of them, or without an end if `size` is unknown or large."""
    endless = Spans.window(1, step, -start)
    return (endless if size is None else endless.within(size)) or endless


def largest(rows: tuple[Spans, ...], size: int | None, end: int | None) -> int | None:
    """The largest number of positions, from first to last, that one position reads if it reads what all rows state.

    Args:
        rows: the positions read.
        size: the number of positions; None where it is unknown.
        end: the number of positions that can be read, likewise; it matters where rows move at different speeds, so that
            the widest span is at a border.

    Returns:
        None where it grows with a size that is unknown.
    """
    if len(rows) == 1:
        (row,) = rows
        count = row.period if size is None or row.shift is None else min(row.period, size)
        spans = row.spans[:count]
    elif size is None or end is None:
        return None
    else:
        places = {*range(min(size, MAX_SPAN_POSITIONS)), *range(max(0, size - MAX_SPAN_POSITIONS), size)}
        spans = tuple((max(first, 0), min(last, end - 1)) for first, last in (hull(rows, i) for i in places))
    return max((int(last - first) + 1 for first, last in spans if first <= last), default=0)


def hull(rows: Iterable[Spans], position: int) -> Span:
    """The span that covers what one position reads in all rows."""
    found = NOTHING
    for row in rows:
        found = _both(found, row.at(position))
    return found


def total(rows: Iterable[Spans], size: int) -> Span:
    """The span that covers what positions 0 to `size` - 1 read in all rows."""
    found = NOTHING
    for row in rows:
        found = _both(found, row.hull(0, size - 1))
    return found
