"""The place of a statement, and the current tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from netdsl.base.diagnostics import fail
from netdsl.elaborate.environment import Environment
from netdsl.elaborate.values import TensorValue, Unknown, Value
from netdsl.ir.graph import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.base.source import Span
    from netdsl.elaborate.callee import Bound
    from netdsl.elaborate.module import BlockDefinition, Module
    from netdsl.elaborate.names import Names
    from netdsl.layers.base import Layer

Tensor: TypeAlias = Node | Unknown | None
"""The current tensor: None before any input, `UNKNOWN` after an error."""

Defaults: TypeAlias = "dict[BlockDefinition | type[Layer], dict[str, Bound]]"
"""Evaluated `default` arguments by layer or block; they apply even if a parameter holds the layer or block."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a statement.

    Attributes:
        module: the file, whose blocks can be called.
        environment: parameters, `let` names and loop variables.
        names: the scope of new members.
        defaults: the default arguments of calls.
        depth: the number of bodies around it.
    """

    module: Module
    environment: Environment
    names: Names
    defaults: Defaults
    depth: int

    def inner(self, names: Names, values: Mapping[str, Value] | None = None) -> Place:
        """The place of a body inside this one: with its own names, and the defaults so far."""
        environment = Environment(dict(values or {}), self.environment)
        return Place(self.module, environment, names, dict(self.defaults), self.depth + 1)

    def onwards(self) -> Place:
        """A copy for a `let` or `default` to change, so that a `reuse` of earlier elements does not see the change."""
        environment = Environment(dict(self.environment.values), self.environment.outer)
        return replace(self, environment=environment, defaults=dict(self.defaults))


def check_label(place: Place, label: str, span: Span) -> None:
    """Refuse a label that is the name of a tensor argument: `@label` would mean two tensors (E0204)."""
    if isinstance(place.environment.find(label), TensorValue):
        raise fail(
            "E0204",
            f"`{label}` is the name of a tensor argument",
            span,
            help=f"choose another label: `@{label}` would mean two tensors",
        )


def need(current: Tensor, span: Span) -> Node | Unknown:
    """The current tensor, for a statement that needs one.

    Raises:
        NetdslError: there is none (E0502).
    """
    if current is None:
        raise fail(
            "E0502",
            "no tensor arrives here",
            span,
            help="begin the net with `input image: 3x224x224`, or the chain with `@label`",
        )
    return current
