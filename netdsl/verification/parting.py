"""Where a run parts from the truth: the first layer whose result is not what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from netdsl.layers.affine import ChannelAffine
from netdsl.verification.difference import difference, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from netdsl.ir.graph import Graph, Node
    from netdsl.verification.difference import Difference
    from netdsl.verification.torch_run import TorchRun
    from netdsl.weights.initial import Array


class BackendRun(Protocol):
    """One way to compute a net.

    Attributes:
        folded: the layer that has a removed layer's weights in its own, by the path of the removed one.
    """

    folded: dict[str, str]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name."""

    def values(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs and the results of layers by path."""


@dataclass(frozen=True)
class Parting:
    """A layer at which values part.

    Attributes:
        node: the layer in the net as it was written.
        removed: the paths of the layers next to it that the optimizer took away, and may have folded into it.
        difference: how far its result is from what it should be.
        before: the largest relative difference of what it reads.
        own: the relative difference of its result from what the truth makes of the very values that it reads.
        here: the values of its result, in a line.
        due: what they should be, likewise.
    """

    node: Node
    removed: tuple[str, ...]
    difference: Difference
    before: float
    own: float
    here: str
    due: str


def first_parting(
    graph: Graph, run: BackendRun, truth: TorchRun, feeds: Mapping[str, Array], tolerance: float
) -> Parting | None:
    """The first layer of a run whose result differs by more than `tolerance`; None where no single one does.

    A layer may hold the result of those after it that the optimizer took away, so it is held to whichever of them is
    nearest.

    Args:
        graph: the net as it was written.
        run: the run that differs.
        truth: the run that is right; its values are compared as they come, so that they take no memory.
        feeds: the inputs of both runs.
        tolerance: the relative difference that is allowed.
    """
    values = run.values(feeds)
    readers: dict[Node, list[Node]] = {node: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in node.inputs:
            readers[source].append(node)
    order = {node.name: i for i, node in enumerate(graph.nodes)}

    def late(gone: Node, node: Node) -> bool:
        """Whether the scale and shift of a layer that is gone are applied only after a node that read it."""
        if not isinstance(gone.layer, ChannelAffine):
            return False
        return order[run.folded[gone.name]] > order[node.name] if gone.name in run.folded else not node.params

    left = {
        node.name
        for node in graph.nodes
        if node.name in values and not any(late(gone, node) for gone in _removed(node, _inputs, values)[0])
    }
    after = {node: _removed(node, readers.__getitem__, left)[0] for node in graph.nodes if node.name in left}
    held_to: dict[str, list[str]] = {}
    for node, removed in after.items():
        for target in (node, *removed):
            held_to.setdefault(target.name, []).append(node.name)
    nearest: dict[str, tuple[Difference, str]] = {}

    def compare(path: str, due: Array) -> None:
        for name in held_to.get(path, ()):
            found = difference(values[name], due)
            if name not in nearest or found.relative < nearest[name][0].relative:
                nearest[name] = found, statistics(due)

    truth.visit(feeds, compare)
    for node in graph.nodes:
        if node.name not in nearest or nearest[node.name][0].relative <= tolerance:
            continue
        apart, due = nearest[node.name]
        before, sources = _removed(node, _inputs, left)
        read = max((nearest[source.name][0].relative for source in sources if source.name in nearest), default=0.0)
        read_values = {source.name: values[source.name] for source in sources}
        own = _own(truth, feeds, read_values, values[node.name], {node.name, *(other.name for other in after[node])})
        names = tuple(other.name for other in (*before[::-1], *after[node]))
        return Parting(node, names, apart, read, own, statistics(values[node.name]), due)
    return None


def _own(
    truth: TorchRun, feeds: Mapping[str, Array], read: Mapping[str, Array], result: Array, targets: Container[str]
) -> float:
    """How far a layer's result is from the nearest of what `targets` are where the truth reads what the layer read."""
    found: list[float] = []

    def exchange(path: str, due: Array) -> Array | None:
        if path in targets:
            found.append(difference(result, due).relative)
        return read.get(path)

    truth.visit(feeds, exchange)
    return min(found)


def _inputs(node: Node) -> tuple[Node, ...]:
    return node.inputs


def _removed(
    node: Node, neighbours: Callable[[Node], Iterable[Node]], left: Container[str]
) -> tuple[list[Node], list[Node]]:
    """The nodes that are not left between a node and its next neighbours that are, and these."""
    gone: dict[Node, None] = {}
    reached: dict[Node, None] = {}
    work = [*neighbours(node)]
    while work:
        current = work.pop()
        if current.name in left:
            reached[current] = None
        elif current not in gone:
            gone[current] = None
            work.extend(neighbours(current))
    return [*gone], [*reached]
