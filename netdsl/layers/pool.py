"""Pooling in 1, 2 or 3 dimensions, depending on the input."""

from dataclasses import dataclass, replace
from math import inf, prod
from typing import Any

from netdsl.ir.bounds import Need
from netdsl.ir.dim import Dim, Symbolic, lower_bound
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import AboveZero, Flag, OptionalSize, Size, SymmetricPadding
from netdsl.layers.base import LayerError, Lowering, TorchLowering, per_dimension, register, single
from netdsl.layers.windows import SIDES, ZERO, Slide, Windowed, need_image


class _Pool(Windowed):
    """A pooling layer with a kernel; the stride is the kernel by default, and the last window may reach past the end.

    With `ceil=yes`, an incomplete last window counts too, if it starts before the end of the input. For every size,
    known or symbolic, that equals up to s - 1 more padding at the end and rounding down; so no lowering needs ONNX's
    `ceil_mode`, whose meaning differs between opsets.
    """

    k: Size
    s: OptionalSize
    ceil: Flag

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        return self.slid(x, x.shape[0])

    def slides(self, x: TensorType) -> tuple[Slide, ...]:
        rank = x.rank - 1
        kernel = per_dimension(self.k, rank, "k")
        stride = kernel if self.s is None else per_dimension(self.s, rank, "s")
        spread = per_dimension(getattr(self, "d", 1), rank, "d")
        pads = per_dimension(getattr(self, "p", 0), rank, "p")
        for pad, k in zip(pads, kernel, strict=True):
            if pad > k // 2:
                raise LayerError(
                    "E0413",
                    f"padding must be at most half of the kernel {k}, and {pad} is more",
                    argument="p",
                    help=f"use a padding of at most {min(kernel) // 2}",
                )
        slides = tuple(map(Slide, x.shape[1:], kernel, stride, spread, pads, pads))
        return tuple(map(_rounded_up, slides)) if self.ceil else slides

    def connections(self, output: TensorType, *inputs: TensorType) -> Dim:
        return output.elements * prod(slide.kernel for slide in self.slides(inputs[0]))


def _rounded_up(slide: Slide) -> Slide:
    """The window with the overhang that makes room for all windows that start before the end of the input."""
    spare = slide.size + slide.before + slide.after - slide.extent
    if spare % slide.stride == 0 and (isinstance(spare, Symbolic) or spare >= 0):
        return slide  # the windows fit exactly
    return replace(slide, overhang=min(slide.stride - 1, slide.extent - 1 - slide.after))


@register("maxpool")
@dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest value of each window.

    Input C x spatial, output C x spatial, each side floor((n + 2p - d*(k-1) - 1) / s) + 1, rounded up with `ceil=yes`.
    Padding counts as -infinity; a dilated window that misses an input smaller than `d` is undefined. Source:
    torch.nn.MaxPool2d; ONNX operator MaxPool.
    """

    known_as = ("max_pooling", "pool", "pooling")

    k: Size
    s: OptionalSize = None
    p: SymmetricPadding = 0
    d: Size = 1
    ceil: Flag = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        slides = self.slides(o.inputs[0])
        x = inputs[0]
        before = [slide.before for slide in slides]
        after = [slide.after + slide.overhang for slide in slides]
        if any(end >= slide.kernel for end, slide in zip(after, slides, strict=True)):  # onnxruntime pads by less only
            x = o.op("Pad", x, o.const([0, 0, *before, 0, 0, *after]), o.const(-inf))
            before = after = [0] * len(slides)
        return o.op(
            "MaxPool",
            x,
            kernel_shape=[slide.kernel for slide in slides],
            strides=[slide.stride for slide in slides],
            dilations=[slide.dilation for slide in slides],
            pads=before + after,
        )

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        slides = self.slides(t.inputs[0])
        pool = t.module(
            f"nn.MaxPool{len(slides)}d",
            single(slide.kernel for slide in slides),
            stride=single(slide.stride for slide in slides),
            padding=single(slide.before for slide in slides),
            dilation=single(slide.dilation for slide in slides),
            ceil_mode=self.ceil,
        )
        return pool(*inputs)


@register("avgpool")
@dataclass(frozen=True)
class AvgPool(_Pool):
    """Mean of each window; the zeros of the padding count unless `count_pad=no`.

    Input C x spatial, output C x spatial, each side floor((n + 2p - k) / s) + 1, rounded up with `ceil=yes`. Positions
    past the padding never count. Source: torch.nn.AvgPool2d; ONNX operator AveragePool.
    """

    known_as = ("average_pooling", "average_pool")

    k: Size
    s: OptionalSize = None
    p: SymmetricPadding = 0
    ceil: Flag = False
    count_pad: Flag = True

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return _average(o, inputs[0], self.slides(o.inputs[0]), count_pad=self.count_pad)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,), slides = inputs, self.slides(t.inputs[0])
        kernel, stride = (single(getattr(slide, of) for slide in slides) for of in ("kernel", "stride"))
        if len(slides) < 3 or all((lower_bound(slide.size) or 1) >= slide.kernel for slide in slides):
            padding = single(slide.before for slide in slides)
            pool = t.module(
                f"nn.AvgPool{len(slides)}d",
                kernel,
                stride=stride,
                padding=padding,
                ceil_mode=self.ceil,
                count_include_pad=self.count_pad,
            )
            return pool(x)
        # nn.AvgPool3d requires each side to hold the kernel without padding, so the input is padded first.
        pool = t.module("nn.AvgPool3d", kernel, stride=stride)
        around = [slide.before for slide in slides[::-1] for _ in range(2)]
        beyond = [side for slide in slides[::-1] for side in (0, slide.overhang)]
        counted = t.call("F.pad", t.call("torch.ones_like", x), around, value=float(self.count_pad))
        sums, counts = (pool(t.call("F.pad", y, beyond)) for y in (t.call("F.pad", x, around), counted))
        return t.call("operator.truediv", sums, counts)


@register("lppool")
@dataclass(frozen=True)
class LpPool(_Pool):
    """Norm of each window: y = (sum of x^norm)^(1/norm).

    The sum is over the numbers themselves, not over absolute values: with an odd `norm` it may be negative, and the
    result is then NaN, as in PyTorch. Input C x spatial, output C x spatial, each side floor((n - k) / s) + 1, rounded
    up with `ceil=yes`; the sum of an incomplete window is scaled up to a complete one. Source: torch.nn.LPPool2d; ONNX
    operators Pow and AveragePool (LpPool takes absolute values).
    """

    k: Size
    s: OptionalSize = None
    norm: AboveZero = 2.0
    ceil: Flag = False

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        """In three dimensions, PyTorch needs room for the kernel, even where incomplete windows count."""
        slides = self.slides(inputs[0])
        if len(slides) < 3:
            return ()
        return tuple(Need(s.size, s.kernel, f"the number of {side}") for s, side in zip(slides, SIDES[3], strict=True))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        slides = self.slides(o.inputs[0])
        mean = _average(o, o.op("Pow", inputs[0], o.const(float(self.norm))), slides, count_pad=False)
        total = o.op("Mul", mean, o.const(float(prod(slide.kernel for slide in slides))))
        return o.op("Pow", total, o.const(1.0 / self.norm))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        slides = self.slides(t.inputs[0])
        pool = t.module(
            f"nn.LPPool{len(slides)}d",
            self.norm,
            single(slide.kernel for slide in slides),
            stride=single(slide.stride for slide in slides),
            ceil_mode=self.ceil,
        )
        return pool(*inputs)


def _average(o: Lowering, x: str, slides: tuple[Slide, ...], *, count_pad: bool) -> str:
    """The mean over windows. If padding counts but an overhang does not, the input is padded first."""
    before, after = [slide.before for slide in slides], [slide.after for slide in slides]
    overhang = [slide.overhang for slide in slides]
    if count_pad and any(before) and any(overhang):
        x = o.op("Pad", x, o.const([0, 0, *before, 0, 0, *after]), o.const(ZERO))
        before = after = [0] * len(slides)
        count_pad = False
    return o.op(
        "AveragePool",
        x,
        kernel_shape=[slide.kernel for slide in slides],
        strides=[slide.stride for slide in slides],
        pads=before + [a + h for a, h in zip(after, overhang, strict=True)],
        count_include_pad=int(count_pad and any(before)),
    )
