"""Overriding entries of a recipe: `train.lr=0.05`, `train.batch=32`, `train.optimizer=adam lr=1e-3`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.show import show
from netdsl.base.source import Source
from netdsl.elaborate.recipe import check_loss, loss_of, read_entry
from netdsl.elaborate.said import Said
from netdsl.layers.arguments import ArgumentError
from netdsl.layers.base import signature
from netdsl.layers.suggestions import listed, suggestion
from netdsl.recipe.settings import Settings
from netdsl.recipe.words import NUMBERS, WORDS, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.ir.graph import Graph
    from netdsl.layers.arguments import Kind

HOLDERS = ("optimizer", "schedule", "loss", "init")
"""Entries whose arguments can be given by name alone, in the order in which they are searched."""


def override(graph: Graph, changes: Mapping[str, Any]) -> Recipe:
    """Return a net's recipe with entries, or single arguments of entries, replaced.

    Args:
        graph: the net; one without a recipe has the default one.
        changes: by name, without the prefix `train.`: an entry, or an argument of the optimizer, the schedule, the
            loss or the initial values. Strings are parsed by the grammar of the language.

    Raises:
        NetdslError: there is no such entry or argument (E0801), a value or the loss does not fit (E0803), or a string
            has a syntax error (E01xx).
    """
    written = graph.recipe or Recipe()
    entries = dict(written.entries)
    for name, value in changes.items():
        change = value if isinstance(value, Said) else Said.of(Source("changes", f"{name}={_written(value)}"))
        if name in WORDS or name in NUMBERS:
            entries[name] = read_entry(change.entry(), change.evaluator())
            continue
        current = Settings.of(Recipe(entries))
        words = {holder: getattr(current, holder) for holder in HOLDERS}
        owner = next((holder for holder, word in words.items() if name in _fields(word)), None)
        if owner is None:
            known = [*WORDS, *NUMBERS, *(field for word in words.values() for field in _fields(word))]
            raise fail(
                "E0801",
                f"a recipe has no `{name}`",
                change.key,
                help=suggestion(name, known) or f"this one has {listed(known)}",
            )
        given = change.word or change.value()
        try:
            entries[owner] = (replace(words[owner], **{name: _fields(words[owner])[name].convert(given)}),)
        except ArgumentError as error:
            raise fail(error.code, f"`train.{name}`: {error}", change.span, help=error.help) from None
    changed = Recipe({**entries, "loss": (loss_of(Recipe(entries), graph),)}, written.spans)
    check_loss(changed, graph)
    return changed


def _written(value: Any) -> str:
    """Return a value as the language writes it; a string is returned as it is."""
    return value if isinstance(value, str) else show(tuple(value) if isinstance(value, list) else value)


def _fields(word: Any) -> dict[str, Kind]:
    cls: type = type(word)
    return {field.name: field.kind for field in signature(cls)}
