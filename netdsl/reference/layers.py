"""The reference of layers and of the words of recipes, read off their signatures and docstrings."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from inspect import cleandoc, getmodule
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.show import show
from netdsl.layers.base import LAYERS, signature
from netdsl.layers.written import usage, written
from netdsl.recipe.settings import Settings
from netdsl.recipe.words import NUMBERS, PURPOSES, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Field, Layer


@dataclass(frozen=True)
class Entry:
    """What the reference says of one layer, or of one word of a recipe.

    Attributes:
        name: its name in the language.
        family: what the layers of its file have in common, or what the words of its entry do, in a few words.
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
        """What it is, in one line."""
        return self.text.split("\n\n")[0].replace("\n", " ").partition(" Source: ")[0]

    def as_json(self) -> dict[str, Any]:
        """A JSON object; a default is written as in the language, null where there is none."""
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
    """Every layer of the language, family by family."""
    import netdsl.layers  # noqa: F401, PLC0415 - fills LAYERS; only the reference and the elaborator need all layers

    return [_entry(name, layer, _family(layer)) for name, layer in LAYERS.items()]


def words() -> list[Entry]:
    """Every word of a recipe, entry by entry, and then the entries that are a number."""
    chosen = [_entry(word, cls, _purpose(key)) for key, known in WORDS.items() for word, cls in known.items()]
    return chosen + [_entry(key, cls, "Numbers", _unless_given(key)) for key, cls in NUMBERS.items()]


REFERENCES: dict[str, Callable[[], list[Entry]]] = {"layers": layers, "recipe": words}
"""What is described, by the command that describes it."""


def find(command: str, name: str) -> Entry:
    """The entry that a command of `REFERENCES` shows.

    Raises:
        NetdslError: nothing there is called that (E0201, E0801).
    """
    known = {entry.name: entry for entry in REFERENCES[command]()}
    if name in known:
        return known[name]
    other = next((other for other in REFERENCES if name in {entry.name for entry in REFERENCES[other]()}), None)
    near = get_close_matches(name, known, n=3)
    if other is not None:
        remedy = f"`netdsl {other} {name}` describes it"
    elif near:
        remedy = f"did you mean {' or '.join(f'`{word}`' for word in near)}?"
    else:
        remedy = f"`netdsl {command}` lists what there is"
    code, noun = ("E0201", "layer") if command == "layers" else ("E0801", "word of a recipe")
    raise fail(code, f"no {noun} is called `{name}`", help=remedy)


def _entry(name: str, cls: type, family: str, addition: str = "") -> Entry:
    return Entry(name, family, usage(name, cls), signature(cls), cleandoc(cls.__doc__ or "") + addition)


def _family(layer: type[Layer]) -> str:
    """The first line of the file that a layer stands in."""
    module = getmodule(layer)
    return (cleandoc(module.__doc__ or "") if module else "").split("\n")[0].rstrip(".")


def _purpose(key: str) -> str:
    default = getattr(Settings(), key)
    usual = [written(word, default) for word, cls in WORDS[key].items() if type(default) is cls]
    return f"`{key}`: {PURPOSES[key]}" + "".join(f"; `{word}` unless given" for word in usual)


def _unless_given(key: str) -> str:
    default = getattr(Settings(), key)
    return "" if default is None else f" {show(default)} unless given."
