"""What is said of one code."""

from typing import NamedTuple


class Code(NamedTuple):
    """A code's title and its explanation: what the rule is, why, and how to mend a program that breaks it.

    `example` is a file that gets the diagnostic; empty where no file alone can.
    """

    title: str
    explanation: str
    example: str = ""
