"""Lines of PyTorch and Keras in a `.net` file, and how they are written here."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import fields
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic, NetdslError
from netdsl.base.naming import is_name
from netdsl.base.source import Span
from netdsl.layers.base import LAYERS
from netdsl.layers.suggestions import ARGUMENTS_ELSEWHERE, layer_called

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.base.source import Source
    from netdsl.layers.base import Layer

MAX_LINE = 500
"""The longest line, in characters, that is read as Python."""
TENSORS = ("x", "y", "out", "h", "model", "net", "outputs")
"""Names that programs give to the current tensor; they are no labels."""
LEFT_OUT = ("inplace", "input_shape", "name", "device", "dtype", "in_channels", "in_features", "num_features",
            "input_size", "batch_first", "data_format", "input_dim")  # fmt: skip
"""Arguments of other frameworks that have no meaning here."""
SHORT = "kspdg"
"""Arguments that are written without `=`."""


class NotTranslatedError(Exception):
    """A line is no line of PyTorch or Keras, or cannot be written here."""


def explained(error: NetdslError, source: Source) -> NetdslError:
    """Return syntax errors with those in lines of Python replaced by the line to write."""
    found: list[Diagnostic] = []
    text = source.text
    for wrong in error.diagnostics:
        at = wrong.span.start if wrong.span is not None else 0
        start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        line = text[start : end if end >= 0 else len(text)]
        try:
            written = translated(line.strip())
        except NotTranslatedError:
            found.append(wrong)
        else:
            start += len(line) - len(line.lstrip())
            span = Span(source, start, start + len(line.strip()))
            found.append(Diagnostic("E0101", "this is a line of Python", span, help=f"write `{written}`"))
    return NetdslError(found, error.more)


def translated(line: str) -> str:
    """Translate a line of PyTorch or Keras.

    `self.conv1 = nn.Conv2d(3, 16, 3, padding=1)` gives `conv1: conv 16 k3 p1`.

    Raises:
        NotTranslatedError: it is something else.
    """
    if len(line) > MAX_LINE or "(" not in line:
        raise NotTranslatedError
    sequence = re.fullmatch(r"(?:(?:self\.)?(\w+)\s*[=:]\s*)?(?:\w+\.)*Sequential\s*\(\[?(.*?)\]?\)", line)
    if sequence is not None and "(" not in sequence[2] and "," in sequence[2]:
        return _labelled(sequence[1], [item.strip() for item in sequence[2].split(",")])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python, about the line: `"\\d"`
            (statement,) = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotTranslatedError from None
    label: str | None = None
    match statement:
        case ast.Assign(targets=[ast.Name(id=str(name)) | ast.Attribute(attr=str(name))], value=value):
            label = name
        case ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
            pass
        case _:
            raise NotTranslatedError
    return _labelled(label, [*_chain(value)])


def _labelled(label: str | None, layers: list[str]) -> str:
    chain = " -> ".join(layers)
    if label is None or not is_name(label) or label in TENSORS:
        return chain
    return f"{label}: [ {chain} ]" if len(layers) > 1 else f"{label}: {chain}"


def _chain(value: ast.expr) -> Iterator[str]:
    """Yield the layers of an expression, in the order of the data."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Call):  # `Dense(10)(x)`
        value = value.func
    if not isinstance(value, ast.Call):
        raise NotTranslatedError
    name = _last(value.func)
    if name == "add" and len(value.args) == 1:  # `model.add(Dense(10))`
        yield from _chain(value.args[0])
        return
    if name == "Sequential":
        first = value.args[0] if len(value.args) == 1 else None
        for item in first.elts if isinstance(first, ast.List) else value.args:
            yield from _chain(item)
        return
    kind = layer_called(name)
    if kind is not None and LAYERS[kind].joins():
        first = value.args[0] if value.args else None
        named = first.elts if isinstance(first, ast.List | ast.Tuple) else value.args
        words = [str(_plain_value(item)) for item in named if isinstance(item, ast.Name)]
        if len(words) != len(named) or len(words) < 2:
            raise NotTranslatedError
        yield f"{kind} {{ {' ; '.join(f'@{word}' for word in words)} }}"
        return
    if kind is None or (kind == name and not isinstance(value.func, ast.Attribute)):
        raise NotTranslatedError
    keras = name[-2:] in ("1D", "2D", "3D") or name == "Dense"
    layer = LAYERS[kind]
    given = _given(layer, value, _order(layer, keras=keras, function=name.islower()))
    activation = given.pop("activation", None)
    yield " ".join([kind, *_arguments(layer, given)])
    if activation is not None:
        yield str(_plain_value(activation))


def _last(function: ast.expr) -> str:
    """Return the last name of `nn.Conv2d`; the methods of an object are something else."""
    match function:
        case ast.Attribute(value=ast.Name(id="self")):
            raise NotTranslatedError
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    raise NotTranslatedError


def _order(layer: type[Layer], *, keras: bool, function: bool) -> tuple[str | None, ...]:
    """Return the positional arguments of a module of PyTorch, of a layer of Keras, or of a function."""
    own = tuple(field.name for field in fields(layer))
    if keras:
        return own
    return (None, *own) if function else layer.torch_order if layer.torch_order is not None else own


def _given(layer: type[Layer], call: ast.Call, order: tuple[str | None, ...]) -> dict[str, ast.expr]:
    """Return the arguments of a call by their names here."""
    own = [field.name for field in fields(layer)]
    if len(call.args) > len(order):
        raise NotTranslatedError
    given = {name: value for name, value in zip(order, call.args, strict=False) if name is not None}
    for keyword in call.keywords:
        name = keyword.arg or ""
        name = name if name in own else ARGUMENTS_ELSEWHERE.get(name, name)
        if name in own or name == "activation":
            given[name] = keyword.value
        elif keyword.arg not in LEFT_OUT:
            raise NotTranslatedError
    return {name: given[name] for name in (*own, "activation") if name in given}


def _arguments(layer: type[Layer], given: dict[str, ast.expr]) -> Iterator[str]:
    """Yield arguments as they are written: those that need no name, then sizes such as `k3`, then the others."""
    for number, (name, value) in enumerate(given.items()):
        plain = _plain_value(value)
        named = fields(layer)[number].name != name
        if name in SHORT and isinstance(plain, int | list) and not isinstance(plain, bool):
            sizes = plain if isinstance(plain, list) else [plain]
            yield name + "x".join(map(str, sizes[:1] if len(set(sizes)) == 1 else sizes))
        else:
            text = "yes" if plain is True else "no" if plain is False else str(plain)
            yield f"{name}={text}" if named or isinstance(plain, bool | str) else text


def _plain_value(value: ast.expr) -> bool | int | float | str | list[int]:
    """Return a number, a truth value, a name or a tuple of sizes."""
    match value:
        case ast.Constant(value=bool() | int() | float() as constant):
            return constant
        case ast.Constant(value=str(word)) | ast.Name(id=word) | ast.Attribute(attr=word) if is_name(word):
            return word
        case ast.Tuple(elts=items) | ast.List(elts=items):
            sizes = [item.value for item in items if isinstance(item, ast.Constant) and type(item.value) is int]
            if len(sizes) == len(items) > 0:
                return sizes
    raise NotTranslatedError
