"""What a layer accepts, ONNX accepts too: each element type in each opset, as ONNX's own type inference sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest
from graphs import one_layer
from refusals import refused

from netdsl.backends.onnx.lower import OPSETS, lower
from netdsl.backends.onnx.proto import set_value_info
from netdsl.compiler import check_text
from netdsl.ir.types import DType, TensorType

if TYPE_CHECKING:
    from netdsl.layers.base import Layer

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64)
WITHOUT_BFLOAT16 = (
    "relu6", "leaky_relu", "prelu", "prelu shared=no", "elu", "selu", "celu", "mish", "hardswish", "hardsigmoid",
    "softsign", "bn", "gn 2", "instance_norm", "lrn 4", "dropout2d", "drop_path 0.2",
)  # fmt: skip
WITH_BFLOAT16 = (
    "relu", "gelu", "gelu tanh", "silu", "softplus", "softplus 2 1", "sigmoid", "tanh", "scaled_tanh", "softmax",
    "log_softmax", "maxout 2", "affine", "normalize 0.5 2", "scale 0.1", "ln", "ln 2 bias=no", "channel_ln", "rmsnorm",
    "dropout",
)  # fmt: skip


def layer_of(call: str) -> Layer:
    """The layer that a call makes."""
    return check_text(f"net n {{ input x: 4x3; {call} }}").graph.nodes[1].layer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("call", WITH_BFLOAT16 + WITHOUT_BFLOAT16)
def test_onnx_accepts_the_element_types_that_the_layer_accepts(call: str, training: bool) -> None:
    layer = layer_of(call)
    for dtype in FLOATS:
        type_ = TensorType((4, 3), dtype)
        if dtype is DType.BFLOAT16 and call in WITHOUT_BFLOAT16:
            assert refused(layer, type_).code == "E0409"
            continue
        for opset in OPSETS:
            lowered = lower(one_layer(layer, type_), opset=opset, training=training)
            for param in lowered.params:  # their types are enough, so they are given as inputs
                set_value_info(lowered.proto.graph.input.add(), param.name, param.spec.dtype, param.spec.shape)
            onnx.shape_inference.infer_shapes(lowered.proto, check_type=True, strict_mode=True)
