"""Maps y = a*x + b for each channel: against torch, and as the coefficients that a pass folds."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from conformance import conform, operators
from refusals import refuses
from trained import trained

from netdsl.ir.dim import symbol
from netdsl.ir.params import Param
from netdsl.ir.types import DType, TensorType
from netdsl.layers.affine import Affine, ChannelAffine, Normalize, Scale
from netdsl.layers.norm import BatchNorm

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer

OPSETS = [13, 18, 21]
SHAPES = [(3,), (3, 5), (3, 4, 6), (3, 2, 3, 4)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
C, H, W = symbol("C"), symbol("H"), symbol("W")


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, *shape)).astype(dtype)


def along(vector: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return vector.reshape(-1, *(1 for _ in x.shape[2:]))


def affine(x: torch.Tensor, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> torch.Tensor:
    y = x if weight is None else x * along(weight, x)
    return y if bias is None else y + along(bias, x)


def normalize(mean: tuple[float, ...], std: tuple[float, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: (x - along(torch.tensor(mean, dtype=x.dtype), x)) / along(torch.tensor(std, dtype=x.dtype), x)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_affine(shape: tuple[int, ...], scale: bool, bias: bool, opset: int) -> None:
    model = conform(Affine(scale, bias), data(*shape), reference=affine, opset=opset)
    assert operators(model).count("Mul") == scale
    assert operators(model).count("Add") == bias


def test_affine_has_the_parameters_of_batch_norm() -> None:
    specs = Affine().params(TensorType((3, 4, 4)))
    norm = torch.nn.BatchNorm2d(3, track_running_stats=False)
    conform(Affine(), data(3, 4, 4), reference=affine, module=norm)
    assert {role: spec.init.value for role, spec in specs.items()} == {"weight": 1.0, "bias": 0.0}
    assert list(Affine(scale=False).params(TensorType((3,)))) == ["bias"]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("mean", "std"), [(MEAN, STD), ((0.5,), STD), (MEAN, (2.0,)), ((0.1307,), (0.3081,))])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normalize(shape: tuple[int, ...], mean: tuple[float, ...], std: tuple[float, ...], opset: int) -> None:
    model = conform(Normalize(mean, std), data(*shape), reference=normalize(mean, std), opset=opset)
    assert operators(model) == ["Sub", "Div"]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.1, 1e-30])
@pytest.mark.parametrize("shape", [(), *SHAPES], ids=str)
def test_scale(shape: tuple[int, ...], factor: float, opset: int) -> None:
    model = conform(Scale(factor), data(*shape), reference=lambda x: x * factor, opset=opset, atol=0)
    assert operators(model) == ["Mul"]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats(dtype: str) -> None:
    tolerance = 1e-2 if dtype == "float16" else 1e-12
    x = data(3, 4, 4, dtype=dtype)
    conform(Affine(), x, reference=affine, rtol=tolerance, atol=tolerance)
    conform(Normalize(MEAN, STD), x, reference=normalize(MEAN, STD), rtol=tolerance, atol=tolerance)
    conform(Scale(0.1), x, reference=lambda x: 0.1 * x, rtol=tolerance, atol=tolerance)


def test_symbolic_sizes() -> None:
    options = {"types": [TensorType((3, H, W))], "sizes": {"H": 4, "W": 6}}
    conform(Affine(), data(3, 4, 6), reference=affine, **options)
    conform(Normalize(MEAN, STD), data(3, 4, 6), reference=normalize(MEAN, STD), **options)
    everywhere = Normalize((0.5,), (2.0,))
    conform(everywhere, data(3, 4, 6), reference=normalize((0.5,), (2.0,)), types=[TensorType((C, H, W))],
            sizes={"C": 3, "H": 4, "W": 6})  # fmt: skip


FOLDABLE: list[ChannelAffine] = [
    Scale(-0.3),
    Affine(),
    Affine(scale=False),
    Affine(bias=False),
    Affine(scale=False, bias=False),
    Normalize(MEAN, STD),
    Normalize((0.5,), STD),
    Normalize(MEAN, (2.0,)),
    Normalize((0.5,), (2.0,)),
    BatchNorm(),
    BatchNorm(eps=1e-2, affine=False),
]


@pytest.mark.parametrize("layer", FOLDABLE, ids=str)
def test_the_coefficients_say_what_the_lowering_does(layer: ChannelAffine) -> None:
    x = data(3, 4, 6)
    values = {role: trained(Param(role, spec)) for role, spec in layer.params(TensorType((3, 4, 6))).items()}
    scale, shift = pickle.loads(pickle.dumps(layer)).scale_shift(**values)  # noqa: S301 - our own bytes
    assert scale.dtype == shift.dtype == np.float32
    assert {scale.shape, shift.shape} <= {(1,), (3,)}
    reference = lambda x, **_: affine(x, torch.tensor(scale), torch.tensor(shift))  # noqa: E731 - it is one formula
    conform(layer, x, reference=reference, params=values, torch_tolerance=1e-5)


@pytest.mark.parametrize(
    ("given", "returned"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_coefficients_are_computed_in_float64(given: str, returned: str) -> None:
    """A variance of 0.1 in float32 is off by 1.5e-9: what is returned must not be off by more than its rounding."""
    variance = np.array([0.1, 1e-3, 7.0], given)
    mean = np.array([1 / 3, -20.0, 0.0], given)
    scale, shift = BatchNorm(affine=False).scale_shift(running_mean=mean, running_var=variance)
    exact = 1 / np.sqrt(variance.astype("float64") + 1e-5)
    assert np.array_equal(scale, exact.astype(returned))
    assert np.array_equal(shift, (-mean.astype("float64") * exact).astype(returned))
    assert scale.dtype == shift.dtype == returned


ERRORS: list[tuple[Layer, TensorType, str, str | None, str]] = [
    (Affine(), TensorType((3, 4), DType.INT32), "E0409", None, "float32"),
    (Normalize((0.0,), (255.0,)), TensorType((3, 4), DType.UINT8), "E0409", None, "float32"),
    (Affine(), TensorType(()), "E0401", None, ""),
    (Scale(0.1), TensorType((3, 4), DType.INT32), "E0409", None, "float32"),
    (Affine(), TensorType((C, 4)), "E0412", None, "input"),
    (Normalize(MEAN, STD), TensorType((1, 28, 28)), "E0401", "mean", "1"),
    (Normalize(MEAN, STD), TensorType((4, 28, 28)), "E0401", "mean", "one number, or 4"),
    (Normalize((0.5,), STD), TensorType((4, 28, 28)), "E0401", "std", "one number, or 4"),
    (Normalize((), ()), TensorType((3, 28, 28)), "E0401", "mean", "one number, or 3"),
    (Normalize(MEAN, STD), TensorType((C, 28, 28)), "E0412", None, "input"),
]


@pytest.mark.parametrize(("layer", "type_", "code", "argument", "remedy"), ERRORS, ids=str)
def test_errors(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    refuses(layer, type_, code, argument, remedy)
