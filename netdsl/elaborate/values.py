"""Compile-time values: what an expression of the language can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from netdsl.elaborate.program import BlockDefinition
    from netdsl.ir.graph import Node
    from netdsl.layers.base import Layer


class Unknown:
    """What an expression or a tensor is after an error was reported: it silences all that follows from it."""

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
    """A tensor handed on as an argument."""

    node: Node

    def __str__(self) -> str:
        return f"the tensor `{self.node.name}` of shape {self.node.type}"


Value: TypeAlias = Any
"""An `int`, `float`, `Fraction`, `bool`, `str`, `Symbolic`, a tuple of values, or one of the classes above."""


@dataclass(slots=True)
class Environment:
    """Names and their values; an inner one hides the outer's."""

    values: dict[str, Value]
    outer: Environment | None = None

    def find(self, name: str) -> Value | None:
        """The value of a name, or None."""
        here: Environment | None = self
        while here is not None:
            if name in here.values:
                return here.values[name]
            here = here.outer
        return None

    def names(self) -> set[str]:
        """All names that can be seen."""
        return set(self.values) | (self.outer.names() if self.outer else set())
