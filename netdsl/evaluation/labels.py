"""Evaluations of yes-or-no answers for each of several labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import visible
from netdsl.base.table import Table
from netdsl.evaluation.answers import Answers
from netdsl.evaluation.text import alone, facts, heading, percent

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


@dataclass(frozen=True)
class LabelFigures:
    """The metrics of one label; a metric whose denominator is 0 is None.

    Attributes:
        name: its name, or its number if it has none.
        samples: the number of samples that have it.
        accuracy: the fraction of all samples whose answer is right.
        recall: the fraction of the samples with the label whose answer is yes.
        precision: the fraction of the samples with the answer yes that have the label.
    """

    name: str
    samples: int
    accuracy: float
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class LabelEvaluation(Answers):
    """Answers of yes or no for each of several labels of a sample.

    Attributes:
        targets: samples x labels, yes or no.
        logs: the logarithms of the probabilities of no and of yes, samples x labels x 2.
    """

    @cached_property
    def predicted(self) -> Array:
        """Samples x labels: whether yes is likelier than no."""
        answers: Array = self.logs[..., 1] > self.logs[..., 0]
        return answers

    @property
    def accuracy(self) -> float:
        """The fraction of all answers, one for each sample and label, that are right."""
        return float((self.predicted == self.targets).mean())

    @property
    def exact(self) -> float:
        """The fraction of the samples whose answers are all right."""
        return float((self.predicted == self.targets).all(1).mean())

    @property
    def loss(self) -> float:
        """The mean binary cross-entropy over samples and labels, in nats."""
        yes, no = self.logs[..., 1], self.logs[..., 0]
        return float(-(yes[self.targets].sum() + no[~self.targets].sum()) / self.targets.size)

    @cached_property
    def per_label(self) -> tuple[LabelFigures, ...]:
        """The metrics of each label."""
        right, truth, given = self.predicted == self.targets, self.targets.sum(0), self.predicted.sum(0)
        yes_and_true = (self.predicted & self.targets).sum(0)
        return tuple(
            LabelFigures(
                self.labels[number] if self.labels else str(number),
                int(truth[number]),
                float(right[:, number].mean()),
                float(yes_and_true[number] / truth[number]) if truth[number] else None,
                float(yes_and_true[number] / given[number]) if given[number] else None,
            )
            for number in range(self.targets.shape[1])
        )

    def as_json(self, top: int = 5) -> dict[str, Any]:  # noqa: ARG002 - the signature of `ClassEvaluation`
        """Return a JSON object."""
        return {
            **self.common_json(),
            "accuracy": self.accuracy,
            "exact": self.exact,
            "loss": self.loss,
            "loss_name": "binary cross-entropy",
            "scores": self.meaning,
            "labels": [vars(figures) for figures in self.per_label],
            "members": [member.as_json() for member in self.members],
        }

    def text(self, top: int = 5) -> str:  # noqa: ARG002 - the signature of `ClassEvaluation`
        """Return the metrics as text."""
        return _text(self)

    def __str__(self) -> str:
        return self.text()


def _text(found: LabelEvaluation) -> str:
    """Return the metrics, and the metrics of each label, as text."""
    parts = [
        ("accuracy", f"{percent(found.accuracy)}  of all answers"),
        ("all labels right", percent(found.exact)),
        ("binary cross-entropy", f"{found.loss:.4f}  (scores are {found.meaning})"),
    ]
    rows = [
        (visible(f.name), f"{f.samples:,}", percent(f.accuracy), percent(f.recall), percent(f.precision))
        for f in found.per_label
    ]
    members = [(visible(m.model), percent(m.accuracy), f"{m.loss:.4f}") for m in found.members]
    table = Table(("label", ">samples", ">accuracy", ">recall", ">precision"), rows)
    return "\n".join([heading(found), *facts(parts), *alone((">accuracy", ">loss"), members), "", table.text()])
