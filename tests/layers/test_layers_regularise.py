"""Dropouts: nothing at inference, and the right distribution in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from conformance import conform, operators
from graphs import one_layer
from refusals import refused

from netdsl.backends.onnx.lower import lower
from netdsl.ir.dim import Dim, symbol
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import ArgumentError
from netdsl.layers.base import Layer, signature
from netdsl.layers.regularise import Dropout, Dropout2d, DropPath

if TYPE_CHECKING:
    import torch

OPSETS = [13, 18, 21]
SAMPLES = 400
H = symbol("H")


def same(x: torch.Tensor) -> torch.Tensor:
    return x


def trained(
    layer: Layer, x: np.ndarray, opset: int | None = None, batch: int | None = None, shape: tuple[Dim, ...] = ()
) -> list[np.ndarray]:
    """Two runs of the training graph; `shape` is that of a sample where it is not simply that of `x`."""
    graph = one_layer(layer, TensorType(shape or x.shape[1:], DType(str(x.dtype))))
    model = lower(graph, opset=opset, training=True, batch=batch).proto
    onnx.checker.check_model(model, full_check=True)
    onnxruntime.set_seed(7)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x0": x})[0] for _ in range(2)]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 4, 3)], ids=str)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_they_do_nothing_at_inference(p: float, shape: tuple[int, ...], opset: int) -> None:
    x = np.random.default_rng(1).standard_normal((3, *shape)).astype("float32")
    written = conform(Dropout(p), x, reference=same, opset=opset, rtol=0, atol=0)
    assert operators(written) == (["Dropout"] if p < 1 else [])
    assert operators(conform(DropPath(p), x, reference=same, opset=opset)) == []
    if len(shape) > 1:
        assert operators(conform(Dropout2d(p), x, reference=same, opset=opset)) == []


DRAWN = [
    (Dropout, (8, 4, 3), (SAMPLES, 8, 4, 3)),
    (Dropout, (8,), (SAMPLES, 8)),
    (Dropout2d, (8, 4, 3), (SAMPLES, 8, 1, 1)),
    (Dropout2d, (8, 5), (SAMPLES, 8, 1)),
    (DropPath, (8, 4, 3), (SAMPLES, 1, 1, 1)),
    (DropPath, (8,), (SAMPLES, 1)),
]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("batch", [None, SAMPLES])
@pytest.mark.parametrize("p", [0.2, 0.7])
@pytest.mark.parametrize(("kind", "shape", "drawn"), DRAWN)
def test_in_training_parts_are_dropped_and_the_rest_is_scaled(
    kind: type[Dropout | Dropout2d | DropPath],
    shape: tuple[int, ...],
    drawn: tuple[int, ...],
    p: float,
    batch: int | None,
    opset: int,
) -> None:
    x = 1 + np.random.default_rng(1).random((SAMPLES, *shape)).astype("float32")
    first, second = trained(kind(p), x, opset, batch)
    factor = first / x
    kept = factor > 0
    np.testing.assert_allclose(factor[kept], 1 / (1 - p), rtol=1e-6)
    parts = kept[tuple(slice(size) for size in drawn)]
    assert np.array_equal(kept, np.broadcast_to(parts, kept.shape)), "a part is dropped whole or not at all"
    deviation = np.sqrt(p * (1 - p) / parts.size)
    assert abs(parts.mean() - (1 - p)) < 5 * deviation
    assert not np.array_equal(first, second), "each step draws anew"


@pytest.mark.parametrize("kind", [Dropout, Dropout2d, DropPath])
def test_the_ends_of_the_range(kind: type[Dropout | Dropout2d | DropPath]) -> None:
    x = np.random.default_rng(1).standard_normal((SAMPLES, 3, 4)).astype("float32")
    for p, factor in ((0.0, 1.0), (1.0, 0.0)):
        for y in trained(kind(p), x):
            assert np.array_equal(y, factor * x)


@pytest.mark.parametrize("kind", [Dropout, Dropout2d, DropPath])
def test_halves_and_symbolic_sizes(kind: type[Dropout | Dropout2d | DropPath]) -> None:
    x = np.ones((SAMPLES, 3, 4), "float16")
    for y in trained(kind(0.5), x, shape=(3, H)):
        assert set(np.unique(y)) == {0.0, 2.0}


def test_their_one_argument_is_a_probability() -> None:
    for kind, default in ((Dropout, 0.5), (Dropout2d, 0.5), (DropPath, None)):
        (field,) = signature(kind)
        assert field.name == "p"
        assert field.required == (default is None)
        assert default is None or field.default == default
        assert kind.training_only
        assert not kind.activation
        for wrong in (-0.1, 1.5):
            with pytest.raises(ArgumentError) as caught:
                field.kind.convert(wrong)
            assert caught.value.code == "E0306"


@pytest.mark.parametrize("layer", [Dropout(), Dropout2d(), DropPath(0.1)], ids=str)
def test_they_take_floating_point_numbers(layer: Layer) -> None:
    assert refused(layer, TensorType((3, 4), DType.INT64)).code == "E0409"


def test_dropout2d_needs_channels_of_something() -> None:
    assert refused(Dropout2d(), TensorType((3,))).code == "E0401"
