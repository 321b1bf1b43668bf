"""Answers with one class for each sample, and the figures that follow from them."""

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
"""Of more classes no confusion matrix is printed, and only the worst of them are listed."""
MAX_PAIRS_SHOWN = 10


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class; a figure that divides by no samples is None.

    Attributes:
        name: its name, or its number where it has none.
        samples: how many belong to it.
        right: how many of them were found.
        recall: the part of its samples that was found, which is also called its accuracy.
        precision: the part of the samples taken for it that belongs to it.
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
        targets: the true class of each sample (of each position of it, where the model answers for positions).
        logs: logarithms of the probabilities, samples x classes; of scores that are no probabilities, the scores, and
            of distances what they are below 0.
        paired: whether one answer of yes or no tells two classes, of which the second is yes.
    """

    paired: bool = False

    @property
    def classes(self) -> int:
        """Their number."""
        return int(self.logs.shape[1])

    @cached_property
    def predicted(self) -> Array:
        """The most likely class of each sample; of equally likely ones the first."""
        classes: Array = self.logs.argmax(1)
        return classes

    @property
    def right(self) -> int:
        """Samples whose most likely class is the true one."""
        return int((self.predicted == self.targets).sum())

    @property
    def accuracy(self) -> float:
        """The part that is right."""
        return self.right / len(self.targets)

    def top(self, count: int) -> float:
        """The part whose true class is among the `count` most likely; of equally likely ones the first come first."""
        own = self.logs[np.arange(len(self.targets)), self.targets][:, None]
        earlier = np.arange(self.classes) < self.targets[:, None]
        ahead = (self.logs > own) | ((self.logs == own) & earlier)
        return float((ahead.sum(1) < count).mean())

    @property
    def loss_name(self) -> str:
        """The loss that suits the scores: cross-entropy, or binary cross-entropy where each class has a sigmoid.

        That of scores is half the squared distance to the one-hot target, that of distances the one of the true class.
        """
        if Gives(self.meaning).yes_or_no:
            return "binary cross-entropy"
        names = {Gives.SCORES: "half squared distance", Gives.DISTANCES: "distance"}
        return names.get(Gives(self.meaning), "cross-entropy")

    @property
    def probable(self) -> bool:
        """Whether the model tells how likely its classes are."""
        return Gives(self.meaning) not in (Gives.SCORES, Gives.DISTANCES)

    @cached_property
    def loss(self) -> float:
        """Its mean over the samples, and for binary cross-entropy over the classes; entropies in nats."""
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
        """The name of a class, or its number where it has none."""
        return self.labels[number] if self.labels else str(number)

    @cached_property
    def per_class(self) -> tuple[ClassFigures, ...]:
        """The figures of each class."""
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
        """How many samples of each class (row) were taken for each class (column); int64, classes x classes."""
        flat = np.bincount(self.targets * self.classes + self.predicted, minlength=self.classes**2)
        return flat.reshape(self.classes, self.classes)

    @cached_property
    def confused(self) -> tuple[tuple[int, int, int], ...]:
        """True class, class it was taken for, and how often, of all pairs that differ; the most frequent first."""
        wrong = self.predicted != self.targets
        pairs, counts = np.unique(self.targets[wrong] * self.classes + self.predicted[wrong], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return tuple(
            (int(pair) // self.classes, int(pair) % self.classes, int(count))
            for pair, count in zip(pairs[order], counts[order], strict=True)
        )

    @cached_property
    def wrong(self) -> Array:
        """The numbers of the samples that were taken for another class; the surest mistakes first."""
        numbers = np.flatnonzero(self.predicted != self.targets)
        return numbers[np.argsort(-self.logs[numbers].max(1), kind="stable")]

    def as_json(self, top: int = 5) -> dict[str, Any]:
        """A JSON object; `confused` has all pairs of different classes that were met."""
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
        """The figures as text; `top` is how many classes the second accuracy allows."""
        return _text(self, top)

    def __str__(self) -> str:
        return self.text()


def _text(found: ClassEvaluation, top: int) -> str:
    """The figures, those of each class, and what is confused with what."""
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
        note = [f"the {len(shown)} classes of the lowest recall, of {found.classes:,}"]
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
        return ["", "true classes in rows, what they were taken for in columns", table.text()]
    if not found.confused:
        return []
    rows = [
        (visible(found.name(true)), visible(found.name(given)), f"{count:,}")
        for true, given, count in found.confused[:MAX_PAIRS_SHOWN]
    ]
    note = f"the {len(rows)} pairs confused most, of {len(found.confused):,}"
    return ["", note, Table(("true class", "taken for", ">samples"), rows).text()]
