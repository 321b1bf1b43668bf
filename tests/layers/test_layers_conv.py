"""conv, depthwise, deconv, dense and rbf against torch, through ONNX and onnxruntime."""

from __future__ import annotations

from itertools import product
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from conformance import conform, operators
from refusals import refused

from netdsl.ir.dim import Dim, evaluate, symbol
from netdsl.ir.types import DType, TensorType
from netdsl.layers.conv import Conv, Deconv, Depthwise
from netdsl.layers.linear import Dense, Rbf
from netdsl.layers.spans import Spans
from netdsl.layers.windows import Slide, Windowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer

OPSETS = [13, 18, 21]
SHAPES = {1: (4, 11), 2: (4, 9, 8), 3: (4, 6, 5, 7)}
CONVS = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
DECONVS = {1: torch.nn.ConvTranspose1d, 2: torch.nn.ConvTranspose2d, 3: torch.nn.ConvTranspose3d}
H, W = symbol("H"), symbol("W")


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, *shape)).astype(dtype)


def called(module: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """The module with parameters handed to each call."""
    return lambda x, **params: torch.func.functional_call(module, params, (x,))


# -------------------------------------------------------------------------------------------------------------- conv

CONV_ARGUMENTS = [
    {"k": 1},
    {"k": 3},
    {"k": 3, "s": 2, "p": 1},
    {"k": 2, "s": 3},
    {"k": 3, "d": 2, "p": 2},
    {"k": 2, "s": 2, "d": 3, "p": 1},
    {"k": 3, "p": "same"},
    {"k": 4, "p": "same"},
    {"k": 2, "d": 3, "p": "same"},
    {"k": 3, "p": 4},
    {"k": 1, "s": 2},
    {"k": 5, "s": 4, "p": 2},
]
GROUPS = [{"out": 6, "g": 1}, {"out": 6, "g": 2, "bias": False}, {"out": 8, "g": 4}]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's own lowering copies, not ours
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("groups", GROUPS, ids=str)
@pytest.mark.parametrize("arguments", CONV_ARGUMENTS, ids=str)
@pytest.mark.parametrize("rank", SHAPES)
def test_conv_is_torch_conv(rank: int, arguments: dict[str, Any], groups: dict[str, Any], opset: int) -> None:
    layer = Conv(**groups, **arguments)
    k, s, p, d = (getattr(layer, name) for name in "kspd")
    module = CONVS[rank](4, layer.out, k, s, p, d, layer.g, layer.bias)
    model = conform(layer, data(*SHAPES[rank]), reference=called(module), module=module, opset=opset)
    assert operators(model) == ["Conv"]


PER_DIMENSION = [
    ((4, 9, 8), {"k": (3, 5), "s": (2, 1), "p": (0, 2), "d": (1, 1)}),
    ((4, 9, 8), {"k": (1, 7), "p": (0, 3)}),
    ((4, 9, 8), {"k": (3, 2), "p": "same", "d": (2, 1)}),
    ((4, 6, 5, 7), {"k": (1, 2, 3), "s": (1, 2, 3), "p": (0, 1, 1), "d": (1, 1, 2)}),
    ((4, 11), {"k": (3,), "p": (1,)}),
]


@pytest.mark.parametrize(("shape", "arguments"), PER_DIMENSION, ids=str)
def test_arguments_for_each_dimension(shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    module = CONVS[len(shape) - 1](4, 5, arguments["k"], **_torch_names(arguments))
    conform(Conv(5, **arguments), data(*shape), reference=called(module), module=module)


def _torch_names(arguments: dict[str, Any]) -> dict[str, Any]:
    names = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}
    return {names[name]: value for name, value in arguments.items() if name in names}


SIDES = [
    ((4, 11), (1, 3), (1, 3)),
    ((4, 9, 8), (1, 2, 3, 4), (2, 4, 1, 3)),
    ((4, 9, 8), (0, 0, 1, 1), (0, 1, 0, 1)),
    ((4, 6, 5, 7), (1, 2, 3, 4, 5, 6), (3, 6, 2, 5, 1, 4)),
]


@pytest.mark.parametrize(("shape", "p", "torch_pad"), SIDES, ids=str)
def test_a_padding_for_each_side(shape: tuple[int, ...], p: tuple[int, ...], torch_pad: tuple[int, ...]) -> None:
    """Ours are (top, left, bottom, right); torch's `pad` goes from the last dimension to the first, in pairs."""
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(shape) - 1]

    def reference(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return convolve(F.pad(x, torch_pad), weight, bias, 2)

    conform(Conv(5, k=3, s=2, p=p), data(*shape), reference=reference)


@pytest.mark.parametrize("mult", [1, 3])
@pytest.mark.parametrize(
    "arguments", [{"k": 3, "p": 1}, {"k": 3, "s": 2, "d": 2, "p": 2}, {"k": 2, "p": "same"}], ids=str
)
@pytest.mark.parametrize("rank", SHAPES)
def test_depthwise_is_a_conv_with_as_many_groups(rank: int, arguments: dict[str, Any], mult: int) -> None:
    x = data(*SHAPES[rank])
    module = CONVS[rank](4, 4 * mult, arguments["k"], groups=4, **_torch_names(arguments))
    layer, twin = Depthwise(mult=mult, **arguments), Conv(4 * mult, g=4, **arguments)
    model = conform(layer, x, reference=called(module), module=module)
    assert operators(model) == ["Conv"]
    type_ = TensorType(x.shape[1:])
    assert layer.macs(layer.infer(type_), type_) == twin.macs(twin.infer(type_), type_)
    assert layer.params(type_) == twin.params(type_)


@pytest.mark.parametrize("arguments", [*CONV_ARGUMENTS, {"k": (3, 5), "s": (2, 3), "p": (1, 0, 2, 1)}], ids=str)
def test_conv_on_images_of_unknown_size(arguments: dict[str, Any]) -> None:
    layer = Conv(2, **arguments)
    for height, width in [(9, 12), (16, 7), (11, 11)]:
        sizes = {"H": height, "W": width}
        known = layer.infer(TensorType((3, height, width)))
        assert tuple(evaluate(dim, sizes) for dim in layer.infer(TensorType((3, H, W))).shape) == known.shape
        conform(
            layer, data(3, height, width), types=[TensorType((3, H, W))], sizes=sizes, reference=_padded_conv(layer)
        )


def _padded_conv(layer: Conv) -> Callable[..., torch.Tensor]:
    def reference(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        if isinstance(layer.p, tuple):
            top, left, bottom, right = layer.p
            return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, layer.s, 0, layer.d)
        return F.conv2d(x, weight, bias, layer.s, layer.p, layer.d)

    return reference


def test_sizes_that_differ_by_a_fold_of_the_stride_are_seen_as_such() -> None:
    """What a net with skips needs: halving a multiple of 32 by a padded stride-2 window is exact."""
    x = TensorType((3, symbol("H", 32), symbol("W", 32)))
    y = Conv(8, k=3, s=2, p=1).infer(x)
    assert y == Conv(8, k=1, s=2).infer(x)
    assert y.shape[1] * 2 == x.shape[1]


@pytest.mark.parametrize(
    ("layer", "module"),
    [(Conv(6, k=3), torch.nn.Conv2d(4, 6, 3)), (Deconv(6, k=3), torch.nn.ConvTranspose2d(4, 6, 3))],
    ids=str,
)
def test_half_precision(layer: Layer, module: torch.nn.Module) -> None:
    """The weights take the element type of the input."""
    x = data(4, 5, 6, dtype="float16")
    conform(layer, x, reference=called(module.half()), rtol=2e-2, atol=2e-2)


# ------------------------------------------------------------------------------------------------------------ deconv

DECONV_ARGUMENTS = [
    {"k": 2, "s": 2},
    {"k": 3},
    {"k": 3, "s": 2, "p": 1},
    {"k": 3, "s": 2, "p": 1, "out_pad": 1},
    {"k": 4, "s": 2, "p": 1},
    {"k": 2, "s": 3},
    {"k": 3, "d": 2, "p": 1},
    {"k": 2, "s": 2, "d": 3, "p": 2, "out_pad": 1},
    {"k": 1, "s": 2, "out_pad": 1},
]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("groups", [{"out": 6}, {"out": 6, "g": 2, "bias": False}], ids=str)
@pytest.mark.parametrize("arguments", DECONV_ARGUMENTS, ids=str)
@pytest.mark.parametrize("rank", SHAPES)
def test_deconv_is_torch_conv_transpose(
    rank: int, arguments: dict[str, Any], groups: dict[str, Any], opset: int
) -> None:
    layer = Deconv(**groups, **arguments)
    k, s, p, extra, g, bias, d = (getattr(layer, name) for name in ("k", "s", "p", "out_pad", "g", "bias", "d"))
    module = DECONVS[rank](4, layer.out, k, s, p, extra, g, bias, d)
    conform(layer, data(*SHAPES[rank]), reference=called(module), module=module, opset=opset)


def test_deconv_with_arguments_for_each_dimension() -> None:
    module = torch.nn.ConvTranspose2d(4, 5, (2, 3), (1, 2), (0, 1), (0, 1))
    layer = Deconv(5, k=(2, 3), s=(1, 2), p=(0, 1), out_pad=(0, 1))
    conform(layer, data(4, 5, 6), reference=called(module), module=module)


def test_deconv_undoes_the_stride_of_an_unknown_size() -> None:
    module = torch.nn.ConvTranspose2d(4, 5, 2, 2)
    for height, width in [(3, 4), (6, 5)]:
        conform(
            Deconv(5, k=2, s=2),
            data(4, height, width),
            types=[TensorType((4, H, W))],
            sizes={"H": height, "W": width},
            reference=called(module),
        )
    assert Deconv(5, k=2, s=2).infer(TensorType((4, H, W))).shape == (5, 2 * H, 2 * W)


# -------------------------------------------------------------------------------------------------------- dense, rbf


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("shape", "expected"),
    [((7,), ["Gemm"]), ((4, 7), ["Transpose", "MatMul"]), ((2, 3, 4, 7), ["Transpose", "MatMul"])],
)
def test_dense_is_torch_linear(shape: tuple[int, ...], expected: list[str], bias: bool, opset: int) -> None:
    module = torch.nn.Linear(7, 5, bias)
    model = conform(Dense(5, bias), data(*shape), reference=called(module), module=module, opset=opset)
    assert operators(model) == ([*expected, "Add"] if bias and expected != ["Gemm"] else expected)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dense_keeps_the_element_type(dtype: str) -> None:
    module = torch.nn.Linear(7, 5).to(getattr(torch, dtype))
    for shape in [(7,), (2, 7)]:
        conform(Dense(5), data(*shape, dtype=dtype), reference=called(module), rtol=1e-2, atol=1e-2)


def test_dense_on_sequences_of_unknown_length() -> None:
    module = torch.nn.Linear(7, 5)
    type_ = TensorType((symbol("T"), 7))
    for length in (1, 4):
        conform(Dense(5), data(length, 7), types=[type_], sizes={"T": length}, reference=called(module))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(84,), (4, 6)])
def test_rbf_is_the_squared_distance_to_its_centres(shape: tuple[int, ...], opset: int) -> None:
    def reference(x: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
        return torch.cdist(x.double(), centres.double()).square().float()

    conform(Rbf(5), data(*shape), reference=reference, opset=opset)


def test_rbf_centres_are_fixed_and_far_apart() -> None:
    """LeNet-5 has 84 units before its 10 classes; any two of our words differ in 36 to 48 of 84 places."""
    (spec,) = Rbf(10).params(TensorType((84,))).values()
    assert not spec.trainable
    centres = np.reshape(spec.init.table, spec.shape)
    assert set(centres.flat) == {-1.0, 1.0}
    distances = [(centres[i] != centres[j]).sum() for i, j in product(range(10), range(10)) if i < j]
    assert 36 <= min(distances) <= max(distances) <= 48


def test_rbf_has_as_many_different_words_as_it_says() -> None:
    (spec,) = Rbf(7).params(TensorType((5,))).values()
    assert len(np.unique(np.reshape(spec.init.table, spec.shape), axis=0)) == 7
    assert refused(Rbf(8), TensorType((5,))).code == "E0306"


# ------------------------------------------------------------------------------------------------------------ counts

ALEXNET = [  # two towers; the figures of the paper's first table, biases included
    (Conv(96, k=11, s=4), (3, 227, 227), (96, 55, 55), 34_944),
    (Conv(256, k=5, p=2, g=2), (96, 27, 27), (256, 27, 27), 307_456),
    (Conv(384, k=3, p=1), (256, 13, 13), (384, 13, 13), 885_120),
    (Conv(384, k=3, p=1, g=2), (384, 13, 13), (384, 13, 13), 663_936),
    (Conv(256, k=3, p=1, g=2), (384, 13, 13), (256, 13, 13), 442_624),
    (Conv(6, k=5), (1, 32, 32), (6, 28, 28), 156),  # LeNet-5's first
    (Dense(4096), (9216,), (4096,), 37_752_832),
    (Dense(10), (84,), (10,), 850),
]


@pytest.mark.parametrize(("layer", "shape", "result", "params"), ALEXNET, ids=str)
def test_published_counts(layer: Layer, shape: tuple[int, ...], result: tuple[int, ...], params: int) -> None:
    x = TensorType(shape)
    assert layer.infer(x).shape == result
    assert sum(spec.elements for spec in layer.params(x).values()) == params


MACS = [
    (Conv(6, k=5), (1, 32, 32), 6 * 28 * 28 * 25),
    (Conv(256, k=5, p=2, g=2), (96, 27, 27), 256 * 27 * 27 * 48 * 25),
    (Depthwise(k=3, p=1), (32, 112, 112), 32 * 112 * 112 * 9),
    (Deconv(8, k=2, s=2), (16, 5, 5), 16 * 25 * 8 * 4),
    (Dense(10), (84,), 840),
    (Dense(10), (7, 84), 7 * 840),
    (Rbf(10), (84,), 840),
]


@pytest.mark.parametrize(("layer", "shape", "macs"), MACS, ids=str)
def test_macs(layer: Layer, shape: tuple[int, ...], macs: int) -> None:
    assert layer.macs(layer.infer(TensorType(shape)), TensorType(shape)) == macs


def test_connections_of_lenet5() -> None:
    c1, x = Conv(6, k=5), TensorType((1, 32, 32))
    assert c1.connections(c1.infer(x), x) == 122_304
    c5, y = Conv(120, k=5), TensorType((16, 5, 5))
    assert c5.connections(c5.infer(y), y) == 48_120


@pytest.mark.parametrize(
    ("layer", "module", "shape"),
    [
        (Conv(6, k=(3, 5), g=2), torch.nn.Conv2d(4, 6, (3, 5), groups=2), (4, 9, 9)),
        (Deconv(6, k=(3, 5), g=2), torch.nn.ConvTranspose2d(4, 6, (3, 5), groups=2), (4, 9, 9)),
        (Dense(6), torch.nn.Linear(4, 6), (4,)),
    ],
    ids=str,
)
def test_fan_in_is_the_one_that_torch_initialises_by(
    layer: Layer, module: torch.nn.Module, shape: tuple[int, ...]
) -> None:
    fan_in, _ = torch.nn.init._calculate_fan_in_and_fan_out(module.weight)
    assert {spec.init.fan_in for spec in layer.params(TensorType(shape)).values()} == {fan_in}


@pytest.mark.parametrize(
    ("layer", "reads"),
    [
        (Conv(6, k=3, s=2, d=2), [Spans(((0, 3),) * 6, 4), Spans(((0, 4),), 2, step=2)]),
        (Conv(6, k=3, p=1, g=2), [Spans(((0, 1),) * 3, 2), Spans(((-1, 1),), 1)]),
        (Depthwise(k=7, p=(3, 0)), [Spans(((0, 0),), 1), Spans(((-3, 3),), 1)]),
        (Deconv(6, k=2, s=2), [Spans(((0, 3),) * 6, 4), Spans(((0, 0), (0, 0)), 1)]),
        (Deconv(6, k=3, s=2), [Spans(((0, 3),) * 6, 4), Spans(((-1, 0), (0, 0)), 1)]),
        (Deconv(6, k=2, s=3, d=2), [Spans(((0, 3),) * 6, 4), Spans(((0, 0), (inf, -inf), (0, 0)), 1, step=2)]),
    ],
    ids=str,
)
def test_reads(layer: Layer, reads: list[Spans]) -> None:
    x = TensorType((4, 9, 9))
    assert [layer.reads(axis, x) for axis in (0, 1)] == reads


# ------------------------------------------------------------------------------------------------------------ unseen


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("kernel", range(1, 5))
def test_outputs_and_unseen_positions_by_enumeration(kernel: int, stride: int) -> None:
    """All windows laid out one by one, for known sizes and for the same sizes put into the symbolic formula."""
    for size, before, after, dilation in product(range(1, 14), range(3), range(3), (1, 2)):
        extent = dilation * (kernel - 1) + 1
        starts = [i for i in range(-before, size + after - extent + 1) if (i + before) % stride == 0]
        if not starts:
            continue
        gap = max(0, stride - extent)
        rest = max(0, size - (starts[-1] + extent) - gap)
        slide = Slide(size, kernel, stride, dilation, before, after)
        assert (slide.outputs, slide.unseen) == (len(starts), rest)
        unknown = Slide(H, kernel, stride, dilation, before, after).outputs
        assert evaluate(unknown, {"H": size}) == len(starts)


@pytest.mark.parametrize(
    ("layer", "shape", "unseen"),
    [
        (Conv(6, k=3, s=2), (3, 224, 225), (1, 0)),
        (Conv(6, k=3, s=2, p=1), (3, 224, 224), (0, 0)),
        (Conv(6, k=1, s=2), (3, 56, 56), (0, 0)),  # a gap that is meant
        (Conv(6, k=3, s=3), (3, 7, 8), (1, 2)),
        (Depthwise(k=11, s=4), (3, 227, 230), (0, 3)),
        (Conv(6, k=3, s=2), (3, H, symbol("W", 2)), (0, 1)),
    ],
    ids=str,
)
def test_unseen(layer: Windowed, shape: tuple[Dim, ...], unseen: tuple[int, ...]) -> None:
    assert layer.unseen(TensorType(shape)) == unseen


# ------------------------------------------------------------------------------------------------------------ errors


ERRORS = [
    (Conv(6, k=7), (3, 5, 9), ("E0402", "k", "kernel 7 needs at least 7 rows, and the input has 5",
     "use `p=1`, or a kernel of at most 5")),
    (Conv(6, k=7, p=(1, 0, 0, 0)), (3, 9, 5), ("E0402", "k", "kernel 7 needs at least 7 columns, and the input has 5",
     "use `p=1`, or a kernel of at most 5")),
    (Conv(6, k=3, d=4, p=1), (3, 5, 5), ("E0402", "k",
     "kernel 3 with dilation 4 needs at least 9 rows, and the padded input has 5 + 2*1",
     "use `p=2`, or a kernel of at most 2")),
    (Conv(6, k=9, p=(1, 2)), (3, 5), ("E0402", "k",
     "kernel 9 needs at least 9 columns, and the padded input has 5 + 1 + 2",
     "use `p=2`, or a kernel of at most 8")),
    (Depthwise(k=2), (3, 1, 4, 4), ("E0402", "k", "kernel 2 needs at least 2 planes, and the input has 1",
     "use `p=1`, or a kernel of at most 1")),
    (Conv(6, k=3, g=4), (6, 9, 9), ("E0405", "g", "the channels must be divisible by `g`, and 6 by 4 is not",
     "6 is divisible by 1, 2, 3, 6")),
    (Conv(10, k=3, g=4), (8, 9, 9), ("E0405", "out", "`out` must be divisible by the groups, and 10 by 4 is not",
     "use 8 or 12")),
    (Deconv(2, k=3, g=4), (8, 9, 9), ("E0405", "out", "`out` must be divisible by the groups, and 2 by 4 is not",
     "use 4")),
    (Conv(6, k=3), (9,), ("E0401", None,
     "`conv` expected 2 to 4 dimensions (channels and 1 to 3 spatial dimensions), got 1",
     "is there a `flatten` too early?")),
    (Conv(6, k=(3, 3)), (3, 9), ("E0401", "k", "`k` has 2 numbers, and the input has 1 spatial dimension",
     "give one number")),
    (Conv(6, k=3, p=(1, 2, 3)), (3, 9, 9), ("E0401", "p", "`p` has 3 numbers, and the input has 2 spatial dimensions",
     "give 1, 2 (one for each dimension) or 4 (all sides before, then all sides after)")),
    (Conv(6, k=3, s=2, p="same"), (3, 9, 9), ("E0306", "p", "`p=same` keeps the size, and stride 2 does not",
     "use `p=1` for a size of n/2, rounded up")),
    (Conv(6, k=4, s=2, p="same"), (3, 9, 9), ("E0306", "p", "`p=same` keeps the size, and stride 2 does not",
     "use `p=(1, 1, 2, 2)` for a size of n/2, rounded up")),
    (Conv(6, k=3), (H, 9, 9), ("E0412", None, "the number of channels must be known, and `H` is not",
     "fix the size in the `input`")),
    (Deconv(6, k=3, out_pad=1), (3, 9, 9), ("E0306", "out_pad",
     "`out_pad` must be less than the stride, and 1 is not less than 1", "use at most 0")),
    (Deconv(6, k=3, p=3), (3, 2, 9), ("E0415", "p",
     "the output must have a size of at least 1, and padding 3 leaves -2", "use a padding of at most 1")),
    (Dense(6), (3, H), ("E0412", None,
     "`dense` has weights for the last axis, whose size must be known, and `H` is not",
     "pool before the `flatten`, by `global_avgpool` or `adaptive_avgpool 7`, or fix the size in the `input`")),
    (Dense(6), (), ("E0401", None, "`dense` expected at least 1 dimension, got 0", None)),
    (Rbf(1), (1,), ("E0306", "out", "centres must differ, and the code of 1 places has 0 words for 1 of them",
     "use a wider input")),
    (Rbf(2**11), (2**12,), ("E0703", "out",
     "the centres would have 8388608 elements, and at most 1048576 are allowed", None)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "expected"), ERRORS, ids=str)
def test_errors(layer: Layer, shape: tuple[Dim, ...], expected: tuple[str | None, ...]) -> None:
    found = refused(layer, TensorType(shape))
    assert (found.code, found.argument, found.message, found.help) == expected


@pytest.mark.parametrize("layer", [Conv(6, k=1), Depthwise(k=1), Deconv(6, k=1), Dense(6), Rbf(2)], ids=str)
def test_whole_numbers_are_refused(layer: Layer) -> None:
    assert refused(layer, TensorType((4, 5, 5), DType.INT64)).code == "E0409"


def test_remedies_work() -> None:
    """What an error says to write instead is accepted and does what it says."""
    assert Conv(6, k=7, p=1).infer(TensorType((3, 5, 9))).shape == (6, 1, 5)
    assert Conv(6, k=2, d=4, p=1).infer(TensorType((3, 5, 5))).shape == (6, 3, 3)
    assert Conv(6, k=4, s=2, p=(1, 1, 2, 2)).infer(TensorType((3, 9, 8))).shape == (6, 5, 4)
    assert Deconv(6, k=3, p=1).infer(TensorType((3, 2, 9))).shape == (6, 2, 9)
