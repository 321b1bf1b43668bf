"""The names defined at a place, and their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Environment:
    """Names and their values (`netdsl.elaborate.values.Value`); a name hides the same name of an outer environment."""

    values: dict[str, Any]
    outer: Environment | None = None

    def find(self, name: str) -> Any | None:
        """The value of a name, or None."""
        here: Environment | None = self
        while here is not None:
            if name in here.values:
                return here.values[name]
            here = here.outer
        return None

    def names(self) -> set[str]:
        """All visible names."""
        return set(self.values) | (self.outer.names() if self.outer else set())
