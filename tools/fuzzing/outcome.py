"""The outcome of an input, and descriptions of faults that are the same for the same fault."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

FACTOR = 10
"""The largest ratio of onnxruntime's error to that of PyTorch in the net's own types, for errors over the tolerance."""
MAX_LINES = 40
"""The largest number of lines of a diagnostic: a screen."""
MAX_ERRORS = 20
MAX_CHARACTERS = 6000
"""The largest number of errors for one input, and of characters of all of them together."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of an input.

    Attributes:
        verdict: the result in a few words.
        detail: the fault, in a line that is the same for the same fault; empty if there is none.
        report: details for debugging: a traceback, or figures.
        seconds: the processor time.
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
    """Describe an exception in a line, with its last place in netdsl, and return also its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/netdsl/" in frame.filename] or frames
    place = f" in {'/'.join(Path(own[-1].filename).parts[-2:])}:{own[-1].name}" if own else ""
    words = (str(error).splitlines() or [""])[0][:160]
    return f"{type(error).__name__}{place}: {words}", "".join(traceback.format_exception(error))


def refusal_fault(text: str, places: list[bool]) -> str:
    """Describe the fault in how an input is refused; empty if there is none.

    Args:
        text: the diagnostics as they are printed, with empty lines between them.
        places: whether each diagnostic has a place, or needs none.
    """
    if not all(places):
        return "a refusal without a place"
    if max(part.count("\n") for part in text.split("\n\n")) >= MAX_LINES or len(text) > MAX_CHARACTERS:
        return "a refusal that does not fit on a screen"
    if len(places) > MAX_ERRORS:
        return f"more than {MAX_ERRORS} errors"
    return control_character(text)


def control_character(text: str) -> str:
    """Name a character of a text that would control a terminal; empty if there is none."""
    turns = range(0x202A, 0x202F), range(0x2066, 0x206A)
    for character in text:
        if (category(character) == "Cc" and character not in "\n\t") or any(ord(character) in some for some in turns):
            return f"the character U+{ord(character):04X} is printed"
    return ""
