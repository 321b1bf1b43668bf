"""Finding the first layer at which a run differs from the expected values."""

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
        folded: for the path of each removed layer, the layer that its weights were folded into.
    """

    folded: dict[str, str]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name."""

    def values(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs and the results of layers by path."""


@dataclass(frozen=True)
class Parting:
    """A layer at which a run differs.

    Attributes:
        node: the layer in the net before optimization.
        removed: the paths of adjacent layers that the optimizer removed, and may have folded into it.
        difference: the difference of its result from the expected one.
        before: the largest relative difference of its inputs.
        own: the relative difference of its result from what float64 computes from the very same inputs.
        here: the values of its result, in a line.
        expected: the expected values, likewise.
    """

    node: Node
    removed: tuple[str, ...]
    difference: Difference
    before: float
    own: float
    here: str
    expected: str


def first_parting(
    graph: Graph, run: BackendRun, truth: TorchRun, feeds: Mapping[str, Array], tolerance: float
) -> Parting | None:
    """Return the first layer of a run whose result differs by more than `tolerance`; None if no single one does.

    A layer may hold the result of layers after it that the optimizer removed, so its result is compared with all of
    these, and the nearest counts.

    Args:
        graph: the net before optimization.
        run: the run that differs.
        truth: the run in float64; its values are compared one after the other, so that they need no memory.
        feeds: the inputs of both runs.
        tolerance: the allowed relative difference.
    """
    values = run.values(feeds)
    readers: dict[Node, list[Node]] = {node: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in node.inputs:
            readers[source].append(node)
    order = {node.name: i for i, node in enumerate(graph.nodes)}

    def late(removed_node: Node, node: Node) -> bool:
        """Whether the scale and shift of a removed layer are applied only after a node that reads it."""
        if not isinstance(removed_node.layer, ChannelAffine):
            return False
        return (
            order[run.folded[removed_node.name]] > order[node.name]
            if removed_node.name in run.folded
            else not node.params
        )

    left = {
        node.name
        for node in graph.nodes
        if node.name in values
        and not any(late(removed_node, node) for removed_node in _removed(node, _inputs, values)[0])
    }
    after = {node: _removed(node, readers.__getitem__, left)[0] for node in graph.nodes if node.name in left}
    compared_with: dict[str, list[str]] = {}
    for node, removed in after.items():
        for target in (node, *removed):
            compared_with.setdefault(target.name, []).append(node.name)
    nearest: dict[str, tuple[Difference, str]] = {}

    def compare(path: str, expected: Array) -> None:
        for name in compared_with.get(path, ()):
            found = difference(values[name], expected)
            if name not in nearest or found.relative < nearest[name][0].relative:
                nearest[name] = found, statistics(expected)

    truth.visit(feeds, compare)
    for node in graph.nodes:
        if node.name not in nearest or nearest[node.name][0].relative <= tolerance:
            continue
        apart, expected = nearest[node.name]
        before, sources = _removed(node, _inputs, left)
        read = max((nearest[source.name][0].relative for source in sources if source.name in nearest), default=0.0)
        read_values = {source.name: values[source.name] for source in sources}
        own = _own_difference(
            truth, feeds, read_values, values[node.name], {node.name, *(other.name for other in after[node])}
        )
        names = tuple(other.name for other in (*before[::-1], *after[node]))
        return Parting(node, names, apart, read, own, statistics(values[node.name]), expected)
    return None


def _own_difference(
    truth: TorchRun, feeds: Mapping[str, Array], read: Mapping[str, Array], result: Array, targets: Container[str]
) -> float:
    """Return how far a layer's result is from what float64 computes from the same inputs at the nearest target."""
    differences: list[float] = []

    def exchange(path: str, expected: Array) -> Array | None:
        if path in targets:
            differences.append(difference(result, expected).relative)
        return read.get(path)

    truth.visit(feeds, exchange)
    return min(differences)


def _inputs(node: Node) -> tuple[Node, ...]:
    return node.inputs


def _removed(
    node: Node, neighbours: Callable[[Node], Iterable[Node]], left: Container[str]
) -> tuple[list[Node], list[Node]]:
    """Return the removed nodes between a node and its next remaining neighbours, and these neighbours."""
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
