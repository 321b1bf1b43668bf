"""How far two arrays are apart."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from netdsl.ir.meaning import Gives
from netdsl.ir.types import DType, format_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.ir.graph import Graph
    from netdsl.weights.initial import Array


TOLERANCES = {DType.FLOAT64: 1e-9, DType.FLOAT32: 1e-4, DType.FLOAT16: 1e-2, DType.BFLOAT16: 5e-2}
"""The relative differences that rounding over some hundred layers may add up to."""


UNITS = {DType.FLOAT64: 2.0**-53, DType.FLOAT32: 2.0**-24, DType.FLOAT16: 2.0**-11, DType.BFLOAT16: 2.0**-8}
"""The largest relative error of one rounding."""
ROUNDING_FACTOR = 10
"""A run may be so many times as far from float64 as rounding alone leads PyTorch, where that is more."""


@dataclass(frozen=True)
class Difference:
    """How far an array is from what it should be.

    Attributes:
        absolute: the largest difference of an element.
        relative: the same, divided by the largest absolute value that should be there. An element that is near 0 only
            because large ones cancel out is thereby not held to more than its terms are.
        problem: why the two cannot be compared, in a few words; they are infinitely far apart then.
    """

    absolute: float = inf
    relative: float = inf
    problem: str = ""


MIN_PROBABILITY = 1e-3
"""Probabilities come of sums with 1 or of others, so that those of a saturated net are not held to their own size."""


def least_largest(graph: Graph, output: str) -> float:
    """What `difference` takes for the largest value of an output at least."""
    gives = graph.meaning.outputs.get(output)
    return MIN_PROBABILITY if gives in (Gives.PROBABILITIES, Gives.YES_PROBABILITIES) else 0.0


def difference(values: Array, truth: Array, least: float = 0.0) -> Difference:
    """How far `values` are from `truth`.

    Args:
        values: an array.
        truth: what it should be.
        least: what differences are divided by, if all that should be there is smaller.
    """
    if values.shape != truth.shape:
        return Difference(problem=f"{format_shape(values.shape)}, not {format_shape(truth.shape)}")
    got, due = values.astype(np.float64), truth.astype(np.float64)
    if not (np.isfinite(got).all() and np.isfinite(due).all()):
        return Difference(problem="NaN or infinite")
    absolute = float(np.abs(got - due).max(initial=0.0))
    largest = float(np.abs(due).max(initial=least))
    return Difference(absolute, absolute / largest if largest else inf if absolute else 0.0)


def coarsest(dtypes: Iterable[DType]) -> DType | None:
    """The floating-point type of some that rounds most; None where there is none."""
    return max((dtype for dtype in dtypes if dtype.is_float), key=UNITS.__getitem__, default=None)


def statistics(values: Array) -> str:
    """An array in a line: shape, element type, least, mean and most, and how much of it is not finite."""
    wide = values.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    head = f"{format_shape(values.shape)} {values.dtype.name}"
    figures = f", from {finite.min():.6g} to {finite.max():.6g}, mean {finite.mean():.6g}" if finite.size else ""
    strange = f", {wide.size - finite.size} of {wide.size} NaN or infinite" if finite.size < wide.size else ""
    return head + figures + strange
