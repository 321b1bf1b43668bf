"""Self-attention against torch.nn.MultiheadAttention, through ONNX and onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conformance import conform, operators
from graphs import one_layer
from refusals import refuses
from trained import trained

from netdsl.backends.onnx.file import assemble
from netdsl.backends.onnx.lower import lower
from netdsl.backends.torch import lower as torch_backend
from netdsl.compiler import check_text
from netdsl.ir.dim import symbol
from netdsl.ir.params import Param
from netdsl.ir.types import DType, TensorType
from netdsl.layers.attention import Attention
from netdsl.weights.initial import Initializer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netdsl.layers.base import Layer

OPSETS = [13, 14, 18, 21]
T, C = symbol("T"), symbol("C")


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, *shape)).astype(dtype)


def module(layer: Attention, size: int) -> torch.nn.Module:
    return torch.nn.MultiheadAttention(size, layer.heads, bias=layer.bias, batch_first=True)


def reference(layer: Attention, size: int) -> Callable[..., torch.Tensor]:
    """PyTorch's module with the same tensor for queries, keys and values, and a mask if need be."""
    peer = module(layer, size).eval()

    def call(x: torch.Tensor, **params: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if layer.causal else None
        options = {"need_weights": False, "attn_mask": mask}
        return torch.func.functional_call(peer, params, (x, x, x), options)[0]

    return call


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_attention_is_torchs(heads: int, bias: bool, causal: bool) -> None:
    layer = Attention(heads, causal, bias)
    peer, call = module(layer, 6), reference(layer, 6)
    for opset in OPSETS:
        conform(layer, data(5, 6), reference=call, module=peer, opset=opset, torch_tolerance=1e-5)
        conform(layer, data(5, 6), reference=call, types=[TensorType((T, 6))], sizes={"T": 5}, opset=opset,
                torch_tolerance=1e-5)  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_attention_takes_other_floats(dtype: str, causal: bool) -> None:
    tolerance = 2e-2 if dtype == "float16" else 1e-9
    layer = Attention(2, causal)
    conform(layer, data(5, 6, dtype=dtype), reference=reference(layer, 6), rtol=tolerance, atol=tolerance,
            torch_tolerance=tolerance)  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
def test_one_file_takes_every_length(causal: bool) -> None:
    layer, x = Attention(2, causal), TensorType((T, 6))
    params = {role: torch.from_numpy(trained(Param(f"it.{role}", spec))) for role, spec in layer.params(x).items()}
    model = assemble(lower(one_layer(layer, x)), trained)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for steps in (1, 2, 17):
        (got,) = session.run(None, {"x0": data(steps, 6)})
        want = reference(layer, 6)(torch.from_numpy(data(steps, 6)), **params).detach().numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", ["T", "9"])
def test_onnxruntime_makes_one_mask_for_all_layers(size: str, tmp_path: Path) -> None:
    graph = check_text(f"net a {{\ninput x: [{size}, 6]\nrepeat 3 {{ attention 2 causal=yes }}\n}}").graph
    model = assemble(lower(graph), trained)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(tmp_path / "optimized.onnx")
    assert [node.op_type for node in optimized.graph.node].count("Softmax") == 3
    assert [node.op_type for node in optimized.graph.node].count("Where") <= 1


def test_a_causal_position_sees_nothing_behind_it() -> None:
    module = torch_backend.lower(one_layer(Attention(2, causal=True), TensorType((T, 6))), trained).eval()
    x = torch.from_numpy(data(7, 6))
    with torch.no_grad():
        torch.testing.assert_close(module(x)[:, :4], module(x[:, :4]))


def test_dropout_acts_on_the_weights_in_training() -> None:
    """With all of them dropped, what is left is the bias of the last projection."""
    layer = Attention(2, dropout=1.0)
    graph = one_layer(layer, TensorType((5, 6)))
    bias = trained(Param("it.out_proj.bias", layer.params(TensorType((5, 6)))["out_proj.bias"]))
    model = assemble(lower(graph, training=True), trained)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x0": data(5, 6)})
    np.testing.assert_allclose(got, np.broadcast_to(bias, got.shape), rtol=1e-5, atol=1e-6)
    module = torch_backend.lower(graph, trained).train()
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.from_numpy(data(5, 6))).numpy(), got, rtol=1e-5, atol=1e-6)


def test_dropout_does_nothing_at_inference() -> None:
    layer = Attention(2, dropout=0.3)
    model = conform(layer, data(5, 6), reference=reference(layer, 6), torch_tolerance=1e-5)
    assert "Dropout" not in operators(model)


@pytest.mark.parametrize("role", ["in_proj_weight", "out_proj.weight"])
def test_initial_values_are_those_of_torch(role: str) -> None:
    """Both are uniform; the largest of so many lies close to the bound."""
    spec = Attention(4).params(TensorType((5, 256)))[role]
    ours = np.abs(Initializer()(Param(f"it.{role}", spec))).max()
    theirs = torch.nn.MultiheadAttention(256, 4).state_dict()[role].abs().max().item()
    assert abs(ours / theirs - 1) < 0.01


def test_macs_of_vit_b_16() -> None:
    """4 * 197 * 768^2 for the projections and 2 * 197^2 * 768 for the products."""
    x = TensorType((197, 768))
    assert Attention(12).macs(x, x) == 464_781_312 + 59_610_624
    assert Attention(12).connections(x, x) == 464_781_312 + 59_610_624 + 4 * 197 * 768
    assert Attention(12).macs(TensorType((T, 8)), TensorType((T, 8))) == 256 * T + 16 * T * T


ERRORS: list[tuple[Layer, TensorType, str, str | None, str]] = [
    (Attention(2), TensorType((6,)), "E0401", None, "flatten"),
    (Attention(2), TensorType((3, 5, 6)), "E0401", None, ""),
    (Attention(2), TensorType((5,), DType.INT64), "E0409", None, "embedding"),
    (Attention(2), TensorType((5, 6), DType.BFLOAT16), "E0409", None, "float32"),
    (Attention(4), TensorType((5, 6)), "E0405", "heads", "1, 2, 3, 6"),
    (Attention(2), TensorType((5, C)), "E0412", None, "input"),
]


@pytest.mark.parametrize(("layer", "type_", "code", "argument", "remedy"), ERRORS, ids=str)
def test_errors(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    refuses(layer, type_, code, argument, remedy)
