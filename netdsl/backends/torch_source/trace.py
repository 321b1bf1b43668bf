"""A record of an elaboration: what was carried out where, and which layers came of it."""

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


class Record(Observer):
    """What the elaboration of a net without errors did.

    Attributes:
        of_node: the item or statement that made a layer.
        of_scope: the item or statement that opened a scope.
        weights: the path under which a scope finds its parameters.
        bodies: the bodies that were carried out in a scope of their own, by scope.
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
