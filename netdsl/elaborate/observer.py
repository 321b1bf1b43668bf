"""What an elaboration tells those who listen to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.elaborate.names import Names
    from netdsl.elaborate.place import Place, Tensor
    from netdsl.ir.graph import Node
    from netdsl.syntax import tree


class Observer:
    """Is called while a net is elaborated, and does nothing; a subclass overrides what it wants to know.

    What is written is entered and left like calls of functions: inside a chain, its items; inside a call, the block's
    body. Where an error ends something, it is not left, so that a subclass needs a net without errors.
    """

    def entered(self, written: tree.Tree, place: Place, current: Tensor) -> None:
        """A body, a statement, a chain or an item of one begins at a place, with the tensor that reaches it."""

    def opened(self, names: Names) -> None:
        """The item that is left next has opened a scope."""

    def left(self, result: Tensor) -> None:
        """What was entered last, and not yet left, ends with the tensor that it leaves."""

    def made(self, node: Node) -> None:
        """A layer has become a node."""
