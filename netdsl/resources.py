"""Where the grammar and the shipped nets lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def directory(name: Literal["grammars", "nets"]) -> Path:
    """The folder `name`: inside the package in a wheel, at the top of the repository in a checkout."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
