"""Names of classes in one spelling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import normalize

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from netdsl.base.source import Span


def class_name(text: str, span: Span | None = None) -> str:
    """Normalize the name of a class to Unicode's composed form (NFC), in which names are stored and compared.

    Some systems write `é` as one character and others as `e` and an accent, so that one name has two spellings.
    Source: Unicode Standard Annex #15, "Unicode Normalization Forms".

    Raises:
        NetdslError: it contains surrogates, as names of folders do that are not valid UTF-8, and no file can store them
            (E0112).
    """
    if re.search("[\ud800-\udfff]", text):
        raise fail("E0112", f"expected the name of a class, got `{text}`, which is no Unicode text", span,
                   help="call it otherwise; of a class that is a folder, rename the folder")  # fmt: skip
    return normalize("NFC", text)
