"""Computation in float32 for 16-bit floats where they lack range or precision: in sums of squares, in exp."""

from netdsl.ir.types import DType
from netdsl.layers.base import Lowering


def computing_type(dtype: DType) -> DType:
    """The element type in which a layer computes on elements of the floating-point type `dtype`."""
    return DType.FLOAT64 if dtype is DType.FLOAT64 else DType.FLOAT32


def widen(o: Lowering, x: str) -> str:
    """Convert a value from the output's element type to its computing type."""
    return _cast(o, x, computing_type(o.output.dtype))


def narrow(o: Lowering, x: str) -> str:
    """Convert a value from the computing type back to the output's element type."""
    return _cast(o, x, o.output.dtype)


def _cast(o: Lowering, x: str, dtype: DType) -> str:
    from netdsl.backends.onnx.proto import onnx_dtype  # noqa: PLC0415 - checking a net needs no onnx

    return x if computing_type(o.output.dtype) is o.output.dtype else o.op("Cast", x, to=onnx_dtype(dtype))
