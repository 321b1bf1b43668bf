"""Answers with yes or no for each of several labels, and the figures that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netdsl.evaluation.text import label_text

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


@dataclass(frozen=True)
class LabelFigures:
    """The figures of one label; a figure that divides by no samples is None.

    Attributes:
        name: its name, or its number where it has none.
        samples: how many have it.
        accuracy: the part of all samples whose yes or no is right.
        recall: the part of the samples with the label that was found.
        precision: the part of the samples taken to have it that have it.
    """

    name: str
    samples: int
    accuracy: float
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class LabelEvaluation:
    """What a model, or several averaged, answered on a split of samples that have several labels at once.

    Attributes:
        model: the file, or how many models were averaged.
        data: the data set.
        split: `test`, `validation` or `training`.
        labels: the names of the labels; empty where neither model nor data name them.
        views: how many views of each image were averaged.
        positions: how many answers there are for each sample, which are counted one by one.
        meaning: what the model's scores are.
        targets: samples x labels, yes or no.
        logs: logarithms of the probabilities of no and of yes, samples x labels x 2.
        members: of averaged models, the figures of each.
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
    members: tuple[LabelEvaluation, ...] = ()

    @cached_property
    def predicted(self) -> Array:
        """Samples x labels: whether yes is likelier than no."""
        answers: Array = self.logs[..., 1] > self.logs[..., 0]
        return answers

    @property
    def accuracy(self) -> float:
        """The part of all answers, one for each sample and label, that is right."""
        return float((self.predicted == self.targets).mean())

    @property
    def exact(self) -> float:
        """The part of the samples whose labels are all right."""
        return float((self.predicted == self.targets).all(1).mean())

    @property
    def loss(self) -> float:
        """The mean binary cross-entropy over samples and labels, in nats."""
        yes, no = self.logs[..., 1], self.logs[..., 0]
        return float(-(yes[self.targets].sum() + no[~self.targets].sum()) / self.targets.size)

    @cached_property
    def per_label(self) -> tuple[LabelFigures, ...]:
        """The figures of each label."""
        right, truth, given = self.predicted == self.targets, self.targets.sum(0), self.predicted.sum(0)
        found = (self.predicted & self.targets).sum(0)
        return tuple(
            LabelFigures(
                self.labels[number] if self.labels else str(number),
                int(truth[number]),
                float(right[:, number].mean()),
                float(found[number] / truth[number]) if truth[number] else None,
                float(found[number] / given[number]) if given[number] else None,
            )
            for number in range(self.targets.shape[1])
        )

    def as_json(self, top: int = 5) -> dict[str, Any]:  # noqa: ARG002 - as `ClassEvaluation` has it
        """A JSON object."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "samples": len(self.targets) // self.positions,
            "positions": self.positions,
            "views": self.views,
            "accuracy": self.accuracy,
            "exact": self.exact,
            "loss": self.loss,
            "loss_name": "binary cross-entropy",
            "scores": self.meaning,
            "labels": [vars(figures) for figures in self.per_label],
            "members": [member.as_json() for member in self.members],
        }

    def __str__(self) -> str:
        return label_text(self)
