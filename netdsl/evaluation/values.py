"""Evaluations of answers that are values: their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import visible
from netdsl.evaluation.answers import Answers
from netdsl.evaluation.text import alone, facts, heading

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


@dataclass(frozen=True)
class ValueEvaluation(Answers):
    """Answers that are values.

    Attributes:
        targets: the true values, samples (or all positions of them) x values.
        logs: the model's values, of the same shape. They are not logarithms; the name is that of other answers.
    """

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

    def as_json(self, top: int = 5) -> dict[str, Any]:  # noqa: ARG002 - the signature of `ClassEvaluation`
        """Return a JSON object."""
        return {
            **self.common_json(),
            "loss": self.loss,
            "loss_name": "mean squared error",
            "mean_absolute_error": self.error,
            "r_squared": self.explained,
            "scores": self.meaning,
            "members": [member.as_json() for member in self.members],
        }

    def text(self, top: int = 5) -> str:  # noqa: ARG002 - the signature of `ClassEvaluation`
        """Return the metrics as text."""
        return _text(self)

    def __str__(self) -> str:
        return self.text()


def _text(found: ValueEvaluation) -> str:
    """Return the errors as text."""
    explained = "-" if found.explained is None else f"{found.explained:.4f}"
    rows = [
        ("mean squared error", f"{found.loss:.6g}"),
        ("mean absolute error", f"{found.error:.6g}"),
        ("R squared", explained),
    ]
    members = [(visible(m.model), f"{m.loss:.6g}", f"{m.error:.6g}") for m in found.members]
    return "\n".join([heading(found), *facts(rows), *alone((">squared error", ">absolute error"), members)])
