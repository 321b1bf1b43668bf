"""Types of tensors: an element type and a shape. The batch dimension is implicit and never part of a shape."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from netdsl.ir.dim import Dim, product

if TYPE_CHECKING:
    from collections.abc import Iterable


class DType(Enum):
    """Element types; the value is the name in the language and in numpy."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"
    INT64 = "int64"
    INT32 = "int32"
    UINT8 = "uint8"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point type."""
        return "float" in self.value

    @property
    def bytes(self) -> int:
        """The size of one element in bytes."""
        return {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2}.get(self.value, 1)


@dataclass(frozen=True, slots=True)
class TensorType:
    """A tensor type; `shape` omits the batch dimension, so an image is `(channels, height, width)`."""

    shape: tuple[Dim, ...]
    dtype: DType = DType.FLOAT32

    @property
    def rank(self) -> int:
        """The number of dimensions, without the batch."""
        return len(self.shape)

    @property
    def elements(self) -> Dim:
        """The number of elements of one sample."""
        return product(self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        """The same element type with another shape."""
        return TensorType(tuple(shape), self.dtype)

    def __str__(self) -> str:
        suffix = "" if self.dtype is DType.FLOAT32 else f" {self.dtype.value}"
        return format_shape(self.shape) + suffix


def format_shape(shape: Iterable[Dim]) -> str:
    """A shape in the syntax of the language: ``3x224x224``, ``3xHxW``, ``[64, H/2, W/2]``, ``[]`` for a scalar."""
    dims = list(shape)
    if dims and all(isinstance(dim, int) or (len(str(dim)) == 1) for dim in dims):
        return "x".join(map(str, dims))
    return f"[{', '.join(map(str, dims))}]"
