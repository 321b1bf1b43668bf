"""A record of an elaboration: which text was elaborated, where, and the layers that it created."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netdsl.compiler import Options, build
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.elaborate.module import Module
    from netdsl.elaborate.names import Names
    from netdsl.elaborate.place import Place, Tensor
    from netdsl.ir.graph import Graph, Node, Scope


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
    recorder = _Recorder()
    graph = build(module, "graph", Options(name, arguments, observer=recorder)).graph
    return graph, recorder.record


class _Recorder:
    """An observer of an elaboration that keeps all it sees."""

    def __init__(self) -> None:
        self.record = Record()
        self._open: list[Trace] = []

    def enter(self, written: tree.Tree, place: Place, before: Tensor) -> None:
        """A body, a statement, a chain or an item begins."""
        outer = self._open[-1] if self._open else None
        chain = outer if outer is not None and isinstance(outer.tree, tree.Chain) else outer and outer.chain
        trace = Trace(written, place, before, chain, outer)
        if outer is not None:
            outer.parts.append(trace)
        if isinstance(written, tree.Body):
            scope = place.names.scope
            self.record.weights[scope] = place.names.weights
            if scope not in self.record.bodies:
                self.record.bodies[scope] = trace
                if outer is not None:
                    self.record.of_scope.setdefault(scope, outer)
        self._open.append(trace)

    def leave(self, after: Tensor) -> None:
        """What was entered last is carried out."""
        self._open.pop().after = after

    def open_scope(self, names: Names) -> None:
        """The item that was entered last has opened a scope for its members."""
        self.record.of_scope[names.scope] = self._open[-1]
        self.record.weights[names.scope] = names.weights

    def make(self, node: Node) -> None:
        """What was entered last has made a layer."""
        self.record.of_node[node] = self._open[-1]
