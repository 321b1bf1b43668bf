"""A hook of hatchling that writes the parser's table beside the grammar, for a wheel or an editable install."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GrammarTable(BuildHookInterface[Any]):
    """The hook; hatchling calls `initialize` before it collects the files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Write `grammars/netdsl.table.json`, whole or not at all."""
        root = Path(self.root)
        sys.path.insert(0, str(root))
        try:
            from netdsl.syntax.grammar import TABLE, table
        finally:
            sys.path.remove(str(root))
        path = root / "grammars" / TABLE
        unfinished = path.with_suffix(".part")
        unfinished.write_text(table(), encoding="utf-8")
        unfinished.replace(path)
