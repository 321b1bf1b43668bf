"""Rearrangements: the same elements in another shape or order."""

from dataclasses import dataclass
from typing import Any

from netdsl.base.show import show
from netdsl.ir.dim import Dim, equality_constraint, exact_quotient, product
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Count, Integer, Integers, ShapeArgument
from netdsl.layers.base import (
    Layer,
    LayerError,
    Lowering,
    TorchLowering,
    divisibility,
    need_divisible,
    need_float,
    need_rank,
    normalized_axis,
    register,
)
from netdsl.layers.spans import EACH, MAX_SPAN_POSITIONS, Reads, Spans, grouped


@register("identity")
@dataclass(frozen=True)
class Identity(Layer):
    """The identity y = x; as a branch of a join, the unchanged tensor.

    Source: torch.nn.Identity; it adds nothing to an ONNX model.
    """

    known_as = ("no_op", "pass_through")

    keeps_order = True
    rearranges = True

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0]

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Identity")(*inputs)


@register("flatten")
@dataclass(frozen=True)
class Flatten(Layer):
    """Flattening of all axes from `start` on into one, row by row: C x H x W to C*H*W.

    The batch is not counted, so `start=0` flattens whole samples. Source: torch.nn.Flatten, whose start_dim is one
    more; ONNX operators Flatten and Reshape.
    """

    torch_order = ()

    keeps_order = True
    rearranges = True

    start: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        start = normalized_axis(self.start, x.rank, "start")
        return x.with_shape((*x.shape[:start], product(x.shape[start:])))

    def places(self, axis: int, *inputs: TensorType) -> int | frozenset[int]:
        return _dealt_out(axis, inputs[0].shape, self.infer(*inputs).shape)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        (x,) = o.inputs
        if x == o.output:
            return inputs[0]
        if o.output.rank == 1:
            return o.op("Flatten", inputs[0], axis=1)
        return _reshaped(o, inputs[0], x.shape, o.output.shape)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Flatten", normalized_axis(self.start, t.inputs[0].rank, "start") + 1)(*inputs)


@register("reshape")
@dataclass(frozen=True)
class Reshape(Layer):
    """The same elements, row by row, in another `shape`; one size may be -1 and is then inferred.

    The batch is not counted. Source: torch.reshape; ONNX operator Reshape.
    """

    known_as = ("view", "squeeze", "unsqueeze", "unflatten")

    keeps_order = True
    rearranges = True

    shape: ShapeArgument

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        known = product(dim for dim in self.shape if dim != -1)
        rest = exact_quotient(x.elements, known)
        if rest is None or (rest != 1 and -1 not in self.shape):
            raise self._misfit(x, known)
        return x.with_shape(rest if dim == -1 else dim for dim in self.shape)

    def places(self, axis: int, *inputs: TensorType) -> int | frozenset[int]:
        return _dealt_out(axis, inputs[0].shape, self.infer(*inputs).shape)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return _reshaped(o, inputs[0], o.inputs[0].shape, o.output.shape)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        shape = t.output.shape
        if sum(not isinstance(dim, int) for dim in shape) == 1:
            shape = tuple(dim if isinstance(dim, int) else -1 for dim in shape)
        return t.call("torch.reshape", inputs[0], t.sizes(shape))

    def _misfit(self, x: TensorType, known: Dim) -> LayerError:
        """The error of a shape with another number of elements than `x`, with the size that would fit."""
        given = f"`reshape` keeps the number of elements: {x} has {x.elements}, and {show(self.shape)} has "
        message = given + (f"a multiple of {known}" if -1 in self.shape else f"{known}")
        whole = x.elements // known * known if isinstance(known, int) and -1 in self.shape else known
        constraint = equality_constraint(x.elements, whole)
        if constraint:
            return LayerError(
                "E0408", message, argument="shape", help=f"add `where {constraint}` to the `input` if that is meant"
            )
        if -1 in self.shape:
            remedy = divisibility(x.elements, known) if isinstance(known, int) else None
            return LayerError("E0406", message, argument="shape", help=remedy)
        remedy = None
        for i in range(len(self.shape)):
            size = exact_quotient(x.elements, product((*self.shape[:i], *self.shape[i + 1 :])))
            if size is not None:
                remedy = f"`reshape {show((*self.shape[:i], size, *self.shape[i + 1 :]))}` fits"
        return LayerError("E0406", message, argument="shape", help=remedy)


@register("transpose")
@dataclass(frozen=True)
class Transpose(Layer):
    """Permutation of the axes: axis i of the output is axis perm[i] of the input.

    The batch stays first and is not counted, so `transpose (1, 0)` turns T x C to C x T. Source: torch.permute; ONNX
    operator Transpose.
    """

    known_as = ("permute", "swapaxes", "rearrange")

    rearranges = True

    perm: Integers

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        return x.with_shape(x.shape[axis] for axis in self._axes(x.rank))

    def places(self, axis: int, *inputs: TensorType) -> int:
        return self._axes(inputs[0].rank).index(axis)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Transpose", inputs[0], perm=[0, *(axis + 1 for axis in self._axes(o.output.rank))])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.call("torch.permute", inputs[0], (0, *(axis + 1 for axis in self._axes(t.output.rank))))

    def _axes(self, rank: int) -> list[int]:
        axes = [normalized_axis(axis, rank, "perm") for axis in self.perm]
        if sorted(axes) != list(range(rank)):
            raise LayerError(
                "E0306",
                f"`perm` names each of the {rank} axes once, and {show(self.perm)} does not",
                argument="perm",
                help=f"the axes are {', '.join(map(str, range(rank)))}; the batch is not counted",
            )
        return axes


@register("channel_shuffle")
@dataclass(frozen=True)
class ChannelShuffle(Layer):
    """Channels interleaved over groups: output channel j*g + i is input channel i*C/g + j, for g = `groups`.

    Input and output C x spatial, C divisible by g. Source: Zhang et al., "ShuffleNet" (2017); torch.nn.ChannelShuffle;
    ONNX operators Reshape and Transpose.
    """

    rearranges = True

    groups: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_rank(self, x, 2, what="channels and spatial dimensions")
        need_divisible(x.shape[0], self.groups, "groups")
        return x

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        channels = inputs[0].shape[0]
        if axis:
            return EACH
        if not isinstance(channels, int) or channels > MAX_SPAN_POSITIONS:
            return None
        width = channels // self.groups
        return Spans.table((i % self.groups * width + i // self.groups,) * 2 for i in range(channels))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        channels, *spatial = o.output.shape
        width, area = need_divisible(channels, self.groups, "groups"), product(spatial)
        grouped = _reshaped(o, inputs[0], o.output.shape, (self.groups, width, area))
        dealt = o.op("Transpose", grouped, perm=[0, 2, 1, 3])
        return _reshaped(o, dealt, (width, self.groups, area), o.output.shape)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.ChannelShuffle", self.groups)(*inputs)


@register("pixel_shuffle")
@dataclass(frozen=True)
class PixelShuffle(Layer):
    """Rearrangement of channels to pixels: y[c, r*h + i, r*w + j] = x[c*r*r + r*i + j, h, w].

    Input C*r*r x H x W, output C x r*H x r*W. Source: Shi et al., "Real-time single image and video super-resolution
    using an efficient sub-pixel convolutional neural network" (2016); torch.nn.PixelShuffle; ONNX operator
    DepthToSpace in mode CRD.
    """

    known_as = ("depth_to_space", "sub_pixel")

    rearranges = True

    r: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_rank(self, x, 3, 3, "channels, height and width")
        need_float(self, x, bfloat16=False)
        channels, height, width = x.shape
        quotient = exact_quotient(channels, self.r**2)
        if quotient is None:
            remedy = divisibility(channels, self.r**2)
            if isinstance(channels, int):
                remedy = f"give it {-(-channels // self.r**2) * self.r**2} channels"
            raise LayerError(
                "E0405",
                f"`pixel_shuffle {self.r}` expected a multiple of {self.r**2} channels, got {channels}",
                argument="r",
                help=remedy,
            )
        return x.with_shape((quotient, height * self.r, width * self.r))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return Spans.repeated(self.r) if axis else grouped(self.r**2, 1)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("DepthToSpace", inputs[0], blocksize=self.r, mode="CRD")

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.PixelShuffle", self.r)(*inputs)


def _dealt_out(axis: int, old: tuple[Dim, ...], new: tuple[Dim, ...]) -> int | frozenset[int]:
    """The axis or axes of a new shape over which the positions along an axis of the old shape are spread.

    Axes are grouped: a group ends where the same number of elements precedes in both shapes.
    """
    olds, news = ([i for i, dim in enumerate(shape) if dim != 1] for shape in (old, new))
    if axis not in olds:  # its one position moves with those of the neighbouring axis
        beside = min(olds, key=lambda i: abs(i - axis), default=None)
        if beside is None:
            return frozenset(range(len(new)))
        places = _dealt_out(beside, old, new)
        return frozenset([places]) if isinstance(places, int) else places
    before = [product(old[i] for i in olds[:count]) for count in range(len(olds) + 1)]
    behind = [product(new[i] for i in news[:count]) for count in range(len(news) + 1)]
    at = olds.index(axis)
    first = max(i for i in range(at + 1) if before[i] in behind)
    last = min(i for i in range(at + 1, len(olds) + 1) if before[i] in behind)
    group = news[behind.index(before[first]) : behind.index(before[last])]
    return group[0] if last - first == len(group) == 1 else frozenset(group)


def _reshaped(o: Lowering, value: str, old: tuple[Dim, ...], new: tuple[Dim, ...]) -> str:
    """Reshape; sizes are computed at run time only if 0 (copied) and one -1 (inferred) cannot express them."""
    target = [0]
    for axis, dim in enumerate(new):
        kept = axis < len(old) and old[axis] == dim
        target.append(dim if isinstance(dim, int) else 0 if kept else -1)
    return o.op("Reshape", value, o.const(target) if target.count(-1) <= 1 else o.sizes(new))
