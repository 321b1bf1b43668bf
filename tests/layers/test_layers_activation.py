"""Activations, softmax and maxout against torch, through ONNX and onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from conformance import conform, operators
from refusals import refuses

import netdsl.layers  # noqa: F401 - fills LAYERS
from netdsl.ir.dim import symbol
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
from netdsl.layers.base import LAYERS, Layer

if TYPE_CHECKING:
    from collections.abc import Callable

    Reference = Callable[..., torch.Tensor]

OPSETS = [13, 18, 21]
C, H, W = symbol("C"), symbol("H"), symbol("W")


def prelu(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return F.prelu(x, weight)


ELEMENTWISE: list[tuple[Layer, Reference]] = [
    (Relu(), F.relu),
    (Relu6(), F.relu6),
    (LeakyRelu(), F.leaky_relu),
    (LeakyRelu(0.2), lambda x: F.leaky_relu(x, 0.2)),
    (LeakyRelu(-0.5), lambda x: F.leaky_relu(x, -0.5)),
    (PRelu(), prelu),
    (PRelu(shared=False), prelu),
    (Elu(), F.elu),
    (Elu(0.3), lambda x: F.elu(x, 0.3)),
    (Selu(), F.selu),
    (Celu(), F.celu),
    (Celu(0.3), lambda x: F.celu(x, 0.3)),
    (Celu(2.5), lambda x: F.celu(x, 2.5)),
    (Gelu(), F.gelu),
    (Gelu("tanh"), lambda x: F.gelu(x, approximate="tanh")),
    (Silu(), F.silu),
    (Mish(), F.mish),
    (HardSwish(), F.hardswish),
    (HardSigmoid(), F.hardsigmoid),
    (Softplus(), F.softplus),
    (Softplus(2.0), lambda x: F.softplus(x, 2.0)),
    (Softplus(0.5, 1.0), lambda x: F.softplus(x, 0.5, 1.0)),
    (Softplus(-3.0, 5.0), lambda x: F.softplus(x, -3.0, 5.0)),
    (Softplus(threshold=50.0), lambda x: F.softplus(x, threshold=50.0)),
    (Softsign(), F.softsign),
    (Sigmoid(), torch.sigmoid),
    (Tanh(), torch.tanh),
    (ScaledTanh(), lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    (ScaledTanh(2.0, 0.5), lambda x: 2.0 * torch.tanh(0.5 * x)),
]


def label(value: object) -> str:
    """A test's name must be the same in every process, and a function's `str` holds its address."""
    return getattr(value, "__name__", str(value))


EXTREMES = [-1e4, -88.8, -20.5, -3.0, -1.0, -1e-4, 0.0, 1e-4, 1.0, 3.0, 6.0, 19.9, 20.1, 88.8, 1e4]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 4, 3), (5, 2, 3, 2)], ids=str)
@pytest.mark.parametrize(("layer", "reference"), ELEMENTWISE, ids=label)
def test_elementwise_layers_are_torchs(layer: Layer, reference: Reference, shape: tuple[int, ...], opset: int) -> None:
    x = 4 * np.random.default_rng(1).standard_normal((3, *shape))
    x.flat[: len(EXTREMES)] = EXTREMES[: x.size]
    conform(layer, x.astype("float32"), reference=reference, opset=opset, atol=2e-6)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("layer", "reference"), ELEMENTWISE, ids=label)
def test_elementwise_layers_take_halves(layer: Layer, reference: Reference, opset: int) -> None:
    """Torch computes in float32 and rounds once; a formula of several operators may round at each of them."""
    x = np.float16([[EXTREMES] * 5])
    conform(layer, x, reference=reference, opset=opset, rtol=4e-3, atol=2e-3)


@pytest.mark.parametrize(("layer", "reference"), [(Relu(), F.relu), (PRelu(), prelu), (Gelu(), F.gelu)], ids=label)
def test_elementwise_layers_take_one_number_for_each_sample(layer: Layer, reference: Reference) -> None:
    conform(layer, np.float32([-1, 0, 2]), reference=reference)


def test_prelu_has_torchs_parameter() -> None:
    x = np.linspace(-1, 1, 30, dtype="float32").reshape(3, 5, 2)
    conform(PRelu(), x, reference=prelu, module=torch.nn.PReLU())
    conform(PRelu(shared=False), x, reference=prelu, module=torch.nn.PReLU(5))
    assert PRelu(init=0.1).params(TensorType((5,)))["weight"].init.value == 0.1
    assert PRelu().params(TensorType((5,)))["weight"].init.value == torch.nn.PReLU().weight.item()


FORMS = [
    (Gelu(), 19, ["Div", "Erf", "Add", "Mul", "Mul"]),
    (Gelu(), 20, ["Gelu"]),
    (Gelu("tanh"), 19, ["Mul", "Mul", "Mul", "Add", "Mul", "Tanh", "Add", "Mul", "Mul"]),
    (Gelu("tanh"), None, ["Gelu"]),
    (Mish(), 17, ["Softplus", "Tanh", "Mul"]),
    (Mish(), None, ["Mish"]),
    (HardSwish(), 13, ["HardSigmoid", "Mul"]),
    (HardSwish(), None, ["HardSwish"]),
    (Softplus(), None, ["Softplus"]),
    (Softplus(threshold=3.0), None, ["Softplus", "Greater", "Where"]),
    (Celu(), None, ["Celu"]),
]


@pytest.mark.parametrize(("layer", "opset", "expected"), FORMS, ids=str)
def test_the_opset_decides_the_form(layer: Layer, opset: int | None, expected: list[str]) -> None:
    reference = next(function for other, function in ELEMENTWISE if type(other) is type(layer))
    if layer in {Gelu("tanh"), Softplus(threshold=3.0)}:
        reference = {Gelu: lambda x: F.gelu(x, approximate="tanh"), Softplus: lambda x: F.softplus(x, threshold=3.0)}[
            type(layer)
        ]
    model = conform(layer, np.float32([EXTREMES]), reference=reference, opset=opset, atol=2e-6)
    assert operators(model) == expected


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("shape", "axis"), [((7,), 0), ((7,), -1), ((3, 4, 5), 0), ((3, 4, 5), 1), ((3, 4, 5), -1)])
def test_softmax_is_torchs(shape: tuple[int, ...], axis: int, opset: int) -> None:
    x = (30 * np.random.default_rng(1).standard_normal((3, *shape))).astype("float32")
    dim = axis + 1 if axis >= 0 else axis
    conform(Softmax(axis), x, reference=lambda x: F.softmax(x, dim), opset=opset, atol=1e-7)
    conform(LogSoftmax(axis), x, reference=lambda x: F.log_softmax(x, dim), opset=opset)


def test_softmax_is_over_the_channels_unless_said_otherwise() -> None:
    x = np.random.default_rng(1).standard_normal((3, 4, 5)).astype("float32")
    conform(Softmax(), x, reference=lambda x: F.softmax(x, 1), types=[TensorType((4, H))], sizes={"H": 5})
    conform(LogSoftmax(), x, reference=lambda x: F.log_softmax(x, 1), types=[TensorType((4, H))], sizes={"H": 5})


def maxout(pieces: int) -> Reference:
    return lambda x: x.unflatten(1, (-1, pieces)).amax(2)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("pieces", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 4, 3), (12, 2, 3, 2)], ids=str)
def test_maxout_is_the_maximum_of_consecutive_channels(shape: tuple[int, ...], pieces: int, opset: int) -> None:
    x = np.random.default_rng(1).standard_normal((3, *shape)).astype("float32")
    conform(Maxout(pieces), x, reference=maxout(pieces), opset=opset, rtol=0, atol=0)


def test_maxout_takes_symbolic_sizes() -> None:
    x = np.random.default_rng(1).standard_normal((3, 6, 4, 5)).astype("float32")
    channels = symbol("C", multiple=2)
    layer, type_ = Maxout(2), TensorType((channels, H, W))
    assert layer.infer(type_).shape == (channels // 2, H, W)
    conform(layer, x, reference=maxout(2), types=[type_], sizes={"C": 6, "H": 4, "W": 5})


ERRORS: list[tuple[Layer, TensorType, str, str | None, str]] = [
    (Relu(), TensorType((5,), DType.INT64), "E0409", None, "float32"),
    (Softmax(), TensorType((5,), DType.BOOL), "E0409", None, "float32"),
    (Maxout(2), TensorType((4,), DType.UINT8), "E0409", None, "float32"),
    (Elu(), TensorType((5,), DType.BFLOAT16), "E0409", None, "float16"),
    (PRelu(shared=False), TensorType(()), "E0401", None, ""),
    (PRelu(shared=False), TensorType((C, 5)), "E0412", None, "input"),
    (Softmax(1), TensorType((5,)), "E0411", "axis", "from 0 to 0"),
    (Softmax(-4), TensorType((5, 4, 3)), "E0411", "axis", "from 0 to 2"),
    (LogSoftmax(), TensorType(()), "E0401", None, ""),
    (Maxout(4), TensorType((6, 5, 5)), "E0405", "pieces", "1, 2, 3, 6"),
    (Maxout(2), TensorType((C, 5)), "E0405", "pieces", "where C % 2 == 0"),
]


@pytest.mark.parametrize(("layer", "type_", "code", "argument", "remedy"), ERRORS, ids=str)
def test_errors(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    refuses(layer, type_, code, argument, remedy)


def test_activations_are_the_elementwise_non_linearities() -> None:
    elementwise = {layer.kind for layer, _ in ELEMENTWISE}
    assert {name for name, layer in LAYERS.items() if layer.activation} == elementwise
