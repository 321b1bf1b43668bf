"""The state shared by all parts of one elaboration: errors, nodes, and the evaluation of expressions and labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.base.naming import need_step
from netdsl.elaborate.errors import LAYER, MAX_BLOCK_DEPTH, PARAM, Budget, Errors
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.nodes import Nodes
from netdsl.elaborate.values import TensorValue, Unknown
from netdsl.ir.dim import Symbolic
from netdsl.layers.arguments import describe
from netdsl.syntax.parser import never_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.base.source import Span
    from netdsl.elaborate.callee import Bound
    from netdsl.elaborate.module import Module
    from netdsl.elaborate.names import Member, Names
    from netdsl.elaborate.nodes import MemberSpot
    from netdsl.elaborate.observer import Observer
    from netdsl.elaborate.place import Defaults, Place, Tensor
    from netdsl.elaborate.values import Value
    from netdsl.ir.graph import Node
    from netdsl.layers.base import Layer
    from netdsl.syntax import tree


class Elaboration(ABC):
    """The state of an elaboration, and queries at a place that carry out no statement."""

    def __init__(self, budget: Budget, observer: Observer | None) -> None:
        self.errors = Errors(budget)
        self.observer = observer
        self.nodes = Nodes()
        self.outputs: dict[str, Node | Unknown] = {}
        self.aux: dict[str, Node | Unknown] = {}
        self.file_defaults: dict[tuple[Module, int], Defaults] = {}
        """The first defaults of a file, by the file and their number."""

    @abstractmethod
    def inside(
        self,
        place: Place,
        names: Names,
        body: tree.Body,
        current: Tensor,
        span: Span,
        values: Mapping[str, Value] | None = None,
    ) -> Tensor:
        """Carry out a body in a scope, with further names defined in it."""

    @abstractmethod
    def chain(self, place: Place, chain: tree.Chain, current: Tensor) -> Tensor:
        """Carry out a chain, and return its last tensor."""

    @abstractmethod
    def guarded(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement other than a chain; after an error, the names that it defines are unknown."""

    def evaluator(self, place: Place, current: Tensor) -> Evaluator:
        """The evaluator of expressions at a place."""
        spend = partial(self.errors.spend, place.names.scope)
        return Evaluator(place.module, place.environment, spend, current, partial(self.tensor, place, current))

    def tensor(self, place: Place, current: Tensor, reference: tree.Reference) -> Node | Unknown:
        """The tensor that `@label` stands for: the output of a labelled element, or the value of a parameter."""
        if len(reference.parts) == 1 and reference.parts[0].index is None:
            value = place.environment.find(reference.parts[0].name)
            if isinstance(value, TensorValue):
                return value.node
            if isinstance(value, Unknown):
                return value
            if value is not None and reference.parts[0].name not in place.names.labels():
                raise fail(
                    "E0305",
                    f"`{reference.parts[0].name}` is {describe(value)}, and not a tensor",
                    reference.span,
                    help="where it is an argument, give it a tensor: `@label`",
                )
        member = self.member(place, reference, current)
        if isinstance(member, Unknown):
            return member
        if member.output is None:
            raise fail(
                "E0203",
                f"`{reference.span.text}` is not complete here: it would read itself",
                reference.span,
                help="read the tensor that goes into it: `identity`, or a label before it",
            )
        return member.output

    def member(self, place: Place, reference: tree.Reference, current: Tensor) -> Member | Unknown:
        """The member that a label or dotted path refers to."""
        steps: list[str] = []
        for part in reference.parts:
            step = self.indexed(place, part.name, part.index, current)
            if isinstance(step, Unknown):
                return step
            steps.append(step)
        return place.names.find(steps, reference.span)

    def indexed(self, place: Place, name: str, index: tree.Expression | None, current: Tensor) -> str | Unknown:
        """The name `name`, or the result of `name{index}`: a name, or in a reference also a position."""
        if index is None:
            return name
        value = self.evaluator(place, current).evaluate(index)
        if isinstance(value, Unknown):
            return value
        if isinstance(value, bool) or not isinstance(value, int | str):
            message = f"expected a whole number or a string for a label, got {describe(value)}"
            raise fail("E0305", message, index.span)
        return need_step(f"{name}{value}", index.span, words=never_labels())

    def make(
        self,
        spot: MemberSpot,
        layer: Layer,
        inputs: tuple[Node, ...],
        span: Span,
        bound: Mapping[str, Bound],
        roles: tuple[str, ...] = (),
    ) -> Node:
        """Make a node, as `Nodes.make` does, and count its work."""
        node = self.nodes.make(spot, layer, inputs, span, bound, roles)
        unknown = sum(dim.atoms for dim in node.type.shape if isinstance(dim, Symbolic))
        steps = LAYER * (1 + 3 * unknown) + PARAM * len(node.params) + len(inputs)
        self.errors.spend(spot.names.scope, steps, span)
        if self.observer is not None:
            self.observer.make(node)
        return node

    def deeper(self, place: Place, span: Span | None) -> Place:
        """Return the place unless it is too deep: this finds a block that calls itself without end."""
        self.errors.spend(place.names.scope, 1 + len(place.defaults) // 16, span)
        if place.depth <= MAX_BLOCK_DEPTH:
            return place
        raise self.errors.fatal(
            fail(
                "E0702",
                f"calls and bodies are nested more than {MAX_BLOCK_DEPTH} deep",
                span,
                help="a block that calls itself needs an `if` that ends it",
            ),
            place.names.scope,
        )
