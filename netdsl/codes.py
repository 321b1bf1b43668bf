"""Every diagnostic code with a title and an explanation, as `netdsl explain CODE` prints them.

Codes are stable: a code is never given another meaning. E01 syntax, E02 names, E03 arguments and expressions,
E04 shapes, E05 structure, E06 promises, E07 limits, E08 recipes, E09 files, models and devices; W01 warnings.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """A code's title and its explanation: what the rule is, why, and how to mend a program that breaks it."""

    title: str
    explanation: str


CODES: dict[str, Code] = {}
