"""The reference of layers, read off their signatures and docstrings; and a layer as the language writes it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from inspect import cleandoc, getmodule
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import fail
from netdsl.layer import LAYERS, signature
from netdsl.show import show

if TYPE_CHECKING:
    from netdsl.layer import Field, Layer

SHORT_FORMS = {"k", "s", "p", "d", "g"}
"""Arguments that may be written with their number attached: `k3`."""


@dataclass(frozen=True)
class Entry:
    """What the reference says of one layer.

    Attributes:
        name: the layer's name in the language.
        family: what the layers of its file have in common, in a few words.
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


def entries() -> list[Entry]:
    """Every layer of the language, family by family."""
    import netdsl.layers  # noqa: F401, PLC0415 - fills LAYERS; only the reference and the elaborator need all layers

    return [_entry(layer) for layer in LAYERS.values()]


def entry(name: str) -> Entry:
    """The entry of one layer.

    Raises:
        NetdslError: no layer is called that (E0201).
    """
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        near = get_close_matches(name, known, n=3)
        raise fail(
            "E0201",
            f"no layer is called `{name}`",
            help=f"did you mean {' or '.join(f'`{word}`' for word in near)}?" if near else "`netdsl layers` lists them",
        )
    return known[name]


def written(layer: Layer) -> str:
    """A layer with the arguments that differ from their defaults: `conv 64 k7 s2 p3`."""
    pieces = [layer.kind]
    cls: type = type(layer)
    for field in signature(cls):
        value = getattr(layer, field.name)
        if field.required or value != field.default:
            pieces.append(_argument(field, value))
    return " ".join(pieces)


def _argument(field: Field, value: Any) -> str:
    if field.name in SHORT_FORMS and isinstance(value, int):
        return f"{field.name}{value}"
    if field.name in SHORT_FORMS and isinstance(value, tuple) and min(value) >= 0:
        return field.name + "x".join(map(str, value))
    text = value if isinstance(value, str) and value in field.kind.words else show(value)
    return text if field.required else f"{field.name}={text}"


def _entry(layer: type[Layer]) -> Entry:
    cls: type = layer
    fields = signature(cls)
    words = [f.name if f.required else f"{f.name}={_default(f)}" for f in fields]
    module = getmodule(layer)
    family = (cleandoc(module.__doc__ or "") if module else "").split("\n")[0].rstrip(".")
    return Entry(layer.kind, family, " ".join([layer.kind, *words]), fields, cleandoc(layer.__doc__ or ""))


def _default(field: Field) -> str:
    value = field.default
    return value if isinstance(value, str) and value in field.kind.words else show(value)
