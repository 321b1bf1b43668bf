"""What classes are called."""

from __future__ import annotations

from unicodedata import normalize


def class_name(text: str) -> str:
    """The name of a class in the one form in which names are kept and compared: Unicode's composed form (NFC).

    Some systems write `é` as one character and others as `e` and an accent, so that one name has two spellings.
    Source: Unicode Standard Annex #15, "Unicode Normalization Forms".
    """
    return normalize("NFC", text)
