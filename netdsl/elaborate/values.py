"""Compile-time values: the types of the values of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from netdsl.elaborate.module import BlockDefinition
    from netdsl.ir.graph import Node
    from netdsl.layers.base import Layer


class Unknown:
    """The value of an expression or a tensor after a reported error; it suppresses errors that follow from it."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class BlockValue:
    """The name of a block, as a value."""

    definition: BlockDefinition

    def __str__(self) -> str:
        return f"the block `{self.definition.declaration.name}`"


@dataclass(frozen=True, slots=True)
class LayerValue:
    """The name of a layer, as a value."""

    layer: type[Layer]

    def __str__(self) -> str:
        return f"the layer `{self.layer.kind}`"


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A tensor passed as an argument."""

    node: Node

    def __str__(self) -> str:
        return f"the tensor `{self.node.name}` of shape {self.node.type}"


Value: TypeAlias = Any
"""An `int`, `float`, `Fraction`, `bool`, `str`, `Symbolic`, a tuple of values, or one of the classes above."""
