"""The parser that Lark makes from `grammars/netdsl.lark`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from lark import Lark

from netdsl.resources import directory
from netdsl.syntax.builder import Builder


@cache
def grammar() -> Lark:
    """The parser, whose rules build the tree as they are recognised.

    Making its tables takes a tenth of a second, so they are kept between runs. Lark writes and reads them: it keys
    them by the grammar, by its own version and by Python's, makes them anew where they do not fit or cannot be read,
    and goes on without them where they cannot be written.
    """
    text = (directory("grammars") / "netdsl.lark").read_text(encoding="utf-8")
    folder = _cache_folder()
    kept = str(folder / "netdsl.lark.cache") if folder else False
    return Lark(text, start="file", parser="lalr", lexer="basic", transformer=Builder(), cache=kept)


def _cache_folder() -> Path | None:
    """The user's cache folder, made if need be; None where there is none, or where others could write to it.

    What lies in it is unpickled, so it must be as trustworthy as the program.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = base / "netdsl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return folder
