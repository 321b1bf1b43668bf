"""The reference of layers and of the words of recipes, made from their signatures and docstrings."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from inspect import cleandoc, getmodule
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.show import show
from netdsl.layers.base import LAYERS, signature
from netdsl.layers.suggestions import composed, layer_called
from netdsl.layers.written import usage, written
from netdsl.recipe.settings import Settings
from netdsl.recipe.words import NUMBERS, PURPOSES, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Field, Layer


@dataclass(frozen=True)
class Entry:
    """The reference of one layer, or of one word of a recipe.

    Attributes:
        name: its name in the language.
        family: the family of the layer, or the purpose of the word's entry, in a few words.
        call: its signature on one line, `conv out k s=1 p=0`.
        fields: its parameters.
        text: the docstring.
    """

    name: str
    family: str
    call: str
    fields: tuple[Field, ...]
    text: str

    @property
    def first(self) -> str:
        """Its description in one line."""
        return self.text.split("\n\n")[0].replace("\n", " ").partition(" Source: ")[0]

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object; a default is written as in the language, or null if there is none."""
        return {
            "name": self.name,
            "family": self.family,
            "call": self.call,
            "arguments": [
                {"name": f.name, "kind": f.kind.name, "default": None if f.required else show(f.default)}
                for f in self.fields
            ],
            "text": self.text,
        }


def layers() -> list[Entry]:
    """Return every layer of the language, family by family."""
    import netdsl.layers  # noqa: F401, PLC0415 - fills LAYERS; only the reference and the elaborator need all layers

    return [_entry(name, layer, _family(layer)) for name, layer in LAYERS.items()]


def words() -> list[Entry]:
    """Return every word of a recipe, entry by entry, followed by the entries that are numbers."""
    chosen = [_entry(word, cls, _purpose(key)) for key, known in WORDS.items() for word, cls in known.items()]
    return chosen + [_entry(key, cls, "Numbers", _unless_given(key)) for key, cls in NUMBERS.items()]


REFERENCES: dict[str, Callable[[], list[Entry]]] = {"layers": layers, "recipe": words}
"""The references, by the commands that print them."""


def find(command: str, name: str) -> Entry:
    """Return the entry of a name in the reference of a command.

    Raises:
        NetdslError: there is no entry of this name (E0201, E0801).
    """
    known = {entry.name: entry for entry in REFERENCES[command]()}
    if name in known:
        return known[name]
    other = next((other for other in REFERENCES if name in {entry.name for entry in REFERENCES[other]()}), None)
    near = get_close_matches(name, known, n=3)
    if command == "layers" and (kind := layer_called(name)) is not None:
        near = [kind]
    if other is not None:
        remedy = f"`netdsl {other} {name}` describes it"
    elif command == "layers" and (line := composed(name)) is not None:
        remedy = line
    elif near:
        remedy = f"did you mean {' or '.join(f'`{word}`' for word in near)}?"
    else:
        remedy = f"`netdsl {command}` lists all"
    code, noun = ("E0201", "layer") if command == "layers" else ("E0801", "word of a recipe")
    raise fail(code, f"no {noun} is called `{name}`", help=remedy)


def _entry(name: str, cls: type, family: str, addition: str = "") -> Entry:
    return Entry(name, family, usage(name, cls), signature(cls), cleandoc(cls.__doc__ or "") + addition)


def _family(layer: type[Layer]) -> str:
    """Return the first docstring line of the file that defines a layer."""
    module = getmodule(layer)
    return (cleandoc(module.__doc__ or "") if module else "").split("\n")[0].rstrip(".")


def _purpose(key: str) -> str:
    default = getattr(Settings(), key)
    usual = [written(word, default) for word, cls in WORDS[key].items() if type(default) is cls]
    return f"`{key}`: {PURPOSES[key]}" + "".join(f"; `{word}` unless given" for word in usual)


def _unless_given(key: str) -> str:
    default = getattr(Settings(), key)
    return "" if default is None else f" {show(default)} unless given."
