"""Helpers of layers that read a sequence of vectors, T x C."""

from netdsl.ir.types import DType, TensorType
from netdsl.layers.base import Layer, LayerError, need_int, need_rank

TOKENS = (DType.INT64, DType.INT32)
"""The element types of tokens, for which an embedding looks up vectors."""

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.FLOAT64)
"""The element types for which onnxruntime has the operators of most layers."""


def need_sequence(layer: Layer, x: TensorType, dtypes: tuple[DType, ...] = FLOATS) -> int:
    """The number of features of each step; refuses an input that is not a sequence of vectors of these types."""
    if x.dtype in TOKENS:
        message = f"`{layer.kind}` expected a sequence of vectors, got {x}"
        raise LayerError("E0409", message, help="put an `embedding` before it, which converts tokens to vectors")
    need_rank(layer, x, 2, 2, "steps and features")
    if x.dtype not in dtypes:
        *most, last = (dtype.value for dtype in dtypes)
        message = f"`{layer.kind}` expected {', '.join(most)} or {last}, got {x.dtype.value}"
        raise LayerError("E0409", message, help="give the `input` the element type float32")
    return features(layer, x)


def features(layer: Layer, x: TensorType) -> int:
    """The number of features, which must be known."""
    return need_int(x.shape[1], f"the number of features, for which `{layer.kind}` has weights,")


def known_or_copied(x: TensorType) -> int:
    """The number of steps for the operator Reshape: 0, which copies it from the input, if it is symbolic."""
    steps = x.shape[0]
    return steps if isinstance(steps, int) else 0
