"""Observers of an elaboration, such as the writer of PyTorch source, which learns where each layer comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from netdsl.elaborate.names import Names
    from netdsl.elaborate.place import Place, Tensor
    from netdsl.ir.graph import Node
    from netdsl.syntax import tree


class Observer(Protocol):
    """An object that is notified of everything that an elaboration carries out, in order.

    Calls of `enter` and `leave` nest as bodies, statements, chains and items do. If a net has errors, calls of `leave`
    may be missing.
    """

    def enter(self, written: tree.Tree, place: Place, before: Tensor) -> None:
        """A body, a statement, a chain or an item begins.

        Args:
            written: its syntax tree.
            place: where it stands: the names defined there, and the scope of its layers.
            before: the current tensor before it.
        """

    def leave(self, after: Tensor) -> None:
        """The last entered part ends; `after` is the current tensor after it."""

    def open_scope(self, names: Names) -> None:
        """The last entered item opened a scope for its members."""

    def make(self, node: Node) -> None:
        """The last entered part made a layer."""
