"""Locations of the grammar, the shipped nets and the shipped blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from netdsl.base.files import read_file

MAX_RESOURCE_BYTES = 2_000_000
"""The largest number of bytes of a shipped file."""
_NET = re.compile(r"^net\s+(\w+)", re.MULTILINE)


def directory(name: Literal["grammars", "nets"]) -> Path:
    """The path of a folder: inside the package in a wheel, at the top of the repository in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def library() -> dict[str, Path]:
    """The files of the shipped blocks, by the name that `use` takes."""
    return {file.stem: file for file in sorted((directory("nets") / "blocks").glob("*.net"))}


def shipped() -> dict[str, Path]:
    """The file of each shipped net, by the net's name; the files are searched, not parsed."""
    files = sorted(directory("nets").glob("*.net"))
    return {name: file for file in files for name in _NET.findall(read_file(file, MAX_RESOURCE_BYTES).decode())}
