"""What a layer accepts, ONNX accepts too: each element type in each opset, as ONNX's own type inference sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest
from graphs import one_layer
from refusals import refused

from netdsl.backends.onnx.lower import OPSETS, lower
from netdsl.backends.onnx.proto import set_value_info
from netdsl.ir.types import DType, TensorType
from netdsl.layers.activation import (
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    LogSoftmax,
    Maxout,
    Mish,
    PRelu,
    Relu,
    Relu6,
    ScaledTanh,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from netdsl.layers.affine import Affine, Normalize, Scale
from netdsl.layers.norm import BatchNorm, ChannelNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm
from netdsl.layers.regularise import Dropout, Dropout2d, DropPath

if TYPE_CHECKING:
    from netdsl.layers.base import Layer

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64)
WITHOUT_BFLOAT16 = [
    Relu6(), LeakyRelu(), PRelu(), PRelu(shared=False), Elu(), Selu(), Celu(), Mish(), HardSwish(), HardSigmoid(),
    Softsign(),
    BatchNorm(), GroupNorm(2), InstanceNorm(), LocalResponseNorm(4), Dropout2d(), DropPath(0.2),
]  # fmt: skip
WITH_BFLOAT16 = [
    Relu(), Gelu(), Gelu("tanh"), Silu(), Softplus(), Softplus(2.0, 1.0), Sigmoid(), Tanh(), ScaledTanh(),
    Softmax(), LogSoftmax(), Maxout(2), Affine(), Normalize((0.5,), (2.0,)), Scale(0.1), LayerNorm(),
    LayerNorm(2, bias=False), ChannelNorm(), RmsNorm(), Dropout(),
]  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("layer", WITH_BFLOAT16 + WITHOUT_BFLOAT16, ids=str)
def test_onnx_accepts_the_element_types_that_the_layer_accepts(layer: Layer, training: bool) -> None:
    for dtype in FLOATS:
        type_ = TensorType((4, 3), dtype)
        if dtype is DType.BFLOAT16 and layer in WITHOUT_BFLOAT16:
            assert refused(layer, type_).code == "E0409"
            continue
        for opset in OPSETS:
            lowered = lower(one_layer(layer, type_), opset=opset, training=training)
            for param in lowered.params:  # their types are enough, so they are given as inputs
                set_value_info(lowered.proto.graph.input.add(), param.name, param.spec.dtype, param.spec.shape)
            onnx.shape_inference.infer_shapes(lowered.proto, check_type=True, strict_mode=True)
