"""Weights that a net has once and applies in several places, and a file may hold for each place."""

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
    """The names that shared weights would have where they are applied again, and the names that they have."""
    return {
        f"{node.name}.{role}": param.name
        for node in graph.nodes
        for role, param in node.params.items()
        if param.name != f"{node.name}.{role}"
    }


def twins(
    names: Iterable[str], tensors: Mapping[str, Tensor], fitting: Mapping[str, Tensor], shared: Mapping[str, str]
) -> dict[str, str]:
    """Of names that the net does not have, those of weights that it takes under another name, and this name.

    A weight is the same if it stands where the net applies it again, or is a matrix of more than one value; and if all
    values are equal.
    """
    found: dict[str, str] = {}
    for name in names:
        tensor = tensors[name]
        if name in shared:
            likely = [shared[name]] if shared[name] in fitting else []
        elif len(tensor.shape) > 1:
            likely = [other for other, taken in fitting.items() if alike(taken, tensor)]
        else:
            continue
        array = tensor.read() if likely else None
        for other in likely:
            if alike(fitting[other], tensor) and _equal(array, fitting[other].read(), anything=name in shared):
                found[name] = other
                break
    return found


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and element type."""
    return (one.shape, one.dtype) == (other.shape, other.dtype)


def _equal(one: Array | None, other: Array, *, anything: bool) -> bool:
    """Whether all values are equal, and not all the same unless `anything` will do; looked at in pieces."""
    if one is None or not other.size:
        return False
    a, b = one.reshape(-1), other.reshape(-1)
    starts = range(0, a.size, VALUES_AT_ONCE)
    if not all(
        np.array_equal(a[start : start + VALUES_AT_ONCE], b[start : start + VALUES_AT_ONCE]) for start in starts
    ):
        return False
    return anything or any((a[start : start + VALUES_AT_ONCE] != a[0]).any() for start in starts)
