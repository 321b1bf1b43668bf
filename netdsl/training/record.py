"""The file that says what a run was asked to do: its name, its form, and how it is read, without PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.files import read_file, reading
from netdsl.base.outputs import replaceable

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION = "run.json"
"""What the run was asked to do."""
FORMAT = 2
"""Grows when a description says something in another way; one of another number is not understood."""
_MAX_RUN_DESCRIPTION_BYTES = 2**26


def read_description(folder: Path, code: str, remedy: str) -> dict[str, Any]:
    """What the run in a folder was asked to do.

    Args:
        folder: the run's.
        code: of the errors.
        remedy: what helps where the description is of no use.

    Raises:
        NetdslError: it cannot be read (E0901), is broken or of another version of netdsl (`code`).
    """
    path = folder / DESCRIPTION
    with replaceable(), reading(path, code, "the description of a run", remedy):
        known: dict[str, Any] = json.loads(read_file(path, _MAX_RUN_DESCRIPTION_BYTES))
        entries, form = dict(known["recipe"]), known.get("format")
    if form != FORMAT:
        raise fail(code, f"`{path}` is of another version of netdsl: expected format {FORMAT}, got {form or 1}",
                   help=f"use that version of netdsl, or {remedy}")  # fmt: skip
    return {**known, "recipe": entries}
