"""The cases of conformance: what the tests of layers hand to `conform`, gathered without running it."""

from __future__ import annotations

from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import onnx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import numpy as np
    from pytest import Mark  # noqa: PT013 - a type

    from netdsl.layers.base import Layer


class Case(NamedTuple):
    """One call of `conform`."""

    layer: Layer
    inputs: tuple[np.ndarray, ...]


@cache
def cases() -> tuple[Case, ...]:
    """The cases of all files `test_layers_*.py`."""
    paths = sorted((Path(__file__).parents[1] / "layers").glob("test_layers_*.py"))
    return tuple(chain.from_iterable(_cases_of(_loaded(path)) for path in paths))


def _loaded(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"cases of {path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _cases_of(module: ModuleType) -> list[Case]:
    """Call each test that calls `conform`, with each of its parameters, and stop where it looks at the result.

    A test that fails before it calls `conform` is an error: its cases would be missed.
    """
    found: list[Case] = []

    def record(layer: Layer, *inputs: np.ndarray, **_: Any) -> onnx.ModelProto:
        found.append(Case(layer, inputs))
        return onnx.ModelProto()

    if not hasattr(module, "conform"):
        return []
    module.conform = record
    for name, test in list(vars(module).items()):
        if name.startswith("test_") and "conform" in test.__code__.co_names:
            for arguments in _arguments(test):
                before = len(found)
                try:
                    test(**arguments)
                except Exception:
                    if len(found) == before:
                        raise
    return found


def _arguments(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for chosen in product(*map(_choices, marks)):
        yield dict(chain.from_iterable(chosen))


def _choices(mark: Mark) -> list[list[tuple[str, Any]]]:
    """The arguments that a `parametrize` gives, by name."""
    names, values = mark.args
    if isinstance(names, str):
        return [[(names, value)] for value in values]
    return [list(zip(names, value, strict=True)) for value in values]
