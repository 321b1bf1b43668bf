"""The parser that Lark makes from `grammars/netdsl.lark`."""

from __future__ import annotations

import os
import pickle
import secrets
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from lark import Lark
from lark import __version__ as lark_version

from netdsl.base.files import read_file
from netdsl.base.resources import MAX_RESOURCE_BYTES, directory
from netdsl.syntax.builder import Builder

STARTS = ("file", "expression", "entry")
"""The rules that can be parsed separately."""


@cache
def grammar() -> Lark:
    """The parser; it builds the tree while it recognizes the rules.

    Building its tables takes a tenth of a second, so they are cached in the user's cache folder, under a name that
    identifies the grammar and the versions. Where that folder cannot be used, they are built at every start.
    """
    text = read_file(directory("grammars") / "netdsl.lark", MAX_RESOURCE_BYTES).decode()
    folder = _cache_folder()
    if folder is None:
        return _made(text)
    made_from = f"{text}{lark_version}{sys.version_info[:2]}{STARTS}"
    tables = folder / f"{sha256(made_from.encode()).hexdigest()[:16]}.tables"
    lark = _kept(tables)
    if lark is None:
        lark = _made(text)
        _keep(lark, tables)
    return lark


def _made(text: str) -> Lark:
    return Lark(text, start=list(STARTS), parser="lalr", lexer="basic", transformer=Builder())


_MAX_GRAMMAR_TABLE_BYTES = 2**24
"""The largest number of bytes of the cached tables."""


def _kept(tables: Path) -> Lark | None:
    try:
        saved = pickle.loads(read_file(tables, _MAX_GRAMMAR_TABLE_BYTES))  # noqa: S301 - nobody else can write to the folder
        restore: Any = Lark._load_from_dict  # noqa: SLF001 - the public `Lark.load` takes no transformer
        return cast("Lark", restore(saved["data"], saved["memo"], transformer=Builder()))
    except Exception:  # noqa: BLE001 - damaged bytes may raise anything, and the tables can be rebuilt
        return None


def _keep(lark: Lark, tables: Path) -> None:
    unfinished = tables.with_name(f".{secrets.token_hex(8)}.part")
    with suppress(OSError):
        try:
            with unfinished.open("xb") as file:
                lark.save(file, exclude_options={"transformer"})
            unfinished.replace(tables)
        finally:
            unfinished.unlink(missing_ok=True)


def _cache_folder() -> Path | None:
    """The user's cache folder, created if necessary; None where there is none, or where others can write to it.

    Its files are unpickled, so it must be as trustworthy as the program.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netdsl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return folder
