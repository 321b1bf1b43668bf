"""Recurrent layers against torch, through ONNX and onnxruntime."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from conformance import conform, operators
from graphs import one_layer
from refusals import refuses
from trained import trained

from netdsl.backends.onnx.file import assemble
from netdsl.backends.onnx.lower import lower
from netdsl.ir.dim import symbol
from netdsl.ir.params import Param
from netdsl.ir.types import DType, TensorType
from netdsl.layers.recurrent import Gru, Lstm, Rnn
from netdsl.weights.initial import Initializer

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer

KINDS = {Rnn: torch.nn.RNN, Lstm: torch.nn.LSTM, Gru: torch.nn.GRU}
OPSETS = [13, 14, 18, 21]
T, C = symbol("T"), symbol("C")
CLOSE = {"torch_tolerance": 1e-6}
"""PyTorch chooses how to multiply by where the weights lie, too, and the last bit with it."""


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, *shape)).astype(dtype)


def module(layer: Layer, features: int) -> torch.nn.Module:
    """PyTorch's module for a layer."""
    options = {"nonlinearity": layer.act} if isinstance(layer, Rnn) else {}
    return KINDS[type(layer)](
        features, layer.hidden, layer.layers, bias=layer.bias, batch_first=True, bidirectional=layer.bidirectional,
        dropout=layer.dropout, **options,
    )  # fmt: skip


def reference(layer: Layer, features: int) -> Callable[..., torch.Tensor]:
    """The outputs, or the last state of the last layer, as users of PyTorch take them."""
    peer = module(layer, features).eval()

    def call(x: torch.Tensor, **params: torch.Tensor) -> torch.Tensor:
        outputs, state = torch.func.functional_call(peer, params, (x,))
        if not layer.last:
            return outputs
        state = state[0] if isinstance(state, tuple) else state
        return torch.cat([state[-2], state[-1]], 1) if layer.bidirectional else state[-1]

    return call


CASES = [
    cls(4, layers, bidirectional, bias, last=last)
    for cls, layers, bidirectional, bias, last in product(KINDS, (1, 3), (False, True), (True, False), (False, True))
]


@pytest.mark.parametrize("layer", CASES, ids=str)
def test_they_are_torchs(layer: Layer) -> None:
    peer = module(layer, 5)
    for opset in OPSETS:
        conform(layer, data(6, 5), reference=reference(layer, 5), module=peer, opset=opset, **CLOSE)
    options = {"types": [TensorType((T, 5))], "sizes": {"T": 6}, **CLOSE}
    model = conform(layer, data(6, 5), reference=reference(layer, 5), module=peer, **options)
    assert operators(model).count(layer.kind.upper()) == layer.layers


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_rnn_takes_relu(bidirectional: bool, last: bool) -> None:
    layer = Rnn(4, 2, bidirectional, last=last, act="relu")
    conform(layer, data(6, 5), reference=reference(layer, 5), module=module(layer, 5), **CLOSE)


@pytest.mark.parametrize("cls", KINDS)
def test_they_take_halves(cls: type[Layer]) -> None:
    layer = cls(4, 2, bidirectional=True)
    conform(layer, data(6, 5, dtype="float16"), reference=reference(layer, 5), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("cls", KINDS)
def test_one_step_is_a_sequence(cls: type[Layer]) -> None:
    """The state before it is 0, so that the weights of the state get no gradient: only the ONNX model is compared."""
    layer = cls(4, bidirectional=True)
    model = assemble(lower(one_layer(layer, TensorType((T, 5)))), trained)
    params = {role: torch.from_numpy(trained(Param(f"it.{role}", spec)))
              for role, spec in layer.params(TensorType((T, 5))).items()}  # fmt: skip
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for steps in (1, 2, 9):
        x = data(steps, 5)
        (got,) = session.run(None, {"x0": x})
        want = reference(layer, 5)(torch.from_numpy(x), **params).detach().numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", KINDS)
def test_dropout_stands_between_the_layers_in_training(cls: type[Layer]) -> None:
    layer = cls(4, 3, dropout=0.4)
    conform(layer, data(6, 5), reference=reference(layer, 5), module=module(layer, 5), **CLOSE)
    graph = one_layer(layer, TensorType((6, 5)))
    written = [node.op_type for node in lower(graph, training=True).proto.graph.node]
    assert [op for op in written if op in ("Dropout", cls.kind.upper())] == [
        cls.kind.upper(), "Dropout", cls.kind.upper(), "Dropout", cls.kind.upper(),
    ]  # fmt: skip
    assert "Dropout" not in [node.op_type for node in lower(graph).proto.graph.node]


@pytest.mark.parametrize("cls", KINDS)
def test_macs_and_connections_are_those_of_the_weights(cls: type[Layer]) -> None:
    """Each weight is used once a step; of the two biases of a unit, one would do."""
    layer, x = cls(8, 2, bidirectional=True), TensorType((10, 6))
    specs = layer.params(x)
    weights = sum(spec.elements for role, spec in specs.items() if role.startswith("weight"))
    biases = sum(spec.elements for role, spec in specs.items() if role.startswith("bias_ih"))
    assert layer.macs(layer.infer(x), x) == 10 * weights
    assert layer.connections(layer.infer(x), x) == 10 * (weights + biases)
    symbolic = TensorType((T, 6))
    assert layer.macs(layer.infer(symbolic), symbolic) == T * weights


@pytest.mark.parametrize("cls", KINDS)
def test_initial_values_lie_within_torchs_bound(cls: type[Layer]) -> None:
    """1/sqrt(hidden) for all of them, whatever the number of inputs."""
    for role, spec in cls(64).params(TensorType((10, 1000))).items():
        values = Initializer()(Param(role, spec))
        assert 0.9 / 8 < np.abs(values).max() <= 1 / 8


ERRORS: list[tuple[Layer, TensorType, str, str | None, str]] = [
    (Lstm(4), TensorType((5,)), "E0401", None, "flatten"),
    (Lstm(4), TensorType((3, 4, 5)), "E0401", None, ""),
    (Gru(4), TensorType((6, 5), DType.INT64), "E0409", None, "embedding"),
    (Gru(4), TensorType((6, 5), DType.FLOAT64), "E0409", None, "float32"),
    (Rnn(4), TensorType((6, C)), "E0412", None, "input"),
    (Lstm(4, 101), TensorType((6, 5)), "E0703", "layers", ""),
    (Lstm(4, dropout=0.5), TensorType((6, 5)), "E0306", "dropout", "`dropout 0.5`"),
]


@pytest.mark.parametrize(("layer", "type_", "code", "argument", "remedy"), ERRORS, ids=str)
def test_errors(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    refuses(layer, type_, code, argument, remedy)
