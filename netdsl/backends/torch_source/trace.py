"""A record of an elaboration: which text was elaborated, where, and the layers that it created."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netdsl.base.interpreter import deep_stack, without_garbage_collection
from netdsl.elaborate.errors import Budget
from netdsl.elaborate.net import NetElaborator
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netdsl.base.source import Span
    from netdsl.elaborate.binding import Bound
    from netdsl.elaborate.names import Member
    from netdsl.elaborate.nodes import MemberSpot
    from netdsl.elaborate.place import Place, Tensor
    from netdsl.elaborate.program import Module
    from netdsl.elaborate.values import Unknown
    from netdsl.ir.graph import Graph, Node, Scope
    from netdsl.layers.base import Layer


@dataclass(slots=True, eq=False, repr=False)
class Trace:
    """One elaboration of a chain, an item, a body or another statement.

    Attributes:
        tree: the text's syntax tree.
        place: its place: names and their values.
        before: the tensor that reached it.
        after: the tensor that left it.
        chain: the innermost chain around it, or None.
        outer: the trace around it.
        parts: the traces within it, in order.
    """

    tree: tree.Tree
    place: Place
    before: Tensor
    chain: Trace | None
    outer: Trace | None = None
    after: Tensor = None
    parts: list[Trace] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """All traces of an elaboration.

    Attributes:
        of_node: the trace of the item or statement that created a layer.
        of_scope: the trace of the item or statement that opened a scope.
        weights: the path of a scope's parameters.
        bodies: the traces of bodies that have a scope of their own, by scope.
    """

    of_node: dict[Node, Trace] = field(default_factory=dict)
    of_scope: dict[Scope, Trace] = field(default_factory=dict)
    weights: dict[Scope, str] = field(default_factory=dict)
    bodies: dict[Scope, Trace] = field(default_factory=dict)


def record(module: Module, name: str, arguments: Mapping[str, object]) -> tuple[Graph, Record]:
    """Elaborate a net that has no errors, and record everything."""
    recorder = _Recorder(name)
    with without_garbage_collection(), deep_stack(), deep_stack():
        graph = recorder.run(module, arguments)
    return graph, recorder.record


class _Recorder(NetElaborator):
    def __init__(self, name: str) -> None:
        super().__init__(name, Budget())
        self.record = Record()
        self._open: list[Trace] = []

    @contextmanager
    def _traced(self, written: tree.Tree, place: Place, before: Tensor) -> Iterator[Trace]:
        outer = self._open[-1] if self._open else None
        chain = outer if outer is not None and isinstance(outer.tree, tree.Chain) else outer and outer.chain
        trace = Trace(written, place, before, chain, outer)
        if outer is not None:
            outer.parts.append(trace)
        self._open.append(trace)
        yield trace
        self._open.pop()

    def body(self, place: Place, body: tree.Body, current: Tensor) -> Tensor:
        with self._traced(body, place, current) as trace:
            scope = place.names.scope
            self.record.weights[scope] = place.names.weights
            if scope not in self.record.bodies:
                self.record.bodies[scope] = trace
                if len(self._open) > 1:
                    self.record.of_scope.setdefault(scope, self._open[-2])
            trace.after = super().body(place, body, current)
            return trace.after

    def statement(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        with self._traced(statement, place, current):
            return super().statement(place, statement, current)

    def chain(self, place: Place, chain: tree.Chain, current: Tensor) -> Tensor:
        with self._traced(chain, place, current) as trace:
            trace.after = super().chain(place, chain, current)
            return trace.after

    def _unnamed(self, place: Place, item: tree.Item, current: Tensor) -> Tensor:
        with self._traced(item, place, current) as trace:
            trace.after = super()._unnamed(place, item, current)
            return trace.after

    def _named(
        self, place: Place, item: tree.Item, member: Member, spot: MemberSpot, current: Tensor
    ) -> Node | Unknown:
        with self._traced(item, place, current) as trace:
            trace.after = super()._named(place, item, member, spot, current)
            if member.inside is not None:
                self.record.of_scope[member.inside.scope] = trace
                self.record.weights[member.inside.scope] = member.inside.weights
            return trace.after

    def make(
        self,
        spot: MemberSpot,
        layer: Layer,
        inputs: tuple[Node, ...],
        span: Span,
        bound: Mapping[str, Bound],
        roles: tuple[str, ...] = (),
    ) -> Node:
        node = super().make(spot, layer, inputs, span, bound, roles)
        self.record.of_node[node] = self._open[-1]
        return node
