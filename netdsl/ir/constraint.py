"""Conditions on symbolic sizes: `where` states them, a model's metadata store them, and a session checks them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEXT = re.compile(r"(\w+) (?:(%) ([1-9]\d*) == 0|(>=|<=) (-?\d+))")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition on one size.

    Attributes:
        size: the symbol's name.
        relation: `%` for a divisor, `>=` or `<=` for a bound.
        number: the divisor or the bound.
    """

    size: str
    relation: str
    number: int

    @property
    def text(self) -> str:
        """The condition in the syntax of the language: `H % 32 == 0`."""
        return f"{self.size} {self.relation} {self.number}" + (" == 0" if self.relation == "%" else "")

    @staticmethod
    def parse(text: str) -> Constraint:
        """Read a condition from its text.

        Raises:
            ValueError: the text is not a condition.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"`{text}` is no condition on a size")
        size, divides, divisor, order, bound = found.groups()
        return Constraint(size, divides or order, int(divisor or bound))

    def holds(self, value: int) -> bool:
        """Whether a size satisfies the condition."""
        if self.relation == "%":
            return value % self.number == 0
        return value >= self.number if self.relation == ">=" else value <= self.number


@dataclass(frozen=True, slots=True)
class Allowed:
    """The allowed values of a size: the multiples of a number between two bounds."""

    multiple: int
    minimum: int
    maximum: int | None

    @staticmethod
    def by(constraints: Iterable[Constraint]) -> Allowed:
        """The positive numbers that satisfy several conditions on one size."""
        found = [(c.relation, c.number) for c in constraints]
        return Allowed(
            lcm(*(number for relation, number in found if relation == "%")),
            max([1, *(number for relation, number in found if relation == ">=")]),
            min((number for relation, number in found if relation == "<="), default=None),
        )

    def nearest(self, value: int) -> list[int]:
        """The nearest allowed values below and above a value that is not allowed, where they exist."""
        first = -(-self.minimum // self.multiple) * self.multiple
        below = (value if self.maximum is None else min(value, self.maximum)) // self.multiple * self.multiple
        above = max(-(-value // self.multiple) * self.multiple, first)
        found = {size for size in (below, above) if size >= first and (self.maximum is None or size <= self.maximum)}
        return sorted(found)
