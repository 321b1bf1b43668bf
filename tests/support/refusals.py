"""What a layer refuses, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netdsl.layers.base import Layer, LayerError

if TYPE_CHECKING:
    from netdsl.ir.types import TensorType


def refused(layer: Layer, *types: TensorType, match: str | None = None) -> LayerError:
    """The error with which a layer refuses inputs of these types."""
    with pytest.raises(LayerError, match=match) as caught:
        layer.inferred(*types)
    return caught.value


def refuses(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    """A layer refuses an input with this code, at this argument, with a remedy that has these words."""
    found = refused(layer, type_)
    assert (found.code, found.argument) == (code, argument)
    assert remedy in (found.help or "")
