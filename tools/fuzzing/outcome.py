"""What came of one input, and the text by which equal faults are known."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

FACTOR = 10
"""How many times as far from float64 as PyTorch in the net's own types onnxruntime may be, beyond the tolerance."""
MAX_LINES = 40
"""Lines of a diagnostic at most: a screen."""
MAX_ERRORS = 20
MAX_CHARACTERS = 6000
"""Errors, and characters of all of them together, that are shown of one input at most."""


@dataclass(frozen=True)
class Outcome:
    """What came of an input.

    Attributes:
        verdict: one word or a few, a column of the tables.
        detail: what is wrong, in a line that is the same for the same fault; empty where nothing is.
        report: what a person needs to look into it: a traceback, or figures.
        seconds: processor time.
        megabytes: by how much the peak memory of the process grew, in MB of 10^6 bytes.
    """

    verdict: str
    detail: str = ""
    report: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def wrong(self) -> bool:
        """Whether this is a finding."""
        return bool(self.detail)


def raised(error: BaseException) -> tuple[str, str]:
    """An exception in a line, with the last place in netdsl, and its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/netdsl/" in frame.filename] or frames
    place = f" in {'/'.join(Path(own[-1].filename).parts[-2:])}:{own[-1].name}" if own else ""
    words = (str(error).splitlines() or [""])[0][:160]
    return f"{type(error).__name__}{place}: {words}", "".join(traceback.format_exception(error))


def refusal_fault(text: str, places: list[bool]) -> str:
    """What is wrong with how an input is refused; empty where nothing is.

    Args:
        text: the diagnostics as they are printed, an empty line between them.
        places: of each diagnostic, whether it has a place, or needs none.
    """
    if not all(places):
        return "a refusal without a place"
    if max(part.count("\n") for part in text.split("\n\n")) >= MAX_LINES or len(text) > MAX_CHARACTERS:
        return "a refusal that does not fit on a screen"
    if len(places) > MAX_ERRORS:
        return f"more than {MAX_ERRORS} errors"
    return control_character(text)


def control_character(text: str) -> str:
    """Says that there is a character in a text that does something to a terminal; empty where there is none."""
    turns = range(0x202A, 0x202F), range(0x2066, 0x206A)
    for character in text:
        if (category(character) == "Cc" and character not in "\n\t") or any(ord(character) in some for some in turns):
            return f"the character U+{ord(character):04X} is printed"
    return ""
