"""What a source of data gives: splits of samples as they were read, before a net is asked what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from netdsl.base.diagnostics import NetdslError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Part:
    """One split.

    Attributes:
        inputs: files of images; or numbers, N x any shape, of which bytes may be images.
        targets: N class numbers (int64), or what else belongs to each sample, N x any shape.
    """

    inputs: Sequence[Path] | Array
    targets: Array

    @property
    def files(self) -> bool:
        """Whether the samples are files of images."""
        return not isinstance(self.inputs, np.ndarray)

    def pictures(self, *, pixels: bool) -> bool:
        """Whether the samples are images for a model, which can be scaled to another size.

        Args:
            pixels: whether it takes pixels; bytes are numbers for one that does not.
        """
        return not isinstance(self.inputs, np.ndarray) or (
            pixels and self.inputs.dtype == np.uint8 and self.inputs.ndim >= 3
        )

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, chosen: Array) -> Part:
        """The samples of these numbers."""
        if isinstance(self.inputs, np.ndarray):
            return Part(self.inputs[chosen], self.targets[chosen])
        return Part([self.inputs[index] for index in chosen], self.targets[chosen])

    def without(self, left_out: Sequence[int]) -> Part:
        """The samples of all other numbers."""
        return self.take(np.setdiff1d(np.arange(len(self)), left_out)) if left_out else self


@dataclass(frozen=True)
class Found:
    """What a source gives.

    Attributes:
        name: the source as it was asked for.
        train: the samples to learn from.
        val: samples set apart by the source to judge each epoch by.
        test: samples set apart by the source to judge the trained net by.
        labels: the names of the classes in the order of their numbers; empty where the source has none.
    """

    name: str
    train: Part
    val: Part | None = None
    test: Part | None = None
    labels: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Part]:
        """The splits that are there, by what a message calls them."""
        given = {"training": self.train, "validation": self.val, "test": self.test}
        return {name: part for name, part in given.items() if part is not None}


def broken(path: Path, problem: str, remedy: str = "copy or download it again") -> NetdslError:
    """The error of a file whose content is not what its name promises (E1002)."""
    return fail("E1002", f"`{path}` {problem}", help=remedy)
