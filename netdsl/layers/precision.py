"""Computing halves in float32 where their range or their precision does not suffice: in sums of squares, in exp."""

from netdsl.ir.types import DType
from netdsl.layers.base import Lowering


def computing_type(dtype: DType) -> DType:
    """The element type in which to compute with elements of the floating-point type `dtype`."""
    return DType.FLOAT64 if dtype is DType.FLOAT64 else DType.FLOAT32


def widen(o: Lowering, x: str) -> str:
    """A value of the output's element type, converted to its computing type."""
    return _cast(o, x, computing_type(o.output.dtype))


def narrow(o: Lowering, x: str) -> str:
    """A value of the computing type, converted back to the output's element type."""
    return _cast(o, x, o.output.dtype)


def _cast(o: Lowering, x: str, dtype: DType) -> str:
    from netdsl.backends.onnx.proto import onnx_dtype  # noqa: PLC0415 - to check a net needs no onnx

    return x if computing_type(o.output.dtype) is o.output.dtype else o.op("Cast", x, to=onnx_dtype(dtype))
