"""Convolutions in 1, 2 or 3 dimensions, depending on the input."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from netdsl.ir.dim import Dim, upper_bound
from netdsl.ir.params import ParamSpec
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Count, Flag, Padding, Size, SymmetricPadding
from netdsl.layers.base import (
    Layer,
    LayerError,
    Lowering,
    TorchLowering,
    need_divisible,
    need_int,
    per_dimension,
    register,
    single,
    weight_and_bias,
)
from netdsl.layers.spans import MAX_SPAN_POSITIONS, NOTHING, Reads, Span, Spans, grouped
from netdsl.layers.windows import Slide, Windowed, need_image, per_side, torch_margins


class _Convolution(Windowed):
    """The common part of `conv` and `depthwise`, which differ in how they determine `out` and `g`."""

    k: Size
    s: Size
    p: Padding
    d: Size
    bias: Flag

    def maps(self, channels: int) -> tuple[int, int]:
        """The number of output channels and of groups."""
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        out, groups = self.maps(_channels(x))
        _need_groups(_channels(x), out, groups)
        return self.slid(x, out)

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        channels = _channels(x)
        out, groups = self.maps(channels)
        kernel = per_dimension(self.k, x.rank - 1, "k")
        fan_in, fan_out = channels // groups * prod(kernel), out // groups * prod(kernel)
        shape = (out, channels // groups, *kernel)
        return weight_and_bias(shape, out, (fan_in, fan_out), x.dtype, bias=self.bias)

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        return output.elements * prod(self.params(*inputs)["weight"].shape[1:])

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        if axis:
            return super().reads(axis, *inputs)
        channels = _channels(inputs[0])
        out, groups = self.maps(channels)
        return grouped(channels // groups, out // groups)

    def slides(self, x: TensorType) -> tuple[Slide, ...]:
        rank = x.rank - 1
        kernel, stride, spread = (per_dimension(getattr(self, name), rank, name) for name in "ksd")
        before, after = self._pads(kernel, stride, spread)
        return tuple(map(Slide, x.shape[1:], kernel, stride, spread, before, after))

    def _pads(
        self, kernel: tuple[int, ...], stride: tuple[int, ...], spread: tuple[int, ...]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Padding before and after, for each dimension."""
        if isinstance(self.p, str):
            totals = [d * (k - 1) for k, d in zip(kernel, spread, strict=True)]
            before, after = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
            if max(stride) > 1:
                explicit = before[0] if {*before} == {*after} == {before[0]} else before + after
                raise LayerError(
                    "E0306",
                    f"`p=same` keeps the size, and stride {max(stride)} does not",
                    argument="p",
                    help=f"use `p={explicit}` for a size of n/{max(stride)}, rounded up",
                )
            return before, after
        return per_side(self.p, len(kernel))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        (x,) = o.inputs
        slides = self.slides(x)
        return o.op(
            "Conv",
            inputs[0],
            o.param("weight"),
            o.param("bias") if self.bias else None,
            kernel_shape=[slide.kernel for slide in slides],
            strides=[slide.stride for slide in slides],
            dilations=[slide.dilation for slide in slides],
            pads=[slide.before for slide in slides] + [slide.after for slide in slides],
            group=self.maps(_channels(x))[1],
        )

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,) = t.inputs
        channels, rank = _channels(x), x.rank - 1
        out, groups = self.maps(channels)
        kernel, stride, dilation = (per_dimension(getattr(self, name), rank, name) for name in "ksd")
        value, padding = inputs[0], self.p
        if not isinstance(padding, str):
            before, after = per_side(padding, rank)
            if before != after:
                value = t.call("F.pad", value, torch_margins(before, after))
                before = (0,) * rank
            padding = single(before)
        conv = t.module(
            f"nn.Conv{rank}d", channels, out, single(kernel), stride=single(stride), padding=padding,
            dilation=single(dilation), groups=groups, bias=self.bias,
        )  # fmt: skip
        return conv(value)


@register("conv")
@dataclass(frozen=True)
class Conv(_Convolution):
    """Convolution (cross-correlation): y[o] = bias[o] + sum over c, i of weight[o, c, i] * x[c, s*y + d*i - p].

    Input C x spatial, output `out` x spatial, each side floor((n + p_before + p_after - d*(k-1) - 1) / s) + 1.
    Parameters: weight out x C/g x k, bias out. `p=same` keeps the sides (stride 1 only; an odd column is padded at the
    end). Padding for each side is given in the order (top, left, bottom, right). Source: torch.nn.Conv2d; ONNX operator
    Conv.
    """

    known_as = ("convolution",)
    torch_order = (None, "out", "k", "s", "p", "d", "g", "bias")
    weight_axis = 0

    out: Count
    k: Size
    s: Size = 1
    p: Padding = 0
    d: Size = 1
    g: Count = 1
    bias: Flag = True

    def maps(self, channels: int) -> tuple[int, int]:
        return self.out, self.g


@register("depthwise")
@dataclass(frozen=True)
class Depthwise(_Convolution):
    """Convolution of each channel separately, with `mult` kernels: `conv C*mult g=C`.

    Input C x spatial, output C*mult x spatial, sides as for `conv`. Parameters: weight C*mult x 1 x k, bias C*mult.
    Source: torch.nn.Conv2d with groups=in_channels; ONNX operator Conv.
    """

    known_as = ("depthwise_conv", "dwconv", "dw_conv")
    weight_axis = 0

    k: Size
    s: Size = 1
    p: Padding = 0
    d: Size = 1
    mult: Count = 1
    bias: Flag = True

    def maps(self, channels: int) -> tuple[int, int]:
        return channels * self.mult, channels


@register("deconv")
@dataclass(frozen=True)
class Deconv(Layer):
    """Transposed convolution: each input position adds its value times the kernel to the output, at distances of `s`.

    Input C x spatial, output `out` x spatial, each side (n-1)*s - 2p + d*(k-1) + out_pad + 1; `out_pad` adds to the
    end and is less than the stride (PyTorch allows more with dilation, onnxruntime does not). Parameters: weight
    C x out/g x k, bias out. Source: torch.nn.ConvTranspose2d; ONNX operator ConvTranspose.
    """

    known_as = ("conv_transpose", "transposed_conv", "up_conv", "deconvolution")
    torch_order = (None, "out", "k", "s", "p", "out_pad", "g", "bias", "d")
    weight_axis = 1

    out: Count
    k: Size
    s: Size = 1
    p: SymmetricPadding = 0
    d: Size = 1
    g: Count = 1
    out_pad: SymmetricPadding = 0
    bias: Flag = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        _need_groups(_channels(x), self.out, self.g)
        kernel, stride, pad, spread, extra = self._sizes(x)
        for e, s in zip(extra, stride, strict=True):
            if e >= s:
                raise LayerError(
                    "E0306",
                    f"`out_pad` must be less than the stride, and {e} is not less than {s}",
                    argument="out_pad",
                    help=f"use at most {min(stride) - 1}",
                )
        sides = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, k, s, p, d, e in zip(x.shape[1:], kernel, stride, pad, spread, extra, strict=True)
        )
        for side, p in zip(sides, pad, strict=True):
            most = upper_bound(side)
            if most is not None and most < 1:
                raise LayerError(
                    "E0415",
                    f"the output must have a size of at least 1, and padding {p} leaves {side}",
                    argument="p",
                    help=f"use a padding of at most {p - (2 - most) // 2}",
                )
        return x.with_shape((self.out, *sides))

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        kernel = per_dimension(self.k, x.rank - 1, "k")
        fan = self.out // self.g * prod(kernel)  # PyTorch computes the fan-in from the outputs of one input
        shape = (_channels(x), self.out // self.g, *kernel)
        return weight_and_bias(shape, self.out, (fan, fan), x.dtype, bias=self.bias)

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        return inputs[0].elements * prod(self.params(*inputs)["weight"].shape[1:])

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        if axis == 0:
            return grouped(_channels(inputs[0]) // self.g, self.out // self.g)
        kernel, stride, pad, spread, _ = (numbers[axis - 1] for numbers in self._sizes(inputs[0]))
        if stride > MAX_SPAN_POSITIONS:
            return None
        spans = tuple(_reached(phase + pad, kernel, stride, spread) for phase in range(stride))
        return Spans(spans, 1, step=spread // gcd(stride, spread))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        kernel, stride, pad, spread, extra = self._sizes(o.inputs[0])
        return o.op(
            "ConvTranspose",
            inputs[0],
            o.param("weight"),
            o.param("bias") if self.bias else None,
            kernel_shape=kernel,
            strides=stride,
            pads=pad + pad,
            dilations=spread,
            output_padding=extra,
            group=self.g,
        )

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,) = t.inputs
        kernel, stride, pad, spread, extra = map(single, self._sizes(x))
        deconv = t.module(
            f"nn.ConvTranspose{x.rank - 1}d", _channels(x), self.out, kernel, stride=stride, padding=pad,
            output_padding=extra, groups=self.g, bias=self.bias, dilation=spread,
        )  # fmt: skip
        return deconv(*inputs)

    def _sizes(self, x: TensorType) -> tuple[tuple[int, ...], ...]:
        """Kernel, stride, padding, dilation and output padding, for each dimension."""
        return tuple(per_dimension(getattr(self, name), x.rank - 1, name) for name in ("k", "s", "p", "d", "out_pad"))


def _reached(position: int, kernel: int, stride: int, spread: int) -> Span:
    """The first and the last input position of a transposed convolution that contribute to an output position.

    Input position i contributes to i * stride + t * spread for each element t of the kernel.
    """
    first = next((t for t in range(min(kernel, stride)) if (position - t * spread) % stride == 0), None)
    if first is None:
        return NOTHING
    step = stride // gcd(stride, spread)
    last = first + (kernel - 1 - first) // step * step
    return (position - last * spread) // stride, (position - first * spread) // stride


def _channels(x: TensorType) -> int:
    return need_int(x.shape[0], "the number of channels")


def _need_groups(channels: int, out: int, groups: int) -> None:
    need_divisible(channels, groups, "g")
    if out % groups:
        below, above = out - out % groups, out - out % groups + groups
        raise LayerError(
            "E0405",
            f"`out` must be divisible by the groups, and {out} by {groups} is not",
            argument="out",
            help=f"use {below} or {above}" if below else f"use {above}",
        )
