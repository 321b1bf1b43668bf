"""Checking of `train` blocks against the vocabulary of `netdsl.recipe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.binding import Callee, match, require
from netdsl.elaborate.suggestions import listed, suggestion
from netdsl.recipe import NUMBERS, WORDS, Recipe
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.elaborate.expressions import Evaluator


def check_recipe(train: tree.Train, evaluator: Evaluator) -> Recipe:
    """The recipe that a `train` block describes.

    Raises:
        NetdslError: every entry or word that is unknown (E0801), and every argument that does not fit, at once.
    """
    entries: dict[str, tuple[Any, ...]] = {}
    errors: list[Diagnostic] = []
    for entry in train.entries:
        try:
            if entry.key in entries:
                raise fail("E0304", f"`{entry.key}` is given twice", entry.key_span)
            entries[entry.key] = _entry(entry, evaluator)
        except NetdslError as error:
            errors += error.diagnostics
    if errors:
        raise NetdslError(errors)
    return Recipe(entries)


def _entry(entry: tree.TrainEntry, evaluator: Evaluator) -> tuple[Any, ...]:
    if entry.key in NUMBERS:
        if len(entry.items) != 1:
            raise fail("E0802", f"`{entry.key}` takes one number, not {len(entry.items)}", entry.span)
        return (_make(entry.key, NUMBERS[entry.key], entry.items[0].arguments, entry.items[0], evaluator),)
    if entry.key not in WORDS:
        known = [*WORDS, *NUMBERS]
        raise fail(
            "E0801",
            f"a recipe has no entry `{entry.key}`",
            entry.key_span,
            help=suggestion(entry.key, known) or f"it has {listed(known)}",
        )
    if not entry.items:
        raise fail("E0802", f"`{entry.key}` says nothing", entry.span, help=f"it takes {listed(WORDS[entry.key])}")
    if len(entry.items) > 1 and entry.key != "augment":
        raise fail("E0802", f"`{entry.key}` takes one choice, not {len(entry.items)}", entry.span)
    return tuple(_item(entry.key, item, evaluator) for item in entry.items)


def _item(key: str, item: tree.TrainItem, evaluator: Evaluator) -> Any:
    known = WORDS[key]
    first = item.arguments[0] if item.arguments else None
    if first is None or first.key is not None or not isinstance(first.value, tree.Name):
        raise fail("E0802", f"`{key}` begins with a word", item.span, help=f"it is one of {listed(known)}")
    word = first.value.id
    if word not in known:
        raise fail(
            "E0801",
            f"`{word}` is no {key}",
            first.span,
            help=suggestion(word, known) or f"it is one of {listed(known)}",
        )
    return _make(word, known[word], item.arguments[1:], item, evaluator)


def _make(
    name: str, cls: type, arguments: tuple[tree.Argument, ...], item: tree.TrainItem, evaluator: Evaluator
) -> Any:
    callee = Callee.of_dataclass(name, cls)
    bound = match(callee, arguments, evaluator)
    require(callee, bound, item.span)
    return cls(**{key: argument.value for key, argument in bound.items()})
