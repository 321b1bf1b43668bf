"""The answers of a model on a split of a data set: the base class of all evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


@dataclass(frozen=True)
class Answers:
    """The answers of a model, or of several averaged, on a split.

    Attributes:
        model: the file, or the number of averaged models.
        data: the data set.
        split: `test`, `validation` or `training`.
        labels: the names of the classes, labels or values; empty if neither model nor data have them.
        views: the number of averaged views of each image.
        positions: the number of answers for each sample, which are counted one by one.
        meaning: the kind of the model's scores, one of `netdsl.ir.meaning.Gives`.
        targets: the true answer for each sample, or for each of its positions.
        logs: the model's answers: values, or the logarithms of probabilities.
        members: the answers of each of several averaged models.
    """

    model: str
    data: str
    split: str
    labels: tuple[str, ...]
    views: int
    positions: int
    meaning: str
    targets: Array = field(repr=False)
    logs: Array = field(repr=False)
    members: tuple[Self, ...] = ()

    def common_json(self) -> dict[str, Any]:
        """Return the entries of the JSON object that all evaluations share."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "samples": len(self.targets) // self.positions,
            "positions": self.positions,
            "views": self.views,
        }
