"""Embeddings and positions against torch, through ONNX and onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from conformance import conform, operators
from refusals import refuses
from trained import trained

from netdsl.backends.onnx.file import assemble
from netdsl.backends.onnx.lower import lower
from netdsl.backends.torch import lower as torch_backend
from netdsl.compiler import check_text
from netdsl.ir.dim import symbol
from netdsl.ir.params import Param
from netdsl.ir.types import DType, TensorType
from netdsl.layers.embedding import Embedding, Positions
from netdsl.weights.initial import Initializer

if TYPE_CHECKING:
    from netdsl.layers.base import Layer

OPSETS = [13, 18, 21]
T, C = symbol("T"), symbol("C")


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, *shape)).astype(dtype)


# --------------------------------------------------------------------------------------------------------- embedding


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 5)], ids=str)
def test_embedding_is_torchs(shape: tuple[int, ...], dtype: str, opset: int) -> None:
    tokens = np.random.default_rng(1).integers(0, 7, (3, *shape)).astype(dtype)
    peer = torch.nn.Embedding(7, 4)
    conform(Embedding(7, 4), tokens, reference=F.embedding, module=peer, opset=opset)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 5, 4)], ids=str)
def test_embedding_of_vectors_is_its_transpose(shape: tuple[int, ...], opset: int) -> None:
    layer = Embedding(7, 4)
    conform(layer, data(*shape), reference=F.linear, opset=opset)
    x = TensorType(shape)
    assert layer.macs(layer.infer(x), x) == 7 * np.prod(shape)


def test_embedding_takes_symbolic_sizes() -> None:
    tokens = np.random.default_rng(1).integers(0, 7, (3, 5))
    sizes = {"sizes": {"T": 5}}
    conform(Embedding(7, 4), tokens, reference=F.embedding, types=[TensorType((T,), DType.INT64)], **sizes)
    conform(Embedding(7, 4), data(5, 4), reference=F.linear, types=[TensorType((T, 4))], **sizes)


def test_embedding_is_drawn_like_torchs() -> None:
    for std, given in ((1.0, {}), (0.02, {"std": 0.02})):
        spec = Embedding(500, 400, **given).params(TensorType((5,), DType.INT64))["weight"]
        values = Initializer()(Param("it.weight", spec))
        assert abs(values.std() / std - 1) < 0.01
        assert abs(values.mean() / std) < 0.01


@pytest.mark.parametrize("body", ["wte: embedding 9 4\nrelu\nreuse wte", "wte: embedding 9 4\nrelu\nhead: reuse wte"])
def test_an_embedding_and_the_output_layer_share_one_tensor(body: str) -> None:
    graph = check_text(f"net a {{\ninput tokens: [T] int64\n{body}\nexpect [T, 9]\nassert params == 36\n}}").graph
    tokens = np.random.default_rng(1).integers(0, 9, (3, 5))
    table = torch.from_numpy(trained(graph.params["wte.weight"]))
    module = torch_backend.lower(graph, trained)
    assert list(module.state_dict()) == ["wte.weight"]
    want = F.relu(F.embedding(torch.from_numpy(tokens), table)) @ table.T
    torch.testing.assert_close(module(torch.from_numpy(tokens)), want)
    model = assemble(lower(graph), trained)
    assert [tensor.name for tensor in model.graph.initializer if tensor.name.endswith("weight")] == ["wte.weight"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"tokens": tokens})[0], want.numpy(), rtol=1e-4, atol=1e-5)


def test_both_uses_of_an_embedding_train_it() -> None:
    graph = check_text("net a {\ninput tokens: [T] int64\nwte: embedding 9 4\nreuse wte\n}").graph
    module = torch_backend.lower(graph, trained)
    (table,) = module.parameters()
    module(torch.tensor([[1, 2]]))[:, :, 5].sum().backward()
    touched = {row for row in range(9) if table.grad[row].abs().max() > 0}
    assert touched == {1, 2, 5}


# --------------------------------------------------------------------------------------------------------- positions


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("most", [5, 8])
@pytest.mark.parametrize("symbolic", [False, True])
def test_positions_are_an_embedding_of_the_numbers(symbolic: bool, most: int, opset: int) -> None:
    options = {"types": [TensorType((symbol("T", maximum=most), 4))], "sizes": {"T": 5}} if symbolic else {}
    model = conform(
        Positions(most), data(5, 4), opset=opset, module=torch.nn.Embedding(most, 4),
        reference=lambda x, weight: x + F.embedding(torch.arange(5), weight), **options,
    )  # fmt: skip
    assert (operators(model) == ["Add"]) == (most == 5 and not symbolic)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_positions_take_other_floats(dtype: str) -> None:
    tolerance = 1e-2 if dtype == "float16" else 1e-12
    conform(Positions(8), data(5, 4, dtype=dtype), reference=lambda x, weight: x + weight[:5],
            rtol=tolerance, atol=tolerance)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ errors

ERRORS: list[tuple[Layer, TensorType, str, str | None, str]] = [
    (Embedding(7, 4), TensorType((5,)), "E0409", None, "[T] int64"),
    (Embedding(7, 4), TensorType((5,), DType.UINT8), "E0409", None, "int64"),
    (Embedding(7, 4), TensorType((4,), DType.FLOAT64), "E0409", None, ""),
    (Embedding(7, 4), TensorType((T,)), "E0409", None, "int64"),
    (Positions(8), TensorType((5,)), "E0401", None, ""),
    (Positions(8), TensorType((5, 4), DType.UINT8), "E0409", None, "float32"),
    (Positions(8), TensorType((5, C)), "E0412", None, "input"),
    (Positions(8), TensorType((9, 4)), "E0306", "most", "positions 9"),
    (Positions(8), TensorType((T + 8, 4)), "E0306", "most", ""),
]


@pytest.mark.parametrize(("layer", "type_", "code", "argument", "remedy"), ERRORS, ids=str)
def test_errors(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    refuses(layer, type_, code, argument, remedy)
