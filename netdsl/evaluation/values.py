"""Evaluations of answers that are values: their errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.evaluation.text import value_text

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


@dataclass(frozen=True)
class ValueEvaluation:
    """The answers of a model, or of several averaged, on a split whose targets are values.

    Attributes:
        model: the file, or the number of averaged models.
        data: the data set.
        split: `test`, `validation` or `training`.
        labels: the names of the values; empty if neither model nor data have them.
        views: the number of averaged views of each image.
        positions: the number of vectors of values for each sample.
        meaning: `values`.
        targets: the true values, samples (or all positions of them) x values.
        logs: the model's values, of the same shape. They are not logarithms; the name is that of the other evaluations.
        members: the evaluations of each of several averaged models.
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
    members: tuple[ValueEvaluation, ...] = ()

    @property
    def predicted(self) -> Array:
        """The model's values."""
        return self.logs

    @property
    def loss(self) -> float:
        """The mean squared error, over samples and values."""
        return float(np.square(self.predicted - self.targets).mean())

    @property
    def error(self) -> float:
        """The mean absolute error."""
        return float(np.abs(self.predicted - self.targets).mean())

    @property
    def explained(self) -> float | None:
        """The fraction of the targets' variance that the model explains, R squared; None if they do not vary."""
        variance = float(np.square(self.targets - self.targets.mean(0)).mean())
        return 1 - self.loss / variance if variance else None

    def as_json(self, top: int = 5) -> dict[str, Any]:  # noqa: ARG002 - as `ClassEvaluation` has it
        """Return a JSON object."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "samples": len(self.targets) // self.positions,
            "positions": self.positions,
            "views": self.views,
            "loss": self.loss,
            "loss_name": "mean squared error",
            "mean_absolute_error": self.error,
            "r_squared": self.explained,
            "scores": self.meaning,
            "members": [member.as_json() for member in self.members],
        }

    def __str__(self) -> str:
        return value_text(self)
