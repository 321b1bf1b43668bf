"""Normalizations against torch, through ONNX and onnxruntime."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from conformance import conform, operators
from graphs import Sketch, one_layer
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from refusals import refused, refuses

from netdsl.backends.onnx.lower import LoweredModel, lower
from netdsl.backends.torch import lower as torch_backend
from netdsl.compiler import check_text
from netdsl.ir.dim import symbol
from netdsl.ir.types import DType, TensorType
from netdsl.layers.norm import BatchNorm, ChannelNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm
from netdsl.weights.initial import Initializer

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer

OPSETS = [13, 18, 21]
SHAPES = [(6,), (6, 5), (6, 4, 3), (6, 2, 3, 4)]
BATCH_NORMS = {1: torch.nn.BatchNorm1d, 2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm2d, 4: torch.nn.BatchNorm3d}
INSTANCE_NORMS = {2: torch.nn.InstanceNorm1d, 3: torch.nn.InstanceNorm2d, 4: torch.nn.InstanceNorm3d}
C, H, W = symbol("C"), symbol("H"), symbol("W")


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Samples whose mean and deviation are far from 0 and 1."""
    return (1.5 + 3 * np.random.default_rng(1).standard_normal((3, *shape))).astype(dtype)


def called(module: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """The module with parameters handed to each call."""
    return lambda x, **params: torch.func.functional_call(module, params, (x,))


# ---------------------------------------------------------------------------------------------------------------- bn


def batch_norm(rank: int, *arguments: float, **options: bool) -> torch.nn.Module:
    """Torch's module at inference, without its count of batches, which the graph has no use for."""
    module = BATCH_NORMS[rank](6, *arguments, **options).eval()
    module.num_batches_tracked = None
    return module


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bn_is_torch_batch_norm(shape: tuple[int, ...], eps: float, affine: bool, opset: int) -> None:
    module = batch_norm(len(shape), eps, affine=affine)
    layer = BatchNorm(eps=eps, affine=affine)
    model = conform(layer, data(*shape), reference=called(module), module=module, opset=opset)
    assert operators(model) == ["BatchNormalization"]


def test_bn_and_instance_norm_take_more_dimensions_than_torchs_modules() -> None:
    x = data(6, 2, 3, 2, 2)
    for eps, affine in product((1e-5, 0.1), (True, False)):
        conform(BatchNorm(eps=eps, affine=affine), x, reference=partial(F.batch_norm, eps=eps))
        conform(InstanceNorm(eps, affine), x, reference=partial(F.instance_norm, eps=eps))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_bn_takes_other_floats(dtype: str) -> None:
    module = batch_norm(3)
    tolerance = 1e-2 if dtype == "float16" else 1e-12
    conform(BatchNorm(), data(6, 4, 3, dtype=dtype), reference=called(module), rtol=tolerance, atol=tolerance)


def test_bn_takes_symbolic_sizes() -> None:
    types = [TensorType((6, H, W))]
    conform(BatchNorm(), data(6, 4, 3), reference=called(batch_norm(3)), types=types, sizes={"H": 4, "W": 3})


# --------------------------------------------------------------------------------------------------- ln and rmsnorm

NORMALIZED = [((6,), 1), ((5, 6), 1), ((5, 6), 2), ((4, 5, 6), 1), ((4, 5, 6), 2), ((4, 5, 6), 3), ((1,), 1)]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 1e-1])
@pytest.mark.parametrize(("shape", "dims"), NORMALIZED)
def test_ln_is_torch_layer_norm(shape: tuple[int, ...], dims: int, eps: float, bias: bool, opset: int) -> None:
    module = torch.nn.LayerNorm(shape[-dims:], eps, bias=bias)
    layer = LayerNorm(dims, eps, bias)
    model = conform(layer, data(*shape), reference=called(module), module=module, opset=opset)
    assert (operators(model) == ["LayerNormalization"]) == (opset >= 17)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("eps", [None, 1e-6, 1e-1])
@pytest.mark.parametrize(("shape", "dims"), NORMALIZED)
def test_rmsnorm_is_torch_rms_norm(shape: tuple[int, ...], dims: int, eps: float | None, opset: int) -> None:
    module = torch.nn.RMSNorm(shape[-dims:], eps)
    conform(RmsNorm(dims, eps), data(*shape), reference=called(module), module=module, opset=opset)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("layer", [LayerNorm(), RmsNorm(), RmsNorm(eps=1e-3)], ids=str)
def test_ln_and_rmsnorm_sum_halves_in_float32(layer: LayerNorm | RmsNorm, scale: float, opset: int) -> None:
    """The squares of thousands do not fit into float16, and those of thousandths vanish in it."""
    module = torch.nn.LayerNorm(6) if isinstance(layer, LayerNorm) else torch.nn.RMSNorm(6, layer.eps)
    x = (data(5, 6) * scale).astype("float16")
    conform(layer, x, reference=called(module), opset=opset, rtol=4e-3, atol=4e-3)


@pytest.mark.parametrize("opset", OPSETS)
def test_ln_and_rmsnorm_take_float64(opset: int) -> None:
    x = data(5, 6, dtype="float64")
    conform(LayerNorm(), x, reference=called(torch.nn.LayerNorm(6)), opset=opset, rtol=1e-12, atol=1e-12)
    conform(RmsNorm(), x, reference=called(torch.nn.RMSNorm(6)), opset=opset, rtol=1e-12, atol=1e-12)
    conform(RmsNorm(), 1e-7 * x, reference=called(torch.nn.RMSNorm(6)), opset=opset, rtol=1e-12, atol=1e-12)


def test_ln_and_rmsnorm_take_symbolic_leading_sizes() -> None:
    options = {"types": [TensorType((H, 6))], "sizes": {"H": 5}}
    for opset in OPSETS:
        conform(LayerNorm(), data(5, 6), reference=called(torch.nn.LayerNorm(6)), opset=opset, **options)
        conform(RmsNorm(), data(5, 6), reference=called(torch.nn.RMSNorm(6)), opset=opset, **options)


class LayerNormOfChannels(torch.nn.LayerNorm):
    """As ConvNeXt has it: channels last, normalized, and back."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spatial = range(1, x.ndim - 1)
        last = x.permute(0, *(axis + 1 for axis in spatial), 1)
        return super().forward(last).permute(0, x.ndim - 1, *spatial)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("eps", [1e-6, 1e-1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_channel_ln_is_torch_layer_norm_of_channels(shape: tuple[int, ...], eps: float, bias: bool, opset: int) -> None:
    module = LayerNormOfChannels(6, eps, bias=bias)
    conform(ChannelNorm(eps, bias), data(*shape), reference=called(module), module=module, opset=opset)


def test_channel_ln_takes_symbolic_sizes() -> None:
    types = [TensorType((6, H, W))]
    conform(ChannelNorm(), data(6, 4, 3), reference=called(LayerNormOfChannels(6)), types=types, sizes={"H": 4, "W": 3})


# ------------------------------------------------------------------------------------------------ gn, instance_norm


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gn_is_torch_group_norm(shape: tuple[int, ...], groups: int, affine: bool, opset: int) -> None:
    module = torch.nn.GroupNorm(groups, 6, affine=affine)
    layer = GroupNorm(groups, affine=affine)
    conform(layer, data(*shape), reference=called(module), module=module, opset=opset)


@pytest.mark.parametrize(
    ("layer", "shape", "module"),
    [
        (GroupNorm(6), (6,), torch.nn.GroupNorm(6, 6)),
        (GroupNorm(3), (3, 1, 1), torch.nn.GroupNorm(3, 3)),
        (InstanceNorm(), (6, 1), torch.nn.InstanceNorm1d(6)),
        (InstanceNorm(affine=True), (4, 1, 1), torch.nn.InstanceNorm2d(4, affine=True)),
    ],
    ids=str,
)
def test_a_single_value_has_no_deviation(layer: Layer, shape: tuple[int, ...], module: torch.nn.Module) -> None:
    """PyTorch refuses the one value of one sample, also at inference."""
    with pytest.raises(ValueError, match="more than 1"):
        module.eval()(torch.zeros(1, *shape))
    words = "values that share a mean and a deviation must be at least 2"
    assert refused(layer, TensorType(shape), match=words).code == "E0416"


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("sizes", [("H", "W"), ("H", 3), (4, "W")], ids=str)
def test_gn_takes_symbolic_sizes(sizes: tuple[int | str, ...], opset: int) -> None:
    shape = (6, *(symbol(size) if isinstance(size, str) else size for size in sizes))
    conform(GroupNorm(3, 1e-3), data(6, 4, 3), reference=called(torch.nn.GroupNorm(3, 6, 1e-3)),
            types=[TensorType(shape)], sizes={"H": 4, "W": 3}, opset=opset)  # fmt: skip


def test_gn_without_weights_takes_symbolic_channels() -> None:
    type_ = TensorType((symbol("C", multiple=3), 5))
    conform(
        GroupNorm(3, affine=False), data(6, 5), reference=lambda x: F.group_norm(x, 3), types=[type_], sizes={"C": 6}
    )


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 1e-1])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_instance_norm_is_torchs(shape: tuple[int, ...], eps: float, affine: bool, opset: int) -> None:
    module = INSTANCE_NORMS[len(shape)](6, eps, affine=affine)
    model = conform(InstanceNorm(eps, affine), data(*shape), reference=called(module), module=module, opset=opset)
    assert operators(model) == ["InstanceNormalization"]


def test_affine_is_off_by_default_in_instance_norm_only() -> None:
    type_ = TensorType((6, 5))
    assert not InstanceNorm().params(type_)
    assert list(GroupNorm(2).params(type_)) == ["weight", "bias"]
    assert list(BatchNorm().params(type_)) == ["weight", "bias", "running_mean", "running_var"]


@pytest.mark.parametrize("layer", [GroupNorm(3), InstanceNorm(affine=True)], ids=str)
def test_gn_and_instance_norm_take_halves(layer: Layer) -> None:
    reference = partial(F.group_norm, num_groups=3) if isinstance(layer, GroupNorm) else F.instance_norm
    conform(layer, data(6, 4, 3, dtype="float16"), reference=reference, rtol=1e-2, atol=1e-2)


# --------------------------------------------------------------------------------------------------------------- lrn


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 13, 14])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_lrn_is_torch_local_response_norm(shape: tuple[int, ...], size: int, opset: int) -> None:
    """Also for windows of even size, which lie the other way in ONNX, and for windows wider than the input."""
    module = torch.nn.LocalResponseNorm(size, 0.5, 0.6, 2.0)
    model = conform(LocalResponseNorm(size, 0.5, 0.6, 2.0), data(*shape), reference=called(module), opset=opset)
    assert (operators(model) == ["LRN"]) == (len(shape) == 3 and size % 2 == 1)


def test_lrn_takes_transposed_volumes() -> None:
    graph = check_text("net n { input x: 2x3x4x5\ntranspose (3, 1, 0, 2) -> lrn 3 }").graph
    x = torch.from_numpy(data(2, 3, 4, 5))
    lowered = torch_backend.lower(graph, Initializer())
    reference = F.local_response_norm(x.permute(0, 4, 2, 1, 3).contiguous(), 3)
    torch.testing.assert_close(lowered(x), reference)


@pytest.mark.parametrize("size", [4, 5])
def test_lrn_has_torchs_defaults(size: int) -> None:
    x = 30 * data(6, 4, 3)
    conform(LocalResponseNorm(size), x, reference=torch.nn.LocalResponseNorm(size))
    conform(LocalResponseNorm(size), x, reference=torch.nn.LocalResponseNorm(size),
            types=[TensorType((C, H, W))], sizes={"C": 6, "H": 4, "W": 3})  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ errors

ERRORS: list[tuple[Layer, TensorType, str, str | None, str]] = [
    (BatchNorm(), TensorType((6, 4), DType.INT64), "E0409", None, "float32"),
    (LocalResponseNorm(5), TensorType((6, 4), DType.UINT8), "E0409", None, "float32"),
    (BatchNorm(), TensorType(()), "E0401", None, ""),
    (BatchNorm(), TensorType((C, 4)), "E0412", None, "input"),
    (LayerNorm(3), TensorType((6, 4)), "E0411", "dims", "at most 2"),
    (LayerNorm(2), TensorType((H, 6)), "E0412", None, "input"),
    (RmsNorm(), TensorType((6, H)), "E0412", None, "input"),
    (RmsNorm(), TensorType(()), "E0411", "dims", ""),
    (GroupNorm(4), TensorType((30, 4, 4)), "E0405", "groups", "30 is divisible by 1, 2, 3, 5, 6, 10, 15, 30"),
    (GroupNorm(7), TensorType((720,)), "E0405", "groups", "1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, ..."),
    (GroupNorm(3, affine=False), TensorType((C, 4)), "E0405", "groups", "where C % 3 == 0"),
    (GroupNorm(1), TensorType((C, 4)), "E0412", None, "input"),
    (InstanceNorm(), TensorType((6,)), "E0401", None, ""),
    (InstanceNorm(), TensorType((C, 4)), "E0412", None, "input"),
    (LocalResponseNorm(5), TensorType((6,)), "E0401", None, ""),
]


@pytest.mark.parametrize(("layer", "type_", "code", "argument", "remedy"), ERRORS, ids=str)
def test_errors(layer: Layer, type_: TensorType, code: str, argument: str | None, remedy: str) -> None:
    refuses(layer, type_, code, argument, remedy)


# ---------------------------------------------------------------------------------------------------------- training


def training_step(model: onnx.ModelProto, x: np.ndarray, runner: str) -> list[np.ndarray]:
    if runner == "reference":
        return list(ReferenceEvaluator(model).run(None, {"x0": x}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x0": x}))


def with_values(lowered: LoweredModel, values: dict[str, np.ndarray]) -> onnx.ModelProto:
    lowered.proto.graph.initializer.extend(numpy_helper.from_array(values[p.name], p.name) for p in lowered.params)
    onnx.checker.check_model(lowered.proto, full_check=True)
    return lowered.proto


@pytest.mark.parametrize(
    ("opset", "runner"),
    [(13, "onnxruntime"), (14, "onnxruntime"), (18, "onnxruntime"), (21, "onnxruntime"), (14, "reference"),
     (21, "reference")],
)  # fmt: skip
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bn_in_training_uses_the_batch_and_moves_the_statistics(
    shape: tuple[int, ...], affine: bool, opset: int, runner: str
) -> None:
    module = BATCH_NORMS[len(shape)](6, momentum=0.3, affine=affine)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(1))
    values = {f"it.{name}": tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    graph = one_layer(BatchNorm(momentum=0.3, affine=affine), TensorType(shape))
    model = with_values(lower(graph, opset=opset, training=True), values)
    assert [output.name for output in model.graph.output] == ["y", "it.running_mean/next", "it.running_var/next"]

    x = data(*shape)
    y, mean, var = training_step(model, x, runner)
    with torch.no_grad():
        want = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean, module.running_mean.numpy(), rtol=1e-5)
    biased = 0.7 * values["it.running_var"] + 0.3 * np.moveaxis(x, 1, 0).reshape(6, -1).var(1)
    np.testing.assert_allclose(var, biased, rtol=1e-4)


def test_a_reused_bn_moves_its_statistics_twice() -> None:
    """Once for each application, as a torch module that is called twice."""
    layer, sketch = BatchNorm(momentum=0.5, affine=False), Sketch(6, input_name="x0")
    first = sketch.add("it", layer)
    sketch.add("again", layer, params=first.params)
    lowered = lower(sketch.graph(), training=True)
    values = {"it.running_mean": np.full(6, 8, "float32"), "it.running_var": np.ones(6, "float32")}
    samples = data(6)
    _, mean, _ = training_step(with_values(lowered, values), samples, "onnxruntime")
    np.testing.assert_allclose(mean, 2 + samples.mean(0) / 4, rtol=1e-4)  # the second batch has mean 0
