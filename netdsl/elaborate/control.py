"""Loops, conditions and lists of names: how often a body is carried out, and with which names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.elaborate.values import UNKNOWN, Unknown, Value
from netdsl.layers.arguments import describe
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.base.source import Span
    from netdsl.elaborate.expressions import Evaluator

MAX_TURNS = 100_000


def turns(item: tree.Repeat | tree.For, evaluator: Evaluator) -> Iterator[dict[str, Value]]:
    """Yield the names that each turn of a loop defines; no turn where an earlier error hides their number."""
    if isinstance(item, tree.Repeat):
        count = evaluator.whole(item.count, 0)
        if not isinstance(count, Unknown):
            _check(count, item.count.span)
            for _ in range(count):
                evaluator.spend(1, item.count.span)
                yield {}
        return
    if isinstance(item.items, tree.CountingRange):
        values = _counted(item.items, evaluator)
    else:
        values = evaluator.evaluate(item.items)
    if isinstance(values, Unknown):
        return
    if not isinstance(values, tuple):
        raise fail(
            "E0305",
            f"`for` expected a list, got {describe(values)}",
            item.items.span,
            help=f"to count, write `1..{item.items.span.text}`" if isinstance(values, int) else None,
        )
    for value in values:
        evaluator.spend(1, item.items.span)
        yield unpacked(item.targets, value, item.items.span)


def chosen(item: tree.If, evaluator: Evaluator) -> tree.Body | Unknown | None:
    """The body whose condition holds; None if there is none."""
    choice: tree.If | tree.Body | None = item
    while isinstance(choice, tree.If):
        holds = evaluator.truth(choice.condition)
        if isinstance(holds, Unknown):
            return holds
        choice = choice.body if holds else choice.otherwise
    return choice


def unpacked(targets: tuple[tree.Name, ...], value: Value, span: Span) -> dict[str, Value]:
    """Match the names of a `let` or `for` with their values."""
    if len(targets) == 1:
        return {targets[0].id: value}
    if isinstance(value, Unknown):
        return {target.id: UNKNOWN for target in targets}
    if not isinstance(value, tuple) or len(value) != len(targets):
        found = f"a list of {len(value)}" if isinstance(value, tuple) else describe(value)
        unwanted = len(value) - len(targets) if isinstance(value, tuple) else 0
        raise fail(
            "E0309",
            f"{len(targets)} names need a list of {len(targets)}, got {found}",
            span,
            help=f"add `{', '.join('_' * unwanted)}` to the names for what is not needed" if unwanted > 0 else None,
        )
    return {target.id: item for target, item in zip(targets, value, strict=True)}


def _counted(items: tree.CountingRange, evaluator: Evaluator) -> Value:
    first, last = evaluator.whole(items.first, None), evaluator.whole(items.last, None)
    if isinstance(first, Unknown) or isinstance(last, Unknown):
        return UNKNOWN
    _check(last - first + 1, items.span)
    return tuple(range(first, last + 1))


def _check(count: int, span: Span) -> None:
    if count > MAX_TURNS:
        raise fail("E0704", f"{count:,} repetitions are more than the {MAX_TURNS:,} that netdsl builds", span)
