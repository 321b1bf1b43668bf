"""All pools against torch, through ONNX and onnxruntime."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from conformance import conform, operators
from refusals import refused

from netdsl.ir.dim import Dim, Symbolic, evaluate, symbol
from netdsl.ir.types import DType, TensorType
from netdsl.layers.adaptive import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool, GlobalMaxPool
from netdsl.layers.pool import AvgPool, LpPool, MaxPool
from netdsl.layers.spans import Reads, Spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer
    from netdsl.layers.windows import Windowed

OPSETS = [13, 18, 21]
SHAPES = {1: (2, 11), 2: (2, 9, 8), 3: (2, 6, 5, 7)}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
POWER = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
ADAPTIVE_AVERAGE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
H, W = symbol("H"), symbol("W")


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, *shape)).astype("float32")


def in_torch(layer: Layer) -> Callable[..., torch.Tensor]:
    """The function of torch that a pool is to equal."""

    def reference(x: torch.Tensor) -> torch.Tensor:
        rank = x.dim() - 2
        if isinstance(layer, MaxPool):
            return MAX[rank](x, layer.k, layer.s, layer.p, layer.d, layer.ceil)
        if isinstance(layer, AvgPool):
            return AVERAGE[rank](x, layer.k, layer.s, layer.p, layer.ceil, layer.count_pad)
        if isinstance(layer, LpPool):
            return POWER[rank](x, layer.norm, layer.k, layer.s, layer.ceil)
        if isinstance(layer, AdaptiveMaxPool | GlobalMaxPool):
            return ADAPTIVE_MAX[rank](x, getattr(layer, "out", 1))
        return ADAPTIVE_AVERAGE[rank](x, getattr(layer, "out", 1))

    return reference


# ------------------------------------------------------------------------------------------------- kernels and strides

WINDOWS = [
    {"k": 2},
    {"k": 3},
    {"k": 3, "s": 2},
    {"k": 3, "s": 2, "p": 1},
    {"k": 2, "s": 1},
    {"k": 2, "s": 3, "p": 1},
    {"k": 5, "s": 3, "p": 2},
    {"k": 1, "s": 2},
    {"k": 4, "s": 3, "p": 1},
]
ROUNDINGS = [{"ceil": False}, {"ceil": True}]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("rounding", ROUNDINGS, ids=str)
@pytest.mark.parametrize(
    "window", [*WINDOWS, {"k": 2, "d": 2}, {"k": 3, "s": 2, "d": 3, "p": 1}, {"k": 2, "s": 3, "d": 2}], ids=str
)
@pytest.mark.parametrize("rank", SHAPES)
def test_maxpool(rank: int, window: dict[str, Any], rounding: dict[str, Any], opset: int) -> None:
    layer = MaxPool(**window, **rounding)
    model = conform(layer, data(*SHAPES[rank]), reference=in_torch(layer), opset=opset)
    assert operators(model)[-1] == "MaxPool"


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("count_pad", [True, False])
@pytest.mark.parametrize("rounding", ROUNDINGS, ids=str)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("rank", SHAPES)
def test_avgpool(rank: int, window: dict[str, Any], rounding: dict[str, Any], count_pad: bool, opset: int) -> None:
    layer = AvgPool(**window, **rounding, count_pad=count_pad)
    model = conform(layer, data(*SHAPES[rank]), reference=in_torch(layer), opset=opset)
    assert operators(model)[-1] == "AveragePool"


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("rounding", ROUNDINGS, ids=str)
@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, 1.5])
@pytest.mark.parametrize("window", [w for w in WINDOWS if "p" not in w], ids=str)
@pytest.mark.parametrize("rank", SHAPES)
def test_lppool(rank: int, window: dict[str, Any], norm: float, rounding: dict[str, Any], opset: int) -> None:
    """Roots of negative sums are NaN in torch and here; numpy's comparison takes NaN to equal NaN."""
    layer = LpPool(**window, norm=norm, **rounding)
    conform(layer, data(*SHAPES[rank]), reference=in_torch(layer), opset=opset, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kernel", range(1, 6))
def test_every_small_window_in_one_dimension(kernel: int) -> None:
    """Shapes and values for all sizes, strides and paddings, rounded up: where the conventions of tools part."""
    for size, stride, pad in product(range(1, 9), range(1, 5), range(kernel // 2 + 1)):
        for layer in (
            MaxPool(kernel, stride, pad, ceil=True),
            AvgPool(kernel, stride, pad, ceil=True),
            AvgPool(kernel, stride, pad, ceil=True, count_pad=False),
        ):
            if size + 2 * pad > kernel - stride:
                conform(layer, data(2, size), reference=in_torch(layer))
            else:
                assert refused(layer, TensorType((2, size))).code == "E0402"


@pytest.mark.parametrize("kernel", range(2, 5))
def test_every_small_dilated_window_in_one_dimension(kernel: int) -> None:
    """From size 2 on: a window with a hole in the middle may miss a smaller input, and then has no largest value."""
    for size, stride, pad in product(range(2, 9), range(1, 5), range(kernel // 2 + 1)):
        layer = MaxPool(kernel, stride, pad, 2, ceil=True)
        if size + 2 * pad > 2 * kernel - 1 - stride:
            conform(layer, data(2, size), reference=in_torch(layer))
        else:
            assert refused(layer, TensorType((2, size))).code == "E0402"


@pytest.mark.parametrize(
    "layer",
    [MaxPool(2, 3, d=2, ceil=True), AvgPool(3, 2, 1, ceil=True), LpPool(2), AdaptiveAvgPool(4), AdaptiveMaxPool(4)],
    ids=str,
)
def test_half_precision(layer: Layer) -> None:
    """Constants take the element type of the layer."""
    conform(layer, data(2, 9, 10).astype("float16"), reference=in_torch(layer), rtol=1e-2, atol=1e-2)


PER_DIMENSION = [
    MaxPool((3, 2), (2, 1), (1, 0), (1, 2), ceil=True),
    MaxPool((1, 3)),
    AvgPool((3, 2), (2, 3), (1, 0), ceil=True),
    AvgPool((3, 2), (2, 3), (0, 1), ceil=True),
    AvgPool((3, 2), (2, 3), (1, 1), ceil=True, count_pad=False),
    LpPool((3, 2), (2, 3), ceil=True),
]


@pytest.mark.parametrize("layer", PER_DIMENSION, ids=str)
def test_arguments_for_each_dimension(layer: Layer) -> None:
    for shape in [(2, 8, 9), (2, 9, 8), (2, 7, 7)]:
        conform(layer, data(*shape), reference=in_torch(layer))


@pytest.mark.parametrize(
    "layer",
    [
        MaxPool(2),
        MaxPool(3, 2, 1),
        MaxPool(3, 2, ceil=True),
        MaxPool(3, 3, 1, ceil=True),
        MaxPool(2, 3, d=2, ceil=True),
        AvgPool(3, 2, 1),
        AvgPool(3, 2, 1, ceil=True),
        AvgPool(2, 3, 1, ceil=True),
        AvgPool(3, 2, 1, ceil=True, count_pad=False),
        LpPool(3, 2, ceil=True),
        GlobalAvgPool(),
        GlobalMaxPool(),
        AdaptiveAvgPool(1),
        AdaptiveMaxPool(1),
    ],
    ids=str,
)
def test_images_of_unknown_size(layer: Layer) -> None:
    for height, width in [(5, 6), (7, 8), (9, 13), (10, 11)]:
        sizes = {"H": height, "W": width}
        conform(layer, data(2, height, width), types=[TensorType((2, H, W))], sizes=sizes, reference=in_torch(layer))


def test_rounding_up_needs_no_overhang_where_the_windows_fit() -> None:
    """Then the model is the same as without `ceil=yes`, also for sizes that are only known to be even."""
    for shape in [(2, 8, 8), (2, symbol("H", 2), symbol("W", 2))]:
        plain, rounded = (AvgPool(2, ceil=ceil).slides(TensorType(shape)) for ceil in (False, True))
        assert plain == rounded


# ------------------------------------------------------------------------------------------------------------ adaptive

BINS = {
    1: [(1,), (3,), (4,), (11,), (13,)],
    2: [(1, 1), (3, 4), (3, 3), (7, 5), (9, 8), (10, 3), (9, 2), (1, 3)],
    3: [(1, 1, 1), (3, 1, 7), (2, 3, 4), (6, 2, 7)],
}


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("count_pad", [False, True])
def test_avgpool_of_volumes_thinner_than_the_kernel(count_pad: bool, ceil: bool) -> None:
    """torch.nn.AvgPool3d refuses these, whatever the padding; onnxruntime confirms what is computed instead."""

    def reference(x: torch.Tensor) -> torch.Tensor:
        counted = F.pad(torch.ones_like(x), [2] * 6, value=float(count_pad))
        sums, counts = (F.avg_pool3d(F.pad(y, [0, 3] * 3), 4, 3) for y in (F.pad(x, [2] * 6), counted))
        return (sums / counts)[:, :, :1, : 3 if ceil else 2, :2]

    layer, x = AvgPool(4, 3, 2, ceil=ceil, count_pad=count_pad), data(3, 1, 5, 4)
    conform(layer, x, reference=reference)
    conform(layer, x, reference=reference, types=[TensorType((3, symbol("D"), 5, 4))], sizes={"D": 1})


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("cls", [AdaptiveAvgPool, AdaptiveMaxPool])
@pytest.mark.parametrize("out", [out for bins in BINS.values() for out in bins], ids=str)
def test_adaptive_pools(cls: type[Layer], out: tuple[int, ...], opset: int) -> None:
    layer = cls(out)
    conform(layer, data(*SHAPES[len(out)]), reference=in_torch(layer), opset=opset)


@pytest.mark.parametrize(("size", "bins"), [(n, o) for n in range(1, 10) for o in range(1, 10)])
def test_every_small_number_of_bins(size: int, bins: int) -> None:
    for layer in (AdaptiveAvgPool(bins), AdaptiveMaxPool(bins)):
        conform(layer, data(2, size), reference=in_torch(layer))
        spans = [range(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)]
        reads = [(span[0], span[-1]) for span in spans]
        assert layer.reads(1, TensorType((2, size))) == ("all" if bins == 1 else Spans.table(reads))


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (1, ["GlobalAveragePool"]),
        ((3, 4), ["AveragePool"]),
        ((9, 8), []),  # the input is the output
        ((9, 3), ["Gather", "Reshape", "Mul", "ReduceSum"]),
    ],
    ids=str,
)
def test_the_plainest_operator_is_taken(out: Any, expected: list[str]) -> None:
    layer = AdaptiveAvgPool(out)
    assert operators(conform(layer, data(2, 9, 8), reference=in_torch(layer))) == expected


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("cls", [AdaptiveAvgPool, AdaptiveMaxPool])
@pytest.mark.parametrize(
    ("type_shape", "out", "shapes"),
    [
        ((2, symbol("H", 4), symbol("W", 6)), 2, [(2, 4, 6), (2, 8, 18)]),
        ((2, symbol("H", 4), symbol("W", 6)), (4, 3), [(2, 4, 6), (2, 8, 18)]),
        ((2, symbol("H", 4), 7), (2, 3), [(2, 4, 7), (2, 12, 7)]),
        ((2, H, 7), (1, 3), [(2, 1, 7), (2, 5, 7)]),
        ((2, symbol("T", 5)), 5, [(2, 5), (2, 15)]),
    ],
    ids=str,
)
def test_bins_of_a_symbolic_size(
    cls: type[Layer], type_shape: tuple[Dim, ...], out: Any, shapes: list[tuple[int, ...]], opset: int
) -> None:
    layer = cls(out)
    for shape in shapes:
        sizes = {str(dim): size for dim, size in zip(type_shape, shape, strict=True) if isinstance(dim, Symbolic)}
        conform(
            layer, data(*shape), types=[TensorType(type_shape)], sizes=sizes, reference=in_torch(layer), opset=opset
        )


# ------------------------------------------------------------------------------------------------ shapes, views, errors


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_sizes_are_torch_sizes(kernel: int, dilation: int, ceil: bool) -> None:
    """The formula for known sizes and the symbolic one, for every size that torch accepts; and what stays unseen."""
    extent = dilation * (kernel - 1) + 1
    for size, stride, pad in product(range(1, 15), range(1, 6), range(kernel // 2 + 1)):
        layer = MaxPool(kernel, stride, pad, dilation, ceil)
        try:
            outputs = F.max_pool1d(torch.zeros(1, 1, size), kernel, stride, pad, dilation, ceil).shape[-1]
        except RuntimeError:
            assert refused(layer, TensorType((1, size))).code == "E0402"
            continue
        assert layer.infer(TensorType((1, size))).shape == (1, outputs)
        unknown = layer.infer(TensorType((1, H))).shape[1]
        assert evaluate(unknown, {"H": size}) == outputs
        last = (outputs - 1) * stride + extent - pad
        assert layer.unseen(TensorType((1, size))) == (max(0, size - last - max(0, stride - extent)),)


@pytest.mark.parametrize(
    ("layer", "shape", "unseen"),
    [
        (MaxPool(2), (6, 29, 28), (1, 0)),
        (MaxPool(2, ceil=True), (6, 29, 28), (0, 0)),
        (MaxPool(3, 2), (64, 112, 55), (1, 0)),
        (MaxPool(3, 2, 1), (64, 112, 112), (0, 0)),
        (AvgPool(3), (1, 7, 8), (1, 2)),
    ],
    ids=str,
)
def test_unseen(layer: Windowed, shape: tuple[int, ...], unseen: tuple[int, ...]) -> None:
    assert layer.unseen(TensorType(shape)) == unseen


@pytest.mark.parametrize(
    ("layer", "reads"),
    [
        (MaxPool(3, 2, 1), (Spans.window(3, 2, 1),) * 2),
        (MaxPool(3, d=2), (Spans.window(5, 3, step=2),) * 2),
        (AvgPool((2, 4)), (Spans.window(2, 2), Spans.window(4, 4))),
        (LpPool(2, 1), (Spans.window(2),) * 2),
        (GlobalAvgPool(), ("all", "all")),
        (AdaptiveAvgPool((2, 4)), (Spans.table([(0, 5), (6, 11)]), Spans.table([(0, 2), (2, 4), (4, 6), (6, 8)]))),
    ],
    ids=str,
)
def test_reads(layer: Layer, reads: tuple[Reads, Reads]) -> None:
    x = TensorType((4, 12, 9))
    assert (layer.reads(1, x), layer.reads(2, x)) == reads
    assert not layer.params(x)
    assert layer.macs(layer.infer(x), x) == 0


def test_what_sees_the_whole_input() -> None:
    x = TensorType((4, 12, 9))
    for layer in (GlobalAvgPool(), GlobalMaxPool(), AdaptiveAvgPool(1), AdaptiveMaxPool((1, 1))):
        assert (layer.reads(1, x), layer.reads(2, x)) == ("all", "all")
    assert AdaptiveMaxPool((1, 9)).reads(1, x) == "all"
    assert AdaptiveAvgPool(2).reads(1, TensorType((3, symbol("H", 2), 4))) is None


ERRORS = [
    (MaxPool(3), (6, 2, 9), ("E0402", "k", "kernel 3 needs at least 3 rows, and the input has 2",
     "use `p=1`, or a kernel of at most 2")),
    (MaxPool(5, 2, ceil=True), (6, 9, 3), ("E0402", "k", "kernel 5 needs at least 4 columns, and the input has 3",
     "use `p=1`, or a kernel of at most 4")),
    (LpPool(3), (6, 2, 9), ("E0402", "k", "kernel 3 needs at least 3 rows, and the input has 2",
     "use a kernel of at most 2")),
    (MaxPool(3, p=2), (6, 9, 9), ("E0413", "p", "padding must be at most half of the kernel 3, and 2 is more",
     "use a padding of at most 1")),
    (AvgPool(2, p=(1, 2)), (6, 9, 9), ("E0413", "p", "padding must be at most half of the kernel 2, and 2 is more",
     "use a padding of at most 1")),
    (MaxPool(2, s=(1, 2, 3)), (6, 9, 9), ("E0401", "s",
     "`s` has 3 numbers, and the input has 2 spatial dimensions", "give one number, or 2")),
    (GlobalAvgPool(), (6,), ("E0401", None,
     "`global_avgpool` expected 2 to 4 dimensions (channels and 1 to 3 spatial dimensions), got 1",
     "is there a `flatten` too early?")),
    (AdaptiveAvgPool(6), (3, H, 12), ("E0412", "out",
     "a size that is pooled to 6 must be known or a multiple of 6, and `H` is neither",
     "add `where H % 6 == 0` to the `input`")),
    (AdaptiveMaxPool((1, 7)), (3, H, 2 * W), ("E0412", "out",
     "a size that is pooled to 7 must be known or a multiple of 7, and `2*W` is neither",
     "add `where W % 7 == 0` to the `input`")),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "expected"), ERRORS, ids=str)
def test_errors(layer: Layer, shape: tuple[Dim, ...], expected: tuple[str | None, ...]) -> None:
    found = refused(layer, TensorType(shape))
    assert (found.code, found.argument, found.message, found.help) == expected


@pytest.mark.parametrize(
    "layer", [MaxPool(2), AvgPool(2), LpPool(2), GlobalAvgPool(), GlobalMaxPool(), AdaptiveAvgPool(2)], ids=str
)
def test_whole_numbers_are_refused(layer: Layer) -> None:
    assert refused(layer, TensorType((4, 6, 6), DType.INT64)).code == "E0409"


def test_torch_refuses_the_same_paddings() -> None:
    for kernel, pad, dilation in product(range(1, 6), range(5), (1, 2)):
        layer = MaxPool(kernel, 1, pad, dilation)
        try:
            F.max_pool1d(torch.zeros(1, 1, 20), kernel, 1, pad, dilation)
        except RuntimeError:
            assert refused(layer, TensorType((1, 20))).code == "E0413"
        else:
            layer.infer(TensorType((1, 20)))
