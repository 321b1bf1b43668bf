"""The parser that Lark makes from `grammars/netdsl.lark`."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from hashlib import sha256
from typing import Any, cast

from lark import Lark
from lark import __version__ as lark_version
from lark.grammar import Rule
from lark.lexer import TerminalDef

from netdsl.base.files import read_file
from netdsl.base.resources import MAX_RESOURCE_BYTES, directory
from netdsl.syntax.builder import Builder

STARTS = ("file", "expression", "entry")
"""The rules that can be parsed separately."""
TABLE = "netdsl.table.json"
"""The file beside the grammar that holds the parser's table."""


@cache
def grammar() -> Lark:
    """The parser; it builds the tree while it recognizes the rules.

    Its table is read from the file `TABLE`, which is written when a wheel is built or a checkout is installed. If it is
    absent, or was made from another grammar or by another version of Lark, Lark makes the table, which takes a tenth of
    a second.
    """
    text = _text()
    return _read(text) or _made(text)


def table() -> str:
    """The table of the current grammar, as the text of the file `TABLE`."""
    text = _text()
    data, memo = _made(text).memo_serialize([TerminalDef, Rule])
    del data["options"]["transformer"]  # a new Builder is passed when the table is read
    return json.dumps({"made_from": _made_from(text), "data": data, "memo": memo}, separators=(",", ":"))


def _text() -> str:
    return read_file(directory("grammars") / "netdsl.lark", MAX_RESOURCE_BYTES).decode()


def _made(text: str) -> Lark:
    return Lark(text, start=list(STARTS), parser="lalr", lexer="basic", transformer=Builder())


def _made_from(text: str) -> str:
    return sha256(f"{text}{lark_version}{STARTS}".encode()).hexdigest()


def _read(text: str) -> Lark | None:
    path = directory("grammars") / TABLE
    if not path.is_file():
        return None
    with suppress(ValueError, KeyError):
        saved = json.loads(read_file(path, MAX_RESOURCE_BYTES))
        if saved["made_from"] == _made_from(text):
            automaton = saved["data"]["parser"]["parser"]
            automaton["states"] = _with_numbers(automaton["states"])
            restore: Any = Lark._load_from_dict  # noqa: SLF001 - the public `Lark.load` unpickles and takes no transformer
            return cast("Lark", restore(saved["data"], _with_numbers(saved["memo"]), transformer=Builder()))
    return None


def _with_numbers(table: dict[str, Any]) -> dict[int, Any]:
    """Convert the keys of a dictionary from strings, which JSON requires, back to whole numbers."""
    return {int(key): value for key, value in table.items()}
