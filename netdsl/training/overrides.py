"""Changes of a recipe from outside: `train.lr=0.05`, `train.batch=32`, `train.optimizer=adam lr=1e-3`."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netdsl.arguments import ArgumentError
from netdsl.compiler import check_text
from netdsl.diagnostics import fail
from netdsl.elaborate.recipe import check_loss, loss_of
from netdsl.elaborate.suggestions import listed, suggestion
from netdsl.layer import signature
from netdsl.recipe import NUMBERS, WORDS, Recipe
from netdsl.training.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.arguments import Kind
    from netdsl.ir.graph import Graph

HOLDERS = ("optimizer", "schedule", "loss", "init")
"""Entries whose arguments can be called by their names alone, in the order in which they are looked at."""


def override(graph: Graph, changes: Mapping[str, Any]) -> Recipe:
    """A net's recipe with entries, or single arguments of its entries, replaced.

    Args:
        graph: the net; one without a recipe has the default one.
        changes: by name, without `train.` before it: an entry as the language writes it, or a value for an argument
            that the optimizer, the schedule, the loss or the initial values have.

    Raises:
        NetdslError: there is no such entry or argument (E0801), a value or the loss does not fit (E0803).
    """
    written = graph.recipe or Recipe()
    entries = dict(written.entries)
    for name, value in changes.items():
        if name in WORDS or name in NUMBERS:
            entries[name] = _entry(name, value)
            continue
        current = Settings.of(Recipe(entries))
        words = {holder: getattr(current, holder) for holder in HOLDERS}
        owner = next((holder for holder, word in words.items() if name in _fields(word)), None)
        if owner is None:
            known = [*WORDS, *NUMBERS, *(field for word in words.values() for field in _fields(word))]
            raise fail(
                "E0801",
                f"a recipe has no `{name}`",
                help=suggestion(name, known) or f"this one has {listed(known)}",
            )
        try:
            entries[owner] = (replace(words[owner], **{name: _fields(words[owner])[name].convert(_constant(value))}),)
        except ArgumentError as error:
            raise fail(error.code, f"`train.{name}`: {error}", help=error.help) from None
    changed = Recipe({**entries, "loss": (loss_of(Recipe(entries), graph),)}, written.spans)
    check_loss(changed, graph)
    return changed


def _entry(name: str, value: Any) -> tuple[Any, ...]:
    text = str(value)
    graph = check_text(f"net n {{ input x: 1; identity; train {{ {name} {text} }} }}", f"--set train.{name}").graph
    items: tuple[Any, ...] = graph.recipe.entries[name]
    return items


def _constant(value: Any) -> Any:
    """A value as the command line gives it: text of a number, of a list, or of `yes` and `no`."""
    if not isinstance(value, str) or value in ("yes", "no"):
        return value == "yes" if isinstance(value, str) else value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _fields(word: Any) -> dict[str, Kind]:
    cls: type = type(word)
    return {field.name: field.kind for field in signature(cls)}
