"""Evaluations as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import visible
from netdsl.base.table import Table

if TYPE_CHECKING:
    from netdsl.evaluation.classes import ClassEvaluation
    from netdsl.evaluation.labels import LabelEvaluation
    from netdsl.evaluation.values import ValueEvaluation

MAX_CLASSES_SHOWN = 20
"""Of more classes no confusion matrix is printed, and only the worst of them are listed."""
MAX_PAIRS_SHOWN = 10


def class_text(found: ClassEvaluation, top: int = 5) -> str:
    """The figures, those of each class, and what is confused with what.

    Args:
        found: the figures.
        top: how many classes the second accuracy allows; left out where there are no more.
    """
    rows = [("accuracy", f"{_percent(found.accuracy)}  ({found.right:,} of {len(found.targets):,})")]
    if found.classes > top:
        rows.append((f"top-{top} accuracy", _percent(found.top(top))))
    rows.append((found.loss_name, f"{found.loss:.4f}  (scores are {found.meaning})"))
    return "\n".join([_head(found), *_facts(rows), *_members(found), "", *_classes(found), *_confused(found)])


def label_text(found: LabelEvaluation) -> str:
    """The figures, and those of each label."""
    facts = _facts(
        [
            ("accuracy", f"{_percent(found.accuracy)}  of all answers"),
            ("all labels right", _percent(found.exact)),
            ("binary cross-entropy", f"{found.loss:.4f}  (scores are {found.meaning})"),
        ]
    )
    rows = [
        (visible(f.name), f"{f.samples:,}", _percent(f.accuracy), _percent(f.recall), _percent(f.precision))
        for f in found.per_label
    ]
    table = Table(("label", ">samples", ">accuracy", ">recall", ">precision"), rows)
    return "\n".join([_head(found), *facts, *_members(found), "", table.text()])


def value_text(found: ValueEvaluation) -> str:
    """The errors."""
    explained = "-" if found.explained is None else f"{found.explained:.4f}"
    rows = [
        ("mean squared error", f"{found.loss:.6g}"),
        ("mean absolute error", f"{found.error:.6g}"),
        ("R squared", explained),
    ]
    table = []
    if found.members:
        alone = [(visible(m.model), f"{m.loss:.6g}", f"{m.error:.6g}") for m in found.members]
        table = ["", Table(("alone", ">squared error", ">absolute error"), alone).text()]
    return "\n".join([_head(found), *_facts(rows), *table])


def _head(found: ClassEvaluation | LabelEvaluation | ValueEvaluation) -> str:
    count = len(found.targets) // found.positions
    positions = f" of {found.positions:,} positions" if found.positions > 1 else ""
    views = f", {found.views} views of each" if found.views > 1 else ""
    return visible(f"{found.model} on {found.data}: {count:,} {found.split} samples{positions}{views}")


def _facts(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def _members(found: ClassEvaluation | LabelEvaluation) -> list[str]:
    if not found.members:
        return []
    rows = [(visible(m.model), _percent(m.accuracy), f"{m.loss:.4f}") for m in found.members]
    return ["", Table(("alone", ">accuracy", ">loss"), rows).text()]


def _classes(found: ClassEvaluation) -> list[str]:
    shown, note = list(found.per_class), []
    if found.classes > MAX_CLASSES_SHOWN:
        shown = sorted((f for f in shown if f.recall is not None), key=lambda f: (f.recall, f.name))[:MAX_CLASSES_SHOWN]
        note = [f"the {len(shown)} classes of the lowest recall, of {found.classes:,}"]
    rows = [
        (visible(f.name), f"{f.samples:,}", f"{f.right:,}", _percent(f.recall), _percent(f.precision), _percent(f.f1))
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


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.2f} %"
