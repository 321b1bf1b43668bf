"""Reading the description of a run from its folder, without PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.files import read_file, reading
from netdsl.base.outputs import replaceable

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION = "run.json"
"""The file with the description of the run."""
FORMAT = 2
"""The version of the format of descriptions; other versions are refused."""
START_AGAIN = "start again in another folder with `-o`"
_MAX_RUN_DESCRIPTION_BYTES = 2**26


def read_description(folder: Path, code: str, remedy: str) -> dict[str, Any]:
    """Read the description of the run in a folder.

    Args:
        folder: the run's folder.
        code: the code of the errors.
        remedy: the remedy if the description cannot be used.

    Raises:
        NetdslError: it cannot be read (E0901), is damaged or of another version of netdsl (`code`).
    """
    path = folder / DESCRIPTION
    with replaceable(), reading(path, code, "the description of a run", remedy):
        known: dict[str, Any] = json.loads(read_file(path, _MAX_RUN_DESCRIPTION_BYTES))
        entries, form = dict(known["recipe"]), known.get("format")
    if form != FORMAT:
        raise fail(code, f"`{path}` is of another version of netdsl: expected format {FORMAT}, got {form or 1}",
                   help=f"use that version of netdsl, or {remedy}")  # fmt: skip
    return {**known, "recipe": entries}


def need_description(folder: Path) -> None:
    """Check the description of a run that is to be resumed, before packages are imported that take seconds.

    Raises:
        NetdslError: it cannot be read (E0901), is damaged or of another version of netdsl (E1102).
    """
    if (folder / DESCRIPTION).exists():
        read_description(folder, "E1102", START_AGAIN)
