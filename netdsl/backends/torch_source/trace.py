"""A record of an elaboration: which text was elaborated, where, and the layers that it created."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netdsl.elaborate.observer import Observer
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.elaborate.names import Names
    from netdsl.elaborate.place import Place, Tensor
    from netdsl.ir.graph import Node, Scope


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


class Record(Observer):
    """All traces of the elaboration of a net without errors.

    Attributes:
        of_node: the trace of the item or statement that created a layer.
        of_scope: the trace of the item or statement that opened a scope.
        weights: the path of a scope's parameters.
        bodies: the traces of bodies that have a scope of their own, by scope.
    """

    def __init__(self) -> None:
        self.of_node: dict[Node, Trace] = {}
        self.of_scope: dict[Scope, Trace] = {}
        self.weights: dict[Scope, str] = {}
        self.bodies: dict[Scope, Trace] = {}
        self._open: list[Trace] = []

    def entered(self, written: tree.Tree, place: Place, current: Tensor) -> None:
        """Begin a trace inside the one that is open."""
        outer = self._open[-1] if self._open else None
        chain = outer if outer is not None and isinstance(outer.tree, tree.Chain) else outer and outer.chain
        trace = Trace(written, place, current, chain, outer)
        if outer is not None:
            outer.parts.append(trace)
        self._open.append(trace)
        if isinstance(written, tree.Body):
            scope = place.names.scope
            self.weights[scope] = place.names.weights
            if scope not in self.bodies:
                self.bodies[scope] = trace
                if outer is not None:
                    self.of_scope.setdefault(scope, outer)

    def opened(self, names: Names) -> None:
        """The open trace is that of the item that opened a scope."""
        self.of_scope[names.scope] = self._open[-1]
        self.weights[names.scope] = names.weights

    def left(self, result: Tensor) -> None:
        """End the trace that is open."""
        self._open.pop().after = result

    def made(self, node: Node) -> None:
        """The open trace is that of the item or statement that made a node."""
        self.of_node[node] = self._open[-1]
