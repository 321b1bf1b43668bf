"""Weights that a net applies in several places, and that a file may hold once for each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netdsl.weights.initial import VALUES_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netdsl.ir.graph import Graph
    from netdsl.weights.checkpoint import Tensor
    from netdsl.weights.initial import Array


def places(graph: Graph) -> dict[str, str]:
    """Return the names that shared weights would have in each further place, with the names that they have."""
    return {
        f"{node.name}.{role}": param.name
        for node in graph.nodes
        for role, param in node.params.items()
        if param.name != f"{node.name}.{role}"
    }


def twins(
    names: Iterable[str], tensors: Mapping[str, Tensor], fitting: Mapping[str, Tensor], shared: Mapping[str, str]
) -> dict[str, str]:
    """Find the names that the net lacks whose tensors equal one that the net takes; return both names.

    Candidates are the names of places where the net applies a weight again, and all tensors of two or more axes that
    are not constant. All values must be equal.
    """
    same: dict[str, str] = {}
    for name in names:
        tensor = tensors[name]
        if name in shared:
            candidates = [shared[name]] if shared[name] in fitting else []
        elif len(tensor.shape) > 1:
            candidates = [other for other, taken in fitting.items() if alike(taken, tensor)]
        else:
            continue
        array = tensor.read() if candidates else None
        for other in candidates:
            if alike(fitting[other], tensor) and _equal(array, fitting[other].read(), constant_too=name in shared):
                same[name] = other
                break
    return same


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and element type."""
    return (one.shape, one.dtype) == (other.shape, other.dtype)


def _equal(one: Array | None, other: Array, *, constant_too: bool) -> bool:
    """Whether all values are equal and, unless `anything`, not all the same; compared in pieces."""
    if one is None or not other.size:
        return False
    a, b = one.reshape(-1), other.reshape(-1)
    starts = range(0, a.size, VALUES_AT_ONCE)
    if not all(
        np.array_equal(a[start : start + VALUES_AT_ONCE], b[start : start + VALUES_AT_ONCE]) for start in starts
    ):
        return False
    return constant_too or any((a[start : start + VALUES_AT_ONCE] != a[0]).any() for start in starts)
