"""Rearrangements, parts and other sizes against torch, through ONNX and onnxruntime; and what they refuse."""

from __future__ import annotations

from itertools import product as combinations
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from conformance import conform, operators
from graphs import Sketch
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from refusals import refused

from netdsl.backends.onnx.lower import lower
from netdsl.ir.dim import Dim, evaluate, symbol
from netdsl.ir.params import Init
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import ArgumentError
from netdsl.layers.base import Layer, LayerError, all_needs, signature
from netdsl.layers.ends import InputLayer, ParamLayer
from netdsl.layers.merge import Add
from netdsl.layers.resize import Crop, Pad, Upsample
from netdsl.layers.shape import ChannelShuffle, Flatten, Identity, PixelShuffle, Reshape, Transpose
from netdsl.layers.slices import Select, SliceLayer, Split
from netdsl.layers.spans import EACH, Spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer

OPSETS = [13, 18, 21]
C, H, W = symbol("C"), symbol("H"), symbol("W")
SIZES = {"C": 6, "H": 10, "W": 8}
ALL_TYPES = [dtype.value for dtype in DType if dtype is not DType.BFLOAT16]


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (5 * np.random.default_rng(1).standard_normal((3, *shape))).astype(dtype)


def padded(layer: Pad | Crop, rank: int, sign: int = 1) -> list[int]:
    """The margins in torch's order: last dimension first, before and after."""
    p = (layer.p,) * rank if isinstance(layer.p, int) else layer.p
    pairs = list(zip(p[:rank], p[rank:] or p, strict=True))
    return [sign * margin for pair in reversed(pairs) for margin in pair]


# ------------------------------------------------------------------------------------------ against torch, known sizes

REARRANGED: list[tuple[Layer, tuple[int, ...], Callable[..., Any], list[str]]] = [
    (Identity(), (4, 5, 6), torch.nn.Identity(), []),
    (Flatten(), (4, 5, 6), torch.nn.Flatten(), ["Flatten"]),
    (Flatten(), (7,), torch.nn.Flatten(), []),
    (Flatten(1), (4, 5, 6), torch.nn.Flatten(2), ["Reshape"]),
    (Flatten(-2), (4, 5, 6), torch.nn.Flatten(-2), ["Reshape"]),
    (Flatten(2), (4, 5, 6), torch.nn.Flatten(3), []),
    (Reshape((6, 20)), (4, 5, 6), lambda x: x.reshape(-1, 6, 20), ["Reshape"]),
    (Reshape((2, -1, 3)), (4, 5, 6), lambda x: x.reshape(x.shape[0], 2, -1, 3), ["Reshape"]),
    (Reshape((-1,)), (4, 5), lambda x: x.reshape(x.shape[0], -1), ["Reshape"]),
    (Reshape((1, 1)), (), lambda x: x.reshape(-1, 1, 1), ["Reshape"]),
    (Transpose((1, 0)), (4, 5), lambda x: x.permute(0, 2, 1), ["Transpose"]),
    (Transpose((2, 0, 1)), (4, 5, 6), lambda x: x.permute(0, 3, 1, 2), ["Transpose"]),
    (Transpose((-1, -3, -2)), (4, 5, 6), lambda x: x.permute(0, 3, 1, 2), ["Transpose"]),
    (ChannelShuffle(2), (6, 4, 5), torch.nn.ChannelShuffle(2), ["Reshape", "Transpose", "Reshape"]),
    (ChannelShuffle(3), (12, 7), torch.nn.ChannelShuffle(3), ["Reshape", "Transpose", "Reshape"]),
    (ChannelShuffle(4), (4, 2, 3, 2), torch.nn.ChannelShuffle(4), ["Reshape", "Transpose", "Reshape"]),
    (Select((0, 2, 5)), (6, 4, 5), lambda x: x[:, [0, 2, 5]], ["Gather"]),
    (Select((3,)), (6, 4), lambda x: x[:, [3]], ["Gather"]),
    (Select((-1, 0, 0), axis=1), (6, 4), lambda x: x[:, :, [-1, 0, 0]], ["Gather"]),
    (Split(3, 1), (6, 4), lambda x: x.chunk(3, 1)[1], ["Slice"]),
    (Split(2, 1, axis=-1), (6, 4), lambda x: x.chunk(2, -1)[1], ["Slice"]),
    (Split(1, 0), (6, 4), lambda x: x, ["Slice"]),
]  # fmt: skip


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("layer", "shape", "reference", "expected"), REARRANGED)
def test_rearrangements(
    layer: Layer, shape: tuple[int, ...], reference: Callable[..., Any], expected: list[str], opset: int
) -> None:
    assert operators(conform(layer, data(*shape), reference=reference, opset=opset)) == expected


@pytest.mark.parametrize("dtype", ALL_TYPES)
@pytest.mark.parametrize(("layer", "shape", "reference", "expected"), REARRANGED)
def test_rearrangements_of_every_element_type(
    layer: Layer, shape: tuple[int, ...], reference: Callable[..., Any], expected: list[str], dtype: str
) -> None:
    assert operators(conform(layer, data(*shape, dtype=dtype), reference=reference)) == expected


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("r", "shape"), [(2, (4, 3, 5)), (3, (18, 2, 1)), (1, (5, 3, 3))])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_pixel_shuffle(r: int, shape: tuple[int, ...], dtype: str, opset: int) -> None:
    conform(PixelShuffle(r), data(*shape, dtype=dtype), reference=torch.nn.PixelShuffle(r), opset=opset)


def test_slices_are_those_of_python() -> None:
    x = data(2, 7)
    for start, stop, step in combinations([0, 1, 5, 9, -2, -9], [None, 0, 3, 7, 12, -1, -8], [1, 2, 5]):
        layer = SliceLayer(start, stop, step, axis=1)
        if not len(range(7)[start:stop:step]):
            assert refused(layer, TensorType((2, 7)), match="has nothing from").code == "E0415"
            continue
        conform(layer, x, reference=itemgetter((slice(None), slice(None), slice(start, stop, step))))


POSITIONS = st.one_of(st.none(), st.integers(-9, 9), st.tuples(st.integers(1, 4), st.integers(-4, 4)))


@given(POSITIONS, POSITIONS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 8), st.integers(0, 20))
def test_what_a_slice_says_of_unknown_sizes_holds(
    start: int | tuple[int, int] | None, stop: int | tuple[int, int] | None, step: int, unit: int, least: int, more: int
) -> None:
    def position(value: int | tuple[int, int] | None, size: Dim) -> Dim | None:
        return size // value[0] + value[1] if isinstance(value, tuple) else value

    size, known = symbol("H", unit, least), (least + more + unit - 1) // unit * unit
    layer, x = SliceLayer(position(start, size) or 0, position(stop, size), step), TensorType((size,))
    positions = range(known)[position(start, known) : position(stop, known) : step]
    try:
        inferred, _ = layer.inferred(x)
    except LayerError as error:
        assert error.code in {"E0415", "E0416"}  # noqa: PT017 - most slices are decided, which is all that is asked
        return
    if all(evaluate(need.size, {"H": known}) >= need.least for need in all_needs(layer, inferred, x)):
        assert evaluate(inferred.shape[0], {"H": known}) == len(positions)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("axis", [0, 1, -1, -3])
def test_slice_along_each_axis(axis: int, opset: int) -> None:
    index = [slice(None)] * 3
    index[axis] = slice(1, -1, 2)
    conform(SliceLayer(1, -1, 2, axis), data(5, 6, 7), reference=lambda x: x[(slice(None), *index)], opset=opset)


MARGINS = [(1, (3, 7)), ((2,), (3, 7)), ((2, 1), (3, 7)), (2, (3, 5, 4)), ((1, 2), (3, 5, 4)),
           ((1, 0, 2, 3), (3, 5, 4)), ((0, 0, 0, 1), (3, 5, 4)), (1, (2, 3, 4, 5)),
           ((1, 2, 0, 0, 1, 2), (2, 3, 4, 5)), (0, (2, 3, 3))]  # fmt: skip


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize(("p", "shape"), MARGINS)
def test_pad(p: int | tuple[int, ...], shape: tuple[int, ...], mode: str, opset: int) -> None:
    layer = Pad(p, mode, value=0.0 if mode != "constant" else -1.5)
    margins = padded(layer, len(shape) - 1)
    for dtype in ("float32", "float64"):
        conform(
            layer,
            data(*shape, dtype=dtype),
            reference=lambda x: F.pad(x, margins, mode, layer.value if mode == "constant" else None),
            opset=opset,
        )


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("p", "shape"), MARGINS)
def test_crop_undoes_pad(p: int | tuple[int, ...], shape: tuple[int, ...], opset: int) -> None:
    x = TensorType(shape)
    padded_shape = Pad(p).infer(x).shape
    assert Crop(p).infer(TensorType(padded_shape)) == x
    margins = padded(Crop(p), len(shape) - 1, sign=-1)
    conform(Crop(p), data(*padded_shape), reference=lambda t: F.pad(t, margins), opset=opset)


UPSAMPLED = [("nearest", (3, 5)), ("nearest", (3, 4, 5)), ("nearest", (2, 3, 2, 4)), ("linear", (3, 6)),
             ("bilinear", (3, 4, 5)), ("trilinear", (2, 3, 2, 4)), ("bicubic", (3, 4, 5)),
             ("linear", (1, 1)), ("bilinear", (1, 1, 1)), ("trilinear", (1, 1, 1, 2)),
             ("bicubic", (1, 1, 2))]  # fmt: skip


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("scale", [1, 2, 3, 5])
@pytest.mark.parametrize(("mode", "shape"), UPSAMPLED)
def test_upsample(mode: str, shape: tuple[int, ...], scale: int, align: bool, opset: int) -> None:
    layer = Upsample(scale, mode, align)
    if mode == "nearest" and align:
        refused(layer, TensorType(shape), match="has no `align_corners`")
        return
    corners = None if mode == "nearest" else align
    model = conform(
        layer,
        data(*shape),
        reference=lambda x: F.interpolate(x, scale_factor=scale, mode=mode, align_corners=corners),
        opset=opset,
        atol=1e-4,
    )
    assert operators(model) == ["Resize"]


@pytest.mark.parametrize(
    ("mode", "shape", "scale"),
    [
        ("nearest", (3, 4, 5), (1, 3)),
        ("bilinear", (3, 4, 5), (4, 2)),
        ("bicubic", (3, 4, 5), (2, 3)),
        ("trilinear", (2, 3, 2, 4), (1, 2, 3)),
    ],
)
def test_upsample_by_dimension(mode: str, shape: tuple[int, ...], scale: tuple[int, ...]) -> None:
    conform(
        Upsample(scale, mode),
        data(*shape),
        reference=lambda x: F.interpolate(x, scale_factor=tuple(map(float, scale)), mode=mode),
    )


# ---------------------------------------------------------------------------------------- against torch, unknown sizes

SYMBOLIC: list[tuple[Layer, tuple[Dim, ...], tuple[Dim, ...], Callable[..., Any]]] = [
    (Flatten(), (6, H, W), (6 * H * W,), torch.nn.Flatten()),
    (Flatten(1), (6, H, W), (6, H * W), torch.nn.Flatten(2)),
    (Flatten(1), (C, H, W), (C, H * W), torch.nn.Flatten(2)),
    (Flatten(1), (6, H // 3, W), (6, H // 3 * W), torch.nn.Flatten(2)),
    (Reshape((6, -1)), (6, H, W), (6, H * W), lambda x: x.reshape(x.shape[0], 6, -1)),
    (Reshape((H, 2, 3 * W)), (6, H, W), (H, 2, 3 * W), lambda x: x.reshape(x.shape[0], 10, 2, 24)),
    (Reshape((H, -1, 2, W)), (6, H, W), (H, 3, 2, W), lambda x: x.reshape(x.shape[0], 10, 3, 2, 8)),
    (Reshape((6, W, H)), (6, H, W), (6, W, H), lambda x: x.reshape(x.shape[0], 6, 8, 10)),
    (Reshape((6 * H, -1)), (6, H, W), (6 * H, W), lambda x: x.reshape(x.shape[0], 60, 8)),
    (Transpose((1, 2, 0)), (6, H, W), (H, W, 6), lambda x: x.permute(0, 2, 3, 1)),
    (ChannelShuffle(3), (6, H, W), (6, H, W), torch.nn.ChannelShuffle(3)),
    (ChannelShuffle(3), (6, H, 4), (6, H, 4), torch.nn.ChannelShuffle(3)),
    (ChannelShuffle(2), (symbol("C", 2), H), (symbol("C", 2), H), torch.nn.ChannelShuffle(2)),
    (PixelShuffle(2), (4, H, W), (1, 2 * H, 2 * W), torch.nn.PixelShuffle(2)),
    (Select((0, -1), 1), (6, H), (6, 2), lambda x: x[:, :, [0, -1]]),
    (SliceLayer(1, axis=1), (6, H), (6, H - 1), lambda x: x[:, :, 1:]),
    (SliceLayer(0, -1, 2, axis=1), (6, H, W), (6, H // 2, W), lambda x: x[:, :, 0:-1:2]),
    (SliceLayer(-1, axis=1), (6, H), (6, 1), lambda x: x[:, :, -1:]),
    (SliceLayer(H // 2, axis=1), (6, H), (6, H - H // 2), lambda x: x[:, :, 5:]),
    (SliceLayer(0, H // 2, axis=1), (6, H), (6, H // 2), lambda x: x[:, :, :5]),
    (SliceLayer(-1 * H, H // 2, 2, axis=1), (6, H), (6, (H // 2 + 1) // 2), lambda x: x[:, :, :5:2]),
    (SliceLayer(2, 4, axis=1), (6, symbol("H", 1, 4)), (6, 2), lambda x: x[:, :, 2:4]),
    (Split(2, 1, axis=1), (6, symbol("H", 2)), (6, symbol("H", 2) // 2), lambda x: x.chunk(2, 2)[1]),
    (Split(3, 1), (6, H), (2, H), lambda x: x.chunk(3, 1)[1]),
    (Pad((1, 2, 0, 1)), (6, H, W), (6, H + 1, W + 3), lambda x: F.pad(x, (2, 1, 1, 0))),
    (Pad(1, "reflect"), (6, H, 4), (6, H + 2, 6), lambda x: F.pad(x, (1,) * 4, "reflect")),
    (Crop((1, 2)), (6, H, W), (6, H - 2, W - 4), lambda x: x[:, :, 1:-1, 2:-2]),
    (Upsample(), (6, H, W), (6, 2 * H, 2 * W), lambda x: F.interpolate(x, scale_factor=2)),
    (Upsample(3, "bilinear"), (6, H, W), (6, 3 * H, 3 * W),
     lambda x: F.interpolate(x, scale_factor=3, mode="bilinear")),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "result", "reference"), SYMBOLIC)
def test_symbolic_sizes(
    layer: Layer, shape: tuple[Dim, ...], result: tuple[Dim, ...], reference: Callable[..., Any]
) -> None:
    type_ = TensorType(shape)
    assert layer.infer(type_).shape == result
    known = tuple(3 if dim == H // 3 else SIZES.get(str(dim), dim) for dim in shape)
    conform(layer, data(*known), reference=reference, types=[type_], sizes=SIZES)


@pytest.mark.parametrize(
    ("layer", "shape", "reference", "expected"),
    [
        (Reshape((6, -1)), (6, H, W), torch.nn.Flatten(2), ["Reshape"]),
        (Reshape((6, H, 2, 4)), (6, H, 8), lambda x: x.unflatten(3, (2, 4)), ["Reshape"]),
        (Flatten(1), (6, H, W), torch.nn.Flatten(2), ["Reshape"]),
        (ChannelShuffle(3), (6, H, 4), torch.nn.ChannelShuffle(3), ["Reshape", "Transpose", "Reshape"]),
        (Crop(1), (6, H, W), lambda x: x[:, :, 1:-1, 1:-1], ["Slice"]),
        (SliceLayer(1, -2, axis=1), (6, symbol("H", 1, 4), W), lambda x: x[:, :, 1:-2], ["Slice"]),
    ],
)
def test_no_size_is_computed_that_the_operator_can_see(
    layer: Layer, shape: tuple[Dim, ...], reference: Callable[..., Any], expected: list[str]
) -> None:
    known = tuple(SIZES.get(str(dim), dim) for dim in shape)
    model = conform(layer, data(*known), reference=reference, types=[TensorType(shape)], sizes=SIZES)
    assert operators(model) == expected


# ------------------------------------------------------------------------------------------------------------- refusals

REFUSED: list[tuple[Layer, tuple[Dim, ...], str, str, str | None]] = [
    (Flatten(3), (4, 5, 6), "E0411", "axis 3 is outside an input of 3 dimensions", "from 0 to 2"),
    (Flatten(), (), "E0411", "axis 0 is outside", "axes"),
    (Reshape((5, 5)), (4, 6), "E0406", "4x6 has 24, and \\(5, 5\\) has 25", None),
    (Reshape((6, 5)), (4, 6), "E0406", "4x6 has 24, and \\(6, 5\\) has 30", "`reshape (6, 4)` fits"),
    (Reshape((5, -1)), (4, 6), "E0406", "4x6 has 24, and \\(5, -1\\) has a multiple of 5", "24 is divisible by"),
    (Reshape((6, H)), (6, H, W), "E0406", "has 6\\*H\\*W, and \\(6, H\\) has 6\\*H", "`reshape (6, H*W)` fits"),
    (Reshape((W, -1)), (6, H), "E0406", "has a multiple of W", None),
    (Reshape((2, -1)), (3, H), "E0408", "3xH has 3\\*H, and \\(2, -1\\) has a multiple of 2", "`where H % 2 == 0`"),
    (Reshape((2, H // 2)), (H,), "E0408", "has 2\\*floor\\(H/2\\)", "`where H % 2 == 0`"),
    (Transpose((0, 1)), (4, 5, 6), "E0306", "names each of the 3 axes once, and \\(0, 1\\) does not", "0, 1, 2"),
    (Transpose((0, 0, 1)), (4, 5, 6), "E0306", "each of the 3 axes once", "0, 1, 2"),
    (Transpose((0, 1, 3)), (4, 5, 6), "E0411", "axis 3", "from 0 to 2"),
    (ChannelShuffle(4), (6, 4, 5), "E0405", "6 by 4 is not", "6 is divisible by 1, 2, 3, 6"),
    (ChannelShuffle(2), (C, 4), "E0405", "C by 2", "`where C % 2 == 0`"),
    (ChannelShuffle(2), (6,), "E0401", "at least 2 dimensions", "`flatten` too early"),
    (PixelShuffle(3), (64, 4, 5), "E0405", "a multiple of 9 channels, got 64", "give it 72 channels"),
    (PixelShuffle(2), (C, 4, 5), "E0405", "a multiple of 4 channels, got C", "`where C % 4 == 0`"),
    (PixelShuffle(2), (4, 5), "E0401", "expected 3 dimensions .*, got 2", None),
    (Select(()), (4,), "E0306", "at least one position", None),
    (Select((0, 4)), (4, 5), "E0414", "position 4 is outside axis 0 of 4x5", "from 0 to 3"),
    (Select((-5,)), (4, 5), "E0414", "position -5", "from 0 to 3"),
    (Select((0,), 2), (4, 5), "E0411", "axis 2", "from 0 to 1"),
    (SliceLayer(3, 3), (6, 4), "E0415", "axis 0 of 6x4 has nothing from 3 to 3", "from 0 to 5"),
    (SliceLayer(H, axis=1), (6, H), "E0415", "axis 1 of 6xH has nothing from H on", "from 0 to H-1"),
    (Split(4, 0), (6, 4), "E0405", "axis 0 of 6x4 cannot be split into 4 equal parts", "6 is divisible by 1, 2, 3, 6"),
    (Split(4, 4), (8, 4), "E0414", "no part 4 of 4", "0 to 3"),
    (Split(2, 0, 1), (6, H), "E0408", "axis 1 of 6xH cannot be split into 2", "`where H % 2 == 0`"),
    (Pad(1), (6,), "E0401", "2 to 4 dimensions", "`flatten` too early"),
    (Pad((1, 2, 3)), (6, 4, 5), "E0401", "`p` has 3 numbers, and the input has 2", "2 (one for each dimension) or 4"),
    (Pad(1, "reflect", 2.0), (6, 4, 5), "E0306", "takes no `value`", "drop one"),
    (Pad(4, "reflect"), (6, 4, 5), "E0306", "at most 3 rows, all but the outermost, got 4", "smaller margins"),
    (Crop(2), (6, 4, 5), "E0415", "cropping 2 \\+ 2 of 4 rows leaves none", "at most 3 rows"),
    (Crop((0, 9)), (6, H, 18), "E0415", "cropping 9 \\+ 9 of 18 columns leaves none", "at most 17 columns"),
    (Upsample(2, "bilinear"), (6, 4), "E0401", "for 2 spatial dimensions, and 6x4 has 1", "or `linear`"),
    (Upsample(2, "bicubic"), (6, 4, 4, 4), "E0401", "for 2 spatial dimensions, .* has 3", "`nearest` or `trilinear`"),
    (Upsample((2, 2)), (6, 4), "E0401", "`scale` has 2 numbers", "one number"),
    (ParamLayer((2, H)), (), "E0412", "a learned tensor must be known", "fix the size"),
    (ParamLayer((2, -1)), (), "E0306", "must be given in full", None),
    (InputLayer((2, -1)), (), "E0306", "must be given in full", None),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "code", "message", "remedy"), REFUSED)
def test_what_is_refused(layer: Layer, shape: tuple[Dim, ...], code: str, message: str, remedy: str | None) -> None:
    found = refused(layer, *[TensorType(shape)] * layer.arity[0], match=message)
    assert found.code == code
    if remedy is None:
        assert found.help is None
    else:
        assert remedy in (found.help or "")


@pytest.mark.parametrize("layer", [Pad(1), Crop(1), Upsample(), PixelShuffle(1)])
@pytest.mark.parametrize("dtype", [DType.INT64, DType.BFLOAT16])
def test_images_are_floating_point(layer: Layer, dtype: DType) -> None:
    words = f"expected float32, float16 or float64, got {dtype.value}"
    assert refused(layer, TensorType((3, 4, 4), dtype), match=words).code == "E0409"


def test_upsample_has_no_form_for_float64() -> None:
    refused(Upsample(), TensorType((3, 4, 4), DType.FLOAT64), match="got float64")


@pytest.mark.parametrize(
    ("layer", "argument", "value", "code"),
    [
        (Pad, "p", "same", "E0305"),
        (Pad, "p", -1, "E0306"),
        (Pad, "mode", "circular", "E0305"),
        (SliceLayer, "start", 1.5, "E0307"),
        (SliceLayer, "step", 0, "E0306"),
        (Split, "index", -1, "E0306"),
        (Upsample, "scale", 0, "E0306"),
        (Upsample, "mode", "cubic", "E0305"),
        (InputLayer, "dtype", "float", "E0305"),
    ],
)
def test_arguments_of_the_wrong_kind(layer: type[Layer], argument: str, value: object, code: str) -> None:
    kind = next(field.kind for field in signature(layer) if field.name == argument)
    with pytest.raises(ArgumentError) as caught:
        kind.convert(value)
    assert caught.value.code == code


# -------------------------------------------------------------------------------------- receptive fields, ends of nets


@pytest.mark.parametrize(
    ("layer", "axis", "reads"),
    [
        (Upsample(3), 1, Spans(((0, 0),) * 3, 1)),
        (Upsample((1, 2), "bilinear"), 1, Spans(((0, 0),), 1)),
        (Upsample((1, 2), "bilinear"), 2, Spans(((-1, 0), (0, 1)), 1)),
        (Upsample(2, "bicubic"), 1, Spans(((-2, 1), (-1, 2)), 1)),
        (Upsample(2, "bilinear", align_corners=True), 0, EACH),
        (PixelShuffle(2), 2, Spans(((0, 0), (0, 0)), 1)),
        (PixelShuffle(2), 0, Spans(((0, 3),), 4)),
        (SliceLayer(1, None, 2, axis=2), 2, Spans.table([(1, 1), (3, 3), (5, 5)])),
        (SliceLayer(0, 2), 1, EACH),
        (Pad(1), 1, Spans.window(1, 1, 1)),
        (Pad(1, "reflect"), 1, Spans.table([(1, 1), (0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (3, 3)])),
        (Crop(1), 1, Spans.table([(1, 1), (2, 2), (3, 3)])),
    ],
)
def test_what_positions_read(layer: Layer, axis: int, reads: Spans) -> None:
    assert layer.reads(axis, TensorType((4, 5, 6))) == reads


@pytest.mark.parametrize("shape", [(2, 5), (1, 3, 4), ()])
@pytest.mark.parametrize("opset", OPSETS)
def test_a_learned_tensor_is_expanded(shape: tuple[int, ...], opset: int) -> None:
    def reference(x: torch.Tensor, **params: torch.Tensor) -> torch.Tensor:
        return params[""].expand(x.shape[0], *shape)

    assert (
        operators(conform(ParamLayer(shape), data(4), reference=reference, opset=opset, rtol=0, atol=0))[-1] == "Expand"
    )


def test_a_learned_tensor_can_have_a_value_at_first() -> None:
    assert ParamLayer((2, 5), 1e-6).params()[""].init == Init.constant(1e-6)


@pytest.mark.parametrize("shape", [(2, 5), (1, 3, 4), ()])
@pytest.mark.parametrize("opset", OPSETS)
def test_a_learned_tensor_is_the_same_for_every_sample(shape: tuple[int, ...], opset: int) -> None:
    sketch = Sketch(*shape)
    token = sketch.add("token", ParamLayer(shape))
    spec = token.layer.params()[""]
    assert (spec.shape, spec.init, spec.trainable) == (shape, Init("normal", value=0.02), True)
    joined = sketch.add("joined", Add(), sketch.x, token)
    model = lower(sketch.graph(sum=joined, alone=token), opset=opset).proto
    values = np.random.default_rng(2).standard_normal(shape).astype("float32")
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), "token"))
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = data(*shape)
    total, alone = session.run(["sum", "alone"], {"x": x})
    np.testing.assert_array_equal(alone, np.broadcast_to(values, x.shape))
    np.testing.assert_array_equal(total, x + values)
