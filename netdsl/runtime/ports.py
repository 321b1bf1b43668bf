"""The inputs and outputs of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netdsl.ir.deciding import default_takes

if TYPE_CHECKING:
    from netdsl.ir.meaning import Takes


@dataclass(frozen=True)
class Port:
    """An input or output of a model. In `shape`, which includes the batch, a string is an open size.

    `takes` is what the model says of an input, or None if it says nothing.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    takes: Takes | None = field(default=None, compare=False, repr=False)

    @property
    def asks(self) -> Takes:
        """What an input takes: as the model says, or else inferred from its shape and type."""
        return default_takes(self.shape[1:], self.dtype) if self.takes is None else self.takes

    def __str__(self) -> str:
        return f"`{self.name}`: {self.dtype} [{', '.join(map(str, self.shape))}]"
