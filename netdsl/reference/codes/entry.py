"""The description of one diagnostic code."""

from typing import NamedTuple


class Code(NamedTuple):
    """A code's title and its explanation: what the rule is, why, and how to correct a program that breaks it.

    `example` is a file that causes the diagnostic; empty if no single file can.
    """

    title: str
    explanation: str
    example: str = ""
