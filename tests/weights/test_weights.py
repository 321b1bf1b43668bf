"""Initial values: their distributions, and what they do and do not depend on; derived values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
import torch

from netdsl.ir.params import Derived, Init, Param, ParamSpec
from netdsl.ir.types import DType
from netdsl.weights import initial as weights
from netdsl.weights.initial import VALUES_AT_ONCE, Initializer, materialize

WEIGHT, BIAS = Init("weight", 50, 200), Init("bias", 50, 200)


def param(init: Init, *shape: int, name: str = "conv.weight", dtype: DType = DType.FLOAT32) -> Param:
    return Param(name, ParamSpec(shape or (400, 500), init, dtype=dtype))


UNIFORM = [
    ("pytorch", WEIGHT, 1 / sqrt(50)),
    ("pytorch", BIAS, 1 / sqrt(50)),
    ("xavier", WEIGHT, sqrt(6 / 250)),
]
NORMAL = [
    ("he", WEIGHT, sqrt(2 / 50)),
    ("normal", WEIGHT, 0.01),
    ("pytorch", Init("normal", value=0.02), 0.02),
    ("he", Init("normal", value=3.0), 3.0),
]


@pytest.mark.parametrize(("scheme", "init", "bound"), UNIFORM)
def test_uniform_values(scheme: str, init: Init, bound: float) -> None:
    values = Initializer(scheme)(param(init))
    assert values.dtype == np.float32
    assert values.shape == (400, 500)
    assert -bound <= values.min() < -0.999 * bound
    assert 0.999 * bound < values.max() <= bound
    quantiles = np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(quantiles, bound * np.array([-0.8, -0.5, 0.0, 0.5, 0.8]), atol=0.01 * bound)


@pytest.mark.parametrize(("scheme", "init", "deviation"), NORMAL)
def test_normal_values(scheme: str, init: Init, deviation: float) -> None:
    values = Initializer(scheme)(param(init))
    assert values.dtype == np.float32
    quantiles = np.quantile(values, [0.0228, 0.1587, 0.5, 0.8413, 0.9772])
    np.testing.assert_allclose(quantiles, deviation * np.array([-2, -1, 0, 1, 2]), atol=0.03 * deviation)


@pytest.mark.parametrize("module", [torch.nn.Linear(50, 4000), torch.nn.Conv2d(2, 4000, 5)])
def test_the_default_is_that_of_torch(module: torch.nn.Module) -> None:
    ours = Initializer()(param(Init("weight", 50, 1), 200_000))
    assert abs(module.weight.abs().max().item() / ours.max() - 1) < 1e-3
    assert abs(module.weight.std().item() / ours.std() - 1) < 0.02


@pytest.mark.parametrize("scheme", ["he", "xavier", "normal"])
def test_other_schemes_have_no_bias(scheme: str) -> None:
    assert not Initializer(scheme)(param(BIAS)).any()


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT16, DType.FLOAT64, DType.INT64, DType.UINT8])
def test_constants_and_tables_have_the_element_type(dtype: DType) -> None:
    constant = Initializer()(param(Init.constant(3), 2, 3, dtype=dtype))
    table = Initializer()(param(Init("table", table=(1.0, 2.0, 3.0, 4.0)), 2, 2, dtype=dtype))
    assert constant.dtype == table.dtype == dtype.value
    assert constant.tolist() == [[3, 3, 3], [3, 3, 3]]
    assert table.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(("dtype", "given"), [("float16", "float16"), ("float64", "float64"), ("bfloat16", "float32")])
def test_drawn_values_have_the_element_type(dtype: str, given: str) -> None:
    assert Initializer()(param(WEIGHT, dtype=DType(dtype))).dtype == given


def test_values_are_the_same_everywhere() -> None:
    uniform = Initializer()(param(WEIGHT, 2, 2))
    normal = Initializer("he", seed=7)(param(WEIGHT, 2, 2))
    want = [[0.026003599, -0.0054528564], [-0.12619624, -0.045805112]]
    np.testing.assert_allclose(uniform, want, rtol=1e-7)
    np.testing.assert_allclose(normal, [[0.030372402, -0.2287823], [-0.10304221, 0.16784424]], rtol=1e-7)


def test_values_depend_on_seed_and_name_alone() -> None:
    draw = Initializer()
    values = draw(param(WEIGHT))
    other = draw(param(WEIGHT, name="other.weight"))
    np.testing.assert_array_equal(draw(param(WEIGHT)), values)
    np.testing.assert_array_equal(Initializer()(param(WEIGHT, name="other.weight")), other)
    assert np.abs(np.corrcoef(values.ravel(), other.ravel())[0, 1]) < 0.02
    assert (Initializer(seed=1)(param(WEIGHT)) != values).mean() > 0.99


@pytest.mark.parametrize("scheme", ["pytorch", "he"])
def test_threads_change_nothing(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    large = param(WEIGHT, 3 * VALUES_AT_ONCE + 5)
    values = Initializer(scheme)(large)
    monkeypatch.setattr(weights, "ThreadPoolExecutor", partial(ThreadPoolExecutor, max_workers=1))
    np.testing.assert_array_equal(Initializer(scheme)(large), values)
    chunks = [values[i : i + 1000] for i in range(0, 3 * VALUES_AT_ONCE, VALUES_AT_ONCE)]
    assert not any((a == b).mean() > 0.01 for a, b in pairwise(chunks))


def test_values_drawn_together_are_those_drawn_alone() -> None:
    params = [
        param(WEIGHT, 3 * VALUES_AT_ONCE + 5, name="large"),
        param(BIAS, 7, name="small", dtype=DType.FLOAT64),
        param(Init.constant(0.1), 3, name="constant", dtype=DType.FLOAT64),
    ]
    together = Initializer().draw(params)
    assert list(together) == ["large", "small", "constant"]
    for each in params:
        np.testing.assert_array_equal(together[each.name], Initializer()(each), strict=True)


def test_derived_values_are_computed_from_their_sources_in_order() -> None:
    x, y = param(Init.constant(2), 1, name="x"), param(Init.constant(5), 1, name="y")
    difference = Param("d", x.spec, Derived(lambda a, b: a - b, (x, y)))
    product = Param("p", x.spec, Derived(lambda a, b, c: a * b * c, (difference, y, y)))
    assert materialize(product, Initializer()).tolist() == [-75]


def test_long_chains_of_derived_values() -> None:
    current = param(Init.constant(0), 1)
    for _ in range(20_000):
        current = Param("next", current.spec, Derived(lambda a: a + 1, (current,)))
    assert materialize(current, Initializer()).tolist() == [20_000]
