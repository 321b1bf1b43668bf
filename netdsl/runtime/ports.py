"""The inputs and outputs of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netdsl.ir.deciding import default_takes

if TYPE_CHECKING:
    from netdsl.ir.meaning import Takes


@dataclass(frozen=True)
class Port:
    """An input or output of a model; in `shape`, the batch included, a string is a size left open.

    `takes` is what the model says of an input, and None where it says nothing.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    takes: Takes | None = field(default=None, compare=False, repr=False)

    @property
    def asks(self) -> Takes:
        """What an input takes: what the model says, or else what its form suggests."""
        return default_takes(self.shape[1:], self.dtype) if self.takes is None else self.takes

    def __str__(self) -> str:
        return f"`{self.name}`: {self.dtype} [{', '.join(map(str, self.shape))}]"
