"""A record of an elaboration: what was carried out where, and which layers came of it."""

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
    """One time that a chain, an item, a body or another statement was carried out.

    Attributes:
        tree: what was written.
        place: where it stands: names and their values.
        before: the tensor that reached it.
        after: the tensor that it left.
        chain: the innermost chain it stands in, or None.
        outer: what it was carried out for.
        parts: what was carried out for it, in order.
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
    """What an elaboration did.

    Attributes:
        of_node: the item or statement that made a layer.
        of_scope: the item or statement that opened a scope.
        weights: the path under which a scope finds its parameters.
        bodies: the bodies that were carried out in a scope of their own, by scope.
    """

    of_node: dict[Node, Trace] = field(default_factory=dict)
    of_scope: dict[Scope, Trace] = field(default_factory=dict)
    weights: dict[Scope, str] = field(default_factory=dict)
    bodies: dict[Scope, Trace] = field(default_factory=dict)


def record(module: Module, name: str, arguments: Mapping[str, object]) -> tuple[Graph, Record]:
    """Elaborate a net that has no errors, and take note of everything."""
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
