"""The content of a data set: splits of samples as they were read, independent of a net."""

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
        inputs: image files; or numbers, N x any shape, where bytes may be images.
        targets: N class numbers (int64), or other targets, N x any shape.
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
            pixels: whether the model's input takes pixels; otherwise, bytes are numbers.
        """
        return not isinstance(self.inputs, np.ndarray) or (
            pixels and self.inputs.dtype == np.uint8 and self.inputs.ndim >= 3
        )

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, chosen: Array) -> Part:
        """Return the samples with these numbers."""
        if isinstance(self.inputs, np.ndarray):
            return Part(self.inputs[chosen], self.targets[chosen])
        return Part([self.inputs[index] for index in chosen], self.targets[chosen])

    def without(self, left_out: Sequence[int]) -> Part:
        """Return all samples but those with these numbers."""
        return self.take(np.setdiff1d(np.arange(len(self)), left_out)) if left_out else self


@dataclass(frozen=True)
class Found:
    """The content of a data set.

    Attributes:
        name: the data set as the user gave it.
        train: the samples to train on.
        val: samples that the data set provides for validation.
        test: samples that the data set provides for testing.
        labels: the class names in the order of their numbers; empty if the data set has none.
    """

    name: str
    train: Part
    val: Part | None = None
    test: Part | None = None
    labels: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Part]:
        """Return the splits that exist, by the names that messages use."""
        given = {"training": self.train, "validation": self.val, "test": self.test}
        return {name: part for name, part in given.items() if part is not None}


def broken(path: Path, problem: str, remedy: str = "copy or download it again") -> NetdslError:
    """Return E1002: the content of a file is not what its name says."""
    return fail("E1002", f"`{path}` {problem}", help=remedy)
