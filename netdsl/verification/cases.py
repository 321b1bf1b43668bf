"""The inputs on which backends are compared: random ones of several batch sizes and sizes, or given ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.ir.dim import Symbol, Symbolic, evaluate, symbols
from netdsl.ir.meaning import Tokens
from netdsl.ir.types import DType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netdsl.ir.graph import Graph, Node
    from netdsl.weights.initial import Array


MIN_CASE_SIZE, CASE_SIZE_STEP = 32, 8
"""Open sizes are chosen from 32 on, in steps of 8, so that all axes differ."""


@dataclass(frozen=True)
class Case:
    """Inputs for one run.

    Attributes:
        batch: the number of samples.
        sizes: the values of the net's symbolic sizes.
        feeds: an array for each input, the batch included, in the order of the net's inputs.
    """

    batch: int
    sizes: Mapping[str, int]
    feeds: dict[str, Array] = field(repr=False)

    @property
    def text(self) -> str:
        """The sizes in the form of `--size`; empty if the net leaves none open."""
        return ",".join(f"{name}={size}" for name, size in self.sizes.items())


def random_cases(graph: Graph, batches: Sequence[int], sizes: Mapping[str, Sequence[int]]) -> Iterator[Case]:
    """Yield every batch size with all sizes, on random inputs: floats are normal, tokens any that the net embeds.

    Other integers are 0 or 1, and bytes from 0 to 255.

    Args:
        graph: the net.
        batches: batch sizes.
        sizes: values for the net's symbolic sizes; if there are none, two allowed ones are chosen.

    Raises:
        NetdslError: sizes are missing, unknown or not allowed by the net (E0906).
    """
    random = np.random.default_rng(0)
    above = {node: _above(graph, node) for node in graph.inputs}
    for assignment in assignments(graph, sizes):
        for batch in batches:
            shapes = {node: tuple(evaluate(dim, assignment) for dim in node.type.shape) for node in graph.inputs}
            feeds = {
                node.name: _draw(random, (batch, *shape), node.type.dtype, above[node])
                for node, shape in shapes.items()
            }
            yield Case(batch, assignment, feeds)


def given_case(graph: Graph, feeds: Mapping[str, Array]) -> Case:
    """Return the case for given arrays, which must fit the net."""
    sizes: dict[str, int] = {}
    for node in graph.inputs:
        for dim, size in zip(node.type.shape, feeds[node.name].shape[1:], strict=True):
            sizes |= dict.fromkeys(symbols(dim), size)
    arrays = {node.name: feeds[node.name] for node in graph.inputs}
    return Case(len(next(iter(arrays.values()))), sizes, arrays)


def assignments(graph: Graph, sizes: Mapping[str, Sequence[int]]) -> list[dict[str, int]]:
    """Return values for all symbolic sizes of a net: the first of each, the second of each, and so on.

    Raises:
        NetdslError: sizes are missing, unknown or not allowed by the net (E0906).
    """
    names = [symbol.name for symbol in _symbols(graph)]
    if unknown := next((name for name in sizes if name not in names), None):
        known = ", ".join(f"`{name}`" for name in names) or "none"
        raise fail("E0906", f"`{graph.name}` leaves no size `{unknown}` open",
                   help=f"it leaves open {known}; `--set` gives values to a net's parameters")  # fmt: skip
    if not names:
        return [{}]
    if not sizes:
        return _chosen(_symbols(graph))
    if missing := [name for name in names if name not in sizes]:
        raise fail("E0906", f"`{graph.name}` leaves the size `{missing[0]}` open",
                              help=f"set it: `{' '.join(f'--size {name}=224' for name in missing)}`")  # fmt: skip
    counts = Counter(len(values) for values in sizes.values() if len(values) > 1)
    if len(counts) > 1:
        raise fail("E0906", "all sizes must have the same number of values, or a single one",
                   help="the first values of all sizes are taken together, then the second")  # fmt: skip
    runs = max(counts, default=1)
    found = [{name: sizes[name][i % len(sizes[name])] for name in names} for i in range(runs)]
    for assignment in found:
        _need_allowed(graph, assignment)
    return found


def _symbols(graph: Graph) -> list[Symbol]:
    """Return the atoms of the net's symbolic sizes, in the order of its inputs."""
    found: dict[Symbol, None] = {}
    for node in graph.inputs:
        for dim in node.type.shape:
            for monomial in dim.terms if isinstance(dim, Symbolic) else ():
                found.update(dict.fromkeys(atom for atom in monomial if isinstance(atom, Symbol)))
    return list(found)


def _chosen(atoms: Sequence[Symbol]) -> list[dict[str, int]]:
    """Return two assignments that satisfy all constraints: sizes near `MIN_CASE_SIZE` that grow or fall."""
    found = []
    for order in (atoms, atoms[::-1]):
        sizes = {}
        for i, atom in enumerate(order):
            count = max(atom.least, -(-(MIN_CASE_SIZE + i * CASE_SIZE_STEP) // atom.unit))
            sizes[atom.name] = atom.unit * (count if atom.most is None else min(count, atom.most))
        found.append({atom.name: sizes[atom.name] for atom in atoms})
    return found[:1] if found[0] == found[1] else found


def _need_allowed(graph: Graph, sizes: Mapping[str, int]) -> None:
    """Refuse sizes that break a constraint of the net (E0906)."""
    for symbol in _symbols(graph):
        count, rest = divmod(sizes[symbol.name], symbol.unit)
        if rest or count < symbol.least or (symbol.most is not None and count > symbol.most):
            texts = ", ".join(f"`{constraint.text}`" for constraint in graph.constraints) or "sizes of 1 and more"
            raise fail("E0906", f"`{graph.name}` cannot be run with {symbol.name} = {sizes[symbol.name]}",
                       help=f"it is for {texts}")  # fmt: skip


def _above(graph: Graph, given: Node) -> int:
    """Return the bound below which the integers of an input stay."""
    takes = graph.meaning.inputs.get(given.name)
    if isinstance(takes, Tokens):
        return takes.count
    return 256 if given.type.dtype is DType.UINT8 else 2


def _draw(random: np.random.Generator, shape: tuple[int, ...], dtype: DType, above: int) -> Array:
    if dtype.is_float:
        return random.standard_normal(shape).astype(dtype.value)
    return random.integers(0, above, shape).astype(dtype.value)
