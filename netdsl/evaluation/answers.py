"""The answers of a model on a split of a data set: what evaluations of all kinds have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


@dataclass(frozen=True)
class Answers:
    """What a model, or several averaged, answered on a split.

    Attributes:
        model: the file, or how many models were averaged.
        data: the data set.
        split: `test`, `validation` or `training`.
        labels: the names of the classes, labels or values; empty where neither model nor data name them.
        views: how many views of each image were averaged.
        positions: how many answers there are for each sample, which are counted one by one.
        meaning: what the model's scores are, one of `netdsl.ir.meaning.Gives`.
        targets: what is true of each sample, or of each position of it.
        logs: what the model answers; of values the values, of all others logarithms of probabilities.
        members: of averaged models, the answers of each.
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
        """The part of the JSON object that evaluations of all kinds have."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "samples": len(self.targets) // self.positions,
            "positions": self.positions,
            "views": self.views,
        }
