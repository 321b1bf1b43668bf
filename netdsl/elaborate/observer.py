"""Listening to an elaboration, as the writer of PyTorch source does to learn where each layer comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from netdsl.elaborate.names import Names
    from netdsl.elaborate.place import Place, Tensor
    from netdsl.ir.graph import Node
    from netdsl.syntax import tree


class Observer(Protocol):
    """Is called for everything that an elaboration carries out, in order.

    Calls of `enter` and `leave` nest as bodies, statements, chains and items do. A net with errors may leave out calls
    of `leave`.
    """

    def enter(self, written: tree.Tree, place: Place, before: Tensor) -> None:
        """A body, a statement, a chain or an item begins.

        Args:
            written: its part of the tree.
            place: where it stands: the names known there, and the scope of its layers.
            before: the tensor that reaches it.
        """

    def leave(self, after: Tensor) -> None:
        """What was entered last is carried out, and leaves this tensor."""

    def open_scope(self, names: Names) -> None:
        """The item that was entered last has opened a scope for its members."""

    def make(self, node: Node) -> None:
        """What was entered last has made a layer."""
