"""Evaluations of answers with one class for each sample: accuracy, loss, confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import visible
from netdsl.base.table import Table
from netdsl.evaluation.answers import Answers
from netdsl.evaluation.scores import log_of
from netdsl.evaluation.text import alone, facts, heading, percent
from netdsl.ir.meaning import Gives

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array


MAX_CLASSES_SHOWN = 20
"""The largest number of classes for which all classes and the confusion matrix are printed."""
MAX_PAIRS_SHOWN = 10
"""The largest number of confused pairs of classes that are printed."""


@dataclass(frozen=True)
class ClassFigures:
    """The metrics of one class; a metric whose denominator is 0 is None.

    Attributes:
        name: its name, or its number if it has none.
        samples: the number of samples of this class.
        right: the number of them that are predicted as this class.
        recall: `right` divided by `samples`; also called the accuracy of the class.
        precision: `right` divided by the number of samples predicted as this class.
        f1: the harmonic mean of the two.
    """

    name: str
    samples: int
    right: int
    recall: float | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True)
class ClassEvaluation(Answers):
    """Answers with one class for each sample.

    Attributes:
        targets: the true class of each sample, or of each of its positions.
        logs: the logarithms of the probabilities, samples x classes; the scores themselves if these are not
            probabilities, and for distances their negatives.
        paired: whether one yes-or-no answer decides between two classes, the second of which is yes.
    """

    paired: bool = False

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.logs.shape[1])

    @cached_property
    def predicted(self) -> Array:
        """The most likely class of each sample; the first of equally likely ones."""
        classes: Array = self.logs.argmax(1)
        return classes

    @property
    def right(self) -> int:
        """The number of samples whose most likely class is the true one."""
        return int((self.predicted == self.targets).sum())

    @property
    def accuracy(self) -> float:
        """The fraction of samples that are right."""
        return self.right / len(self.targets)

    def top(self, count: int) -> float:
        """Return the fraction whose true class is among the `count` most likely; ties are broken by class number."""
        own = self.logs[np.arange(len(self.targets)), self.targets][:, None]
        earlier = np.arange(self.classes) < self.targets[:, None]
        ahead = (self.logs > own) | ((self.logs == own) & earlier)
        return float((ahead.sum(1) < count).mean())

    @property
    def loss_name(self) -> str:
        """The name of the loss: cross-entropy, or binary cross-entropy if each class has a sigmoid.

        For scores it is half the squared distance to the one-hot target, for distances the distance of the true class.
        """
        if Gives(self.meaning).yes_or_no:
            return "binary cross-entropy"
        names = {Gives.SCORES: "half squared distance", Gives.DISTANCES: "distance"}
        return names.get(Gives(self.meaning), "cross-entropy")

    @property
    def probable(self) -> bool:
        """Whether the scores are probabilities, or can be converted to them."""
        return Gives(self.meaning) not in (Gives.SCORES, Gives.DISTANCES)

    @cached_property
    def loss(self) -> float:
        """The mean loss over the samples, and for binary cross-entropy over the classes; entropies are in nats."""
        own = self.logs[np.arange(len(self.targets)), self.targets]
        gives = Gives(self.meaning)
        if gives is Gives.SCORES:
            return float(((self.logs**2).sum(1) - 2 * own + 1).mean() / 2)
        if not gives.yes_or_no or self.paired:
            return float(-own.mean())
        no = log_of(-np.expm1(np.minimum(self.logs, 0)))
        no[np.arange(len(self.targets)), self.targets] = 0
        return float(-(own + no.sum(1)).mean() / self.classes)

    def name(self, number: int) -> str:
        """Return the name of a class, or its number if it has none."""
        return self.labels[number] if self.labels else str(number)

    @cached_property
    def per_class(self) -> tuple[ClassFigures, ...]:
        """The metrics of each class."""
        samples, given, right = (
            np.bincount(chosen, minlength=self.classes).tolist()
            for chosen in (self.targets, self.predicted, self.targets[self.predicted == self.targets])
        )
        return tuple(
            ClassFigures(
                self.name(number),
                samples[number],
                right[number],
                right[number] / samples[number] if samples[number] else None,
                right[number] / given[number] if given[number] else None,
                2 * right[number] / (samples[number] + given[number]) if samples[number] + given[number] else None,
            )
            for number in range(self.classes)
        )

    @cached_property
    def confusion(self) -> Array:
        """The number of samples of each class (row) predicted as each class (column); int64, classes x classes."""
        flat = np.bincount(self.targets * self.classes + self.predicted, minlength=self.classes**2)
        return flat.reshape(self.classes, self.classes)

    @cached_property
    def confused(self) -> tuple[tuple[int, int, int], ...]:
        """The pairs of true and predicted class that differ, with their counts; the most frequent first."""
        wrong = self.predicted != self.targets
        pairs, counts = np.unique(self.targets[wrong] * self.classes + self.predicted[wrong], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return tuple(
            (int(pair) // self.classes, int(pair) % self.classes, int(count))
            for pair, count in zip(pairs[order], counts[order], strict=True)
        )

    @cached_property
    def wrong(self) -> Array:
        """The numbers of the misclassified samples, in the order of decreasing confidence."""
        numbers = np.flatnonzero(self.predicted != self.targets)
        return numbers[np.argsort(-self.logs[numbers].max(1), kind="stable")]

    def as_json(self, top: int = 5) -> dict[str, Any]:
        """Return a JSON object; `confused` lists all pairs of different classes that occur."""
        return {
            **self.common_json(),
            "accuracy": self.accuracy,
            **({f"top_{top}_accuracy": self.top(top)} if self.classes > top else {}),
            "loss": self.loss,
            "loss_name": self.loss_name,
            "scores": self.meaning,
            "classes": [vars(figures) for figures in self.per_class],
            "confused": [
                {"class": self.name(true), "taken_for": self.name(given), "samples": count}
                for true, given, count in self.confused
            ],
            "members": [member.as_json(top) for member in self.members],
        }

    def text(self, top: int = 5) -> str:
        """Return the metrics as text; `top` is the number of classes of the second accuracy."""
        return _text(self, top)

    def __str__(self) -> str:
        return self.text()


def _text(found: ClassEvaluation, top: int) -> str:
    """Return the metrics, the metrics of each class, and the confused classes, as text."""
    rows = [("accuracy", f"{percent(found.accuracy)}  ({found.right:,} of {len(found.targets):,})")]
    if found.classes > top:
        rows.append((f"top-{top} accuracy", percent(found.top(top))))
    rows.append((found.loss_name, f"{found.loss:.4f}  (scores are {found.meaning})"))
    members = [(visible(m.model), percent(m.accuracy), f"{m.loss:.4f}") for m in found.members]
    return "\n".join(
        [heading(found), *facts(rows), *alone((">accuracy", ">loss"), members), "", *_classes(found), *_confused(found)]
    )


def _classes(found: ClassEvaluation) -> list[str]:
    shown, note = list(found.per_class), []
    if found.classes > MAX_CLASSES_SHOWN:
        shown = sorted((f for f in shown if f.recall is not None), key=lambda f: (f.recall, f.name))[:MAX_CLASSES_SHOWN]
        note = [f"the {len(shown)} classes with the lowest recall, of {found.classes:,}"]
    rows = [
        (visible(f.name), f"{f.samples:,}", f"{f.right:,}", percent(f.recall), percent(f.precision), percent(f.f1))
        for f in shown
    ]
    return [*note, Table(("class", ">samples", ">right", ">recall", ">precision", ">F1"), rows).text()]


def _confused(found: ClassEvaluation) -> list[str]:
    if found.classes <= MAX_CLASSES_SHOWN:
        names = [visible(found.name(number)) for number in range(found.classes)]
        rows = [
            (name, *(str(count) if count else "." for count in row))
            for name, row in zip(names, found.confusion.tolist(), strict=True)
        ]
        table = Table(("true", *(f">{name[:8]}" for name in names)), rows)
        return ["", "true classes in rows, predicted classes in columns", table.text()]
    if not found.confused:
        return []
    rows = [
        (visible(found.name(true)), visible(found.name(given)), f"{count:,}")
        for true, given, count in found.confused[:MAX_PAIRS_SHOWN]
    ]
    note = f"the {len(rows)} most confused pairs, of {len(found.confused):,}"
    return ["", note, Table(("true class", "taken for", ">samples"), rows).text()]
