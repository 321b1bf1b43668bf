"""Layers and the words of recipes in the syntax of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netdsl.base.show import show
from netdsl.layers.base import signature

if TYPE_CHECKING:
    from netdsl.layers.base import Field

SHORT_FORMS = {"k", "s", "p", "d", "g"}
"""Arguments that may be written with their number attached: `k3`."""


def written(name: str, word: Any) -> str:
    """A layer, or a word of a recipe, with the arguments that differ from their defaults: `conv 64 k7 s2 p3`."""
    cls: type = type(word)
    given = [(field, getattr(word, field.name)) for field in signature(cls)]
    return " ".join([name, *(_argument(field, value) for field, value in given if value != field.default)])


def usage(name: str, cls: type) -> str:
    """The signature on one line, with the defaults: `conv out k s=1 p=0`."""
    fields = signature(cls)
    return " ".join([name, *(f.name if f.required else f"{f.name}={_word(f, f.default)}" for f in fields)])


def _argument(field: Field, value: Any) -> str:
    if field.name in SHORT_FORMS and isinstance(value, int):
        return f"{field.name}{value}"
    if field.name in SHORT_FORMS and isinstance(value, tuple) and min(value) >= 0:
        return field.name + "x".join(map(str, value))
    text = _word(field, value)
    return text if field.required else f"{field.name}={text}"


def _word(field: Field, value: Any) -> str:
    return value if isinstance(value, str) and value in field.kind.words else show(value)
