"""What a layer accepts, ONNX accepts too: each element type in each opset, as ONNX's own type inference sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest
from cases import cases
from graphs import one_layer

from netdsl.backends.onnx.lower import OPSETS, lower
from netdsl.backends.onnx.proto import set_value_info
from netdsl.ir.types import DType, TensorType
from netdsl.layers.activation import Gelu, PRelu, Softplus
from netdsl.layers.base import LAYERS, Layer, LayerError
from netdsl.layers.norm import LayerNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = sorted(LAYERS.keys() - {"input", "param", "embedding"})
"""The layers that take floating-point numbers."""
FLOATS = [DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64]
REFUSING = {
    DType.BFLOAT16: {
        "adaptive_avgpool", "adaptive_maxpool", "add", "attention", "avgpool", "bn", "celu", "conv", "crop",
        "deconv", "depthwise", "drop_path", "dropout2d", "elu", "global_avgpool", "global_maxpool", "gn", "gru",
        "hardsigmoid", "hardswish", "instance_norm", "leaky_relu", "lppool", "lrn", "lstm", "max", "maxpool",
        "mean", "mish", "mul", "pad", "pixel_shuffle", "positions", "prelu", "relu6", "rnn", "selu", "softsign",
        "upsample",
    },
    DType.FLOAT64: {"gru", "lstm", "rnn", "upsample"},
}  # fmt: skip
"""The layers that refuse an element type, because ONNX or onnxruntime lacks it for one of their operators."""
FORMS = [PRelu(shared=False), Gelu("tanh"), Softplus(2.0, 1.0), LayerNorm(2, bias=False)]
"""Other lowerings than those of the first case of a layer."""


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_accepts_the_element_types_that_a_layer_accepts(kind: str) -> None:
    case = next(case for case in cases() if case.layer.kind == kind and case.inputs[0].dtype.kind == "f")
    assert refused_types(case.layer, [array.shape[1:] for array in case.inputs]) == expected(kind)


@pytest.mark.parametrize("layer", FORMS, ids=str)
def test_onnx_accepts_the_element_types_in_every_form(layer: Layer) -> None:
    assert refused_types(layer, [(4, 3)]) == expected(layer.kind)


def expected(kind: str) -> set[DType]:
    return {dtype for dtype, kinds in REFUSING.items() if kind in kinds}


def refused_types(layer: Layer, shapes: Sequence[tuple[int, ...]]) -> set[DType]:
    """The element types that a layer refuses; ONNX accepts its model with each of the others."""
    refused = set()
    for dtype in FLOATS:
        types = [TensorType(shape, dtype) for shape in shapes]
        try:
            layer.inferred(*types)
        except LayerError as error:
            assert error.code == "E0409"  # noqa: PT017 - a layer may refuse some of them
            refused.add(dtype)
            continue
        for opset in OPSETS:
            for training in (False, True):
                lowered = lower(one_layer(layer, *types), opset=opset, training=training)
                for param in lowered.params:  # their types are enough, so they are given as inputs
                    set_value_info(lowered.proto.graph.input.add(), param.name, param.spec.dtype, param.spec.shape)
                onnx.shape_inference.infer_shapes(lowered.proto, check_type=True, strict_mode=True)
    return refused
