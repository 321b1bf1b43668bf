"""The difference between two arrays."""

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
"""The relative difference that rounding may cause over some hundred layers."""


UNITS = {DType.FLOAT64: 2.0**-53, DType.FLOAT32: 2.0**-24, DType.FLOAT16: 2.0**-11, DType.BFLOAT16: 2.0**-8}
"""The largest relative error of one rounding."""
ROUNDING_FACTOR = 10
"""A run may differ from float64 this many times as much as PyTorch does by rounding alone, if that is more."""


@dataclass(frozen=True)
class Difference:
    """The difference of an array from its expected value.

    Attributes:
        absolute: the largest difference of an element.
        relative: the same, divided by the largest expected absolute value. So an element that is near 0 only because
            large terms cancel is held to the precision of its terms.
        problem: why the two cannot be compared, in a few words; then both differences are infinite.
    """

    absolute: float = inf
    relative: float = inf
    problem: str = ""


MIN_PROBABILITY = 1e-3
"""The least divisor of relative differences of probabilities, because a saturated net computes them from large sums."""


def least_largest(graph: Graph, output: str) -> float:
    """Return the `least` of `difference` for an output."""
    gives = graph.meaning.outputs.get(output)
    return MIN_PROBABILITY if gives in (Gives.PROBABILITIES, Gives.YES_PROBABILITIES) else 0.0


def difference(values: Array, expected: Array, least: float = 0.0) -> Difference:
    """Return the difference of `values` from `expected`.

    Args:
        values: an array.
        expected: its expected value.
        least: the divisor of the relative difference if all expected values are smaller.
    """
    if values.shape != expected.shape:
        return Difference(problem=f"{format_shape(values.shape)}, not {format_shape(expected.shape)}")
    got, wanted = values.astype(np.float64), expected.astype(np.float64)
    if not (np.isfinite(got).all() and np.isfinite(wanted).all()):
        return Difference(problem="NaN or infinite")
    absolute = float(np.abs(got - wanted).max(initial=0.0))
    largest = float(np.abs(wanted).max(initial=least))
    return Difference(absolute, absolute / largest if largest else inf if absolute else 0.0)


def coarsest(dtypes: Iterable[DType]) -> DType | None:
    """Return the floating-point type that rounds most; None if there is none."""
    return max((dtype for dtype in dtypes if dtype.is_float), key=UNITS.__getitem__, default=None)


def statistics(values: Array) -> str:
    """Describe an array in a line: shape, element type, minimum, maximum and mean, and how much is not finite."""
    wide = values.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    head = f"{format_shape(values.shape)} {values.dtype.name}"
    figures = f", from {finite.min():.6g} to {finite.max():.6g}, mean {finite.mean():.6g}" if finite.size else ""
    strange = f", {wide.size - finite.size} of {wide.size} NaN or infinite" if finite.size < wide.size else ""
    return head + figures + strange
