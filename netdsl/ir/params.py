"""Parameters: their shapes and initial values, and parameters that passes compute from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from netdsl.ir.types import DType


@dataclass(frozen=True, slots=True)
class Init:
    """The initial values of a parameter.

    Attributes:
        kind: `weight` and `bias` are drawn by the scheme the user chose (PyTorch's default, He, Xavier, normal);
            `constant` is `value` everywhere; `normal` is drawn with mean 0 and standard deviation `value`;
            `table` are the numbers in `table`, row by row.
        fan_in: the number of inputs that one output element reads.
        fan_out: the number of outputs that one input element reaches.
        value: for `weight` and `bias`, the bound within which PyTorch draws them, where that is not 1/sqrt(fan_in).
    """

    kind: Literal["weight", "bias", "constant", "normal", "table"]
    fan_in: int = 0
    fan_out: int = 0
    value: float = 0.0
    table: tuple[float, ...] = ()

    @staticmethod
    def constant(value: float) -> Init:
        """The same value everywhere."""
        return Init("constant", value=value)


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """The specification of a parameter by its layer: its shape and its initial values.

    `trainable` is false for running statistics and fixed tables (buffers, in PyTorch's words).
    """

    shape: tuple[int, ...]
    init: Init
    trainable: bool = True
    dtype: DType = DType.FLOAT32

    @property
    def elements(self) -> int:
        """The number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the graph; `name` is its key in a `state_dict`: the owner's path and its role.

    Passes set `derived` for a parameter that is computed from others when weights are read (batch norm folded into a
    convolution).
    """

    name: str
    spec: ParamSpec
    derived: Derived | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """A parameter computed from `sources`: `compute(*arrays)` returns its array."""

    compute: Any
    sources: tuple[Param, ...]
