"""Normalization by the statistics of a batch, of a sample, of groups of channels, or of neighbouring channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.ir.bounds import Need
from netdsl.ir.dim import product
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType, TensorType
from netdsl.layers.affine import ChannelAffine, apply_scale_and_shift, channels, scale_and_shift
from netdsl.layers.arguments import AboveZero, Count, Flag, OptionalAboveZero, Real
from netdsl.layers.base import (
    Layer,
    LayerError,
    Lowering,
    TorchLowering,
    need_divisible,
    need_float,
    need_int,
    need_rank,
    register,
)
from netdsl.layers.precision import computing_type, narrow, widen
from netdsl.layers.spans import EACH, Reads, Spans, grouped

if TYPE_CHECKING:
    import numpy.typing as npt

VALUES = "the number of values that share a mean and a deviation"


@register("bn")
@dataclass(frozen=True)
class BatchNorm(ChannelAffine):
    """Batch normalization: y[c] = weight[c] * (x[c] - running_mean[c]) / sqrt(running_var[c] + eps) + bias[c].

    Input and output C x anything. Parameters: weight C and bias C, unless `affine=no`; buffers: running_mean C,
    running_var C. The training graph uses the statistics of the batch, and moves the running ones towards them by the
    fraction `momentum`. Source: Ioffe and Szegedy, "Batch normalization" (2015); torch.nn.BatchNorm2d; ONNX operator
    BatchNormalization, whose running variance, unlike PyTorch's, is not corrected for the size of the batch.
    """

    known_as = ("batch_norm", "batch_normalization", "sync_batch_norm")
    torch_order = (None, "eps", "momentum", "affine")
    batch_statistics = True

    eps: AboveZero = 1e-5
    momentum: Real = 0.1
    affine: Flag = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x, bfloat16=False)
        need_rank(self, x, 1)
        channels(x)
        return x

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        statistics = {
            role: ParamSpec((channels(x),), Init.constant(value), trainable=False, dtype=x.dtype)
            for role, value in (("running_mean", 0.0), ("running_var", 1.0))
        }
        return scale_and_shift((channels(x),), x.dtype, weight=self.affine, bias=self.affine) | statistics

    def coefficients(self, params: Mapping[str, "npt.NDArray[Any]"]) -> "tuple[npt.ArrayLike, npt.ArrayLike]":
        scale = params.get("weight", 1.0) / (params["running_var"] + self.eps) ** 0.5
        return scale, params.get("bias", 0.0) - params["running_mean"] * scale

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        size = channels(o.output)
        weight = o.param("weight") if self.affine else o.const([1.0] * size)
        bias = o.param("bias") if self.affine else o.const([0.0] * size)
        operands = [inputs[0], weight, bias, o.param("running_mean"), o.param("running_var")]
        if not o.training:
            eps = self.eps
            if o.output.dtype is DType.FLOAT64:  # ONNX stores an attribute in float32
                operands[-1], eps = o.op("Add", operands[-1], o.const(eps)), 0.0
            return o.op("BatchNormalization", *operands, epsilon=eps)
        y, mean, var, *_ = o.ops(
            3 if o.opset >= 14 else 5,  # before opset 14, the number of outputs selects training
            "BatchNormalization", *operands, epsilon=self.eps, momentum=1 - self.momentum,
            training_mode=1 if o.opset >= 14 else None,
        )  # fmt: skip
        # Unless its statistics are read, onnxruntime silently treats the node as one of inference.
        o.update("running_mean", mean)
        o.update("running_var", var)
        return y

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        rank = max(t.output.rank - 1, 1)
        module = f"nn.BatchNorm{rank}d" if rank <= 3 else "BatchNorm"
        size = channels(t.output)
        return t.module(module, size, eps=self.eps, momentum=self.momentum, affine=self.affine)(*inputs)


class _OverLastAxes(Layer):
    """A layer that normalizes over the last `dims` axes and scales each of their positions."""

    dims: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        if self.dims > x.rank:
            raise LayerError("E0411", f"`dims={self.dims}` exceeds the {x.rank} dimensions of {x}", argument="dims",
                             help=f"use at most {x.rank}; the batch is not counted")  # fmt: skip
        self.normalized(x)
        return x

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all" if axis >= inputs[0].rank - self.dims else EACH

    def normalized(self, x: TensorType) -> tuple[int, ...]:
        """The sizes of the normalized axes, which are those of the weights."""
        return tuple(need_int(dim, f"a size that `{self.kind}` has weights for") for dim in x.shape[-self.dims :])

    def weights(self, x: TensorType, *, bias: bool) -> dict[str, ParamSpec]:
        """The parameters."""
        return scale_and_shift(self.normalized(x), x.dtype, weight=True, bias=bias)

    def over_deviation(self, o: Lowering, x: str, eps: float, *, centre: bool) -> str:
        """Lower x / sqrt(mean(x^2) + eps); with `centre`, subtract the mean from x first."""
        x = widen(o, x)
        if centre:
            x = o.op("Sub", x, self._mean(o, x))
        least = o.const(eps, computing_type(o.output.dtype).value)
        variance = o.op("Add", self._mean(o, o.op("Mul", x, x)), least)
        return narrow(o, o.op("Div", x, o.op("Sqrt", variance)))

    def _mean(self, o: Lowering, x: str) -> str:
        axes = list(range(-self.dims, 0))
        return o.op("ReduceMean", x, axes=axes) if o.opset < 18 else o.op("ReduceMean", x, o.const(axes))


@register("ln")
@dataclass(frozen=True)
class LayerNorm(_OverLastAxes):
    """Layer normalization: y = weight * (x - mean(x)) / sqrt(var(x) + eps) + bias, over the last `dims` axes.

    Input and output of any shape with at least `dims` axes. Parameters: weight and, unless `bias=no`, bias, of the
    shape of those axes. Source: Ba et al., "Layer normalization" (2016); torch.nn.LayerNorm; ONNX operator
    LayerNormalization, or its formula before opset 17 and in float64, since the operator stores `eps` in float32.
    """

    known_as = ("layer_norm", "layer_normalization")
    torch_order = (None, "eps")
    opset = 17

    dims: Count = 1
    eps: AboveZero = 1e-5
    bias: Flag = True

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        return self.weights(inputs[0], bias=self.bias)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        weight, bias = o.param("weight"), o.param("bias") if self.bias else None
        if o.opset >= 17 and o.output.dtype is not DType.FLOAT64:
            return o.op("LayerNormalization", inputs[0], weight, bias, axis=-self.dims, epsilon=self.eps)
        scaled = o.op("Mul", self.over_deviation(o, inputs[0], self.eps, centre=True), weight)
        return o.op("Add", scaled, bias) if bias else scaled

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.LayerNorm", list(self.normalized(t.output)), eps=self.eps, bias=self.bias)(*inputs)


@register("channel_ln")
@dataclass(frozen=True)
class ChannelNorm(Layer):
    """Layer normalization of the channels at each position separately.

    y[c] = weight[c] * (x[c] - mean) / sqrt(var + eps) + bias[c]. Input and output C x anything. Parameters: weight C
    and, unless `bias=no`, bias C. It is `ln` with the channels moved to the last axis, and back. Source: Liu et al., "A
    ConvNet for the 2020s" (2022); torchvision.models.convnext.LayerNorm2d; ONNX operators Transpose and those of `ln`.
    """

    known_as = ("layer_norm_2d", "ln2d")
    torch_order = (None, "eps", "bias")
    opset = LayerNorm.opset

    eps: AboveZero = 1e-5
    bias: Flag = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        need_rank(self, x, 1)
        channels(x)
        return x

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return EACH if axis else "all"

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        return scale_and_shift((channels(x),), x.dtype, weight=True, bias=self.bias)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        rank = o.output.rank
        last = o.op("Transpose", inputs[0], perm=[0, *range(2, rank + 1), 1])
        normal = LayerNorm(eps=self.eps, bias=self.bias).to_onnx(o, last)
        return o.op("Transpose", normal, perm=[0, rank, *range(1, rank)])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("ChannelNorm", channels(t.output), eps=self.eps, bias=self.bias)(*inputs)


@register("rmsnorm")
@dataclass(frozen=True)
class RmsNorm(_OverLastAxes):
    """Root-mean-square normalization: y = weight * x / sqrt(mean(x^2) + eps), over the last `dims` axes.

    Input and output of any shape with at least `dims` axes. Parameter: weight, of the shape of those axes. By default,
    `eps` is the distance from 1 to the next number of the type computed in: 2^-23, or 2^-52 for float64. Source:
    Zhang and Sennrich, "Root mean square layer normalization" (2019); torch.nn.RMSNorm; ONNX operators Mul,
    ReduceMean, Sqrt and Div.
    """

    known_as = ("rms_norm", "root_mean_square_norm")
    torch_order = (None, "eps")

    dims: Count = 1
    eps: OptionalAboveZero = None

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        return self.weights(inputs[0], bias=False)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        least = 2.0**-52 if computing_type(o.output.dtype) is DType.FLOAT64 else 2.0**-23
        eps = least if self.eps is None else self.eps
        return o.op("Mul", self.over_deviation(o, inputs[0], eps, centre=False), o.param("weight"))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.RMSNorm", list(self.normalized(t.output)), eps=self.eps)(*inputs)


@register("gn")
@dataclass(frozen=True)
class GroupNorm(Layer):
    """Group normalization: each of `groups` groups of consecutive channels is scaled to mean 0 and variance 1.

    y = weight[c] * (x - mean) / sqrt(var + eps) + bias[c]. Input and output C x anything. Parameters: weight C and
    bias C, unless `affine=no`. Source: Wu and He, "Group normalization" (2018); torch.nn.GroupNorm; ONNX operators
    Reshape, InstanceNormalization, Mul and Add, which every opset has, unlike GroupNormalization. A group of a single
    value has no deviation, and is refused, as in PyTorch.
    """

    known_as = ("group_norm", "group_normalization")
    torch_order = ("groups", None, "eps", "affine")

    groups: Count
    eps: AboveZero = 1e-5
    affine: Flag = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x, bfloat16=False)
        need_rank(self, x, 1)
        need_divisible(x.shape[0], self.groups, "groups")
        self.params(x)
        return x

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        (x,) = inputs
        return (Need(product((need_divisible(x.shape[0], self.groups, "groups"), *x.shape[1:])), 2, VALUES),)

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        width = channels(inputs[0]) // self.groups
        return "all" if axis else grouped(width, width)

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        return scale_and_shift((channels(x),), x.dtype, weight=True, bias=True) if self.affine else {}

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        groups = o.op("Reshape", inputs[0], o.const([0, self.groups, -1]))
        ones, zeros = o.const([1.0] * self.groups), o.const([0.0] * self.groups)
        normalized = o.op("InstanceNormalization", groups, ones, zeros, epsilon=self.eps)
        restored = o.op("Reshape", normalized, _shape(o, inputs[0]))
        return apply_scale_and_shift(o, restored, weight=self.affine, bias=self.affine)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        if not isinstance(t.output.shape[0], int):  # the module needs the number, but only for its weights
            return t.call("F.group_norm", inputs[0], self.groups, eps=self.eps)
        return t.module("nn.GroupNorm", self.groups, channels(t.output), eps=self.eps, affine=self.affine)(*inputs)


@register("instance_norm")
@dataclass(frozen=True)
class InstanceNorm(Layer):
    """Instance normalization: each channel of each sample is scaled to mean 0 and variance 1.

    y = weight[c] * (x - mean) / sqrt(var + eps) + bias[c]. Input and output C x at least one spatial dimension.
    Parameters with `affine=yes`: weight C, bias C. Source: Ulyanov et al., "Instance normalization" (2016);
    torch.nn.InstanceNorm2d; ONNX operator InstanceNormalization. A single value has no deviation, and is refused, as in
    PyTorch.
    """

    known_as = ("instance_normalization",)
    torch_order = (None, "eps")

    eps: AboveZero = 1e-5
    affine: Flag = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x, bfloat16=False)
        need_rank(self, x, 2, what="channels and spatial dimensions")
        channels(x)
        return x

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        return (Need(product(inputs[0].shape[1:]), 2, VALUES),)

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all" if axis else EACH

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        return scale_and_shift((channels(x),), x.dtype, weight=True, bias=True) if self.affine else {}

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        size = channels(o.output)
        weight = o.param("weight") if self.affine else o.const([1.0] * size)
        bias = o.param("bias") if self.affine else o.const([0.0] * size)
        return o.op("InstanceNormalization", inputs[0], weight, bias, epsilon=self.eps)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        rank = t.output.rank - 1
        module = f"nn.InstanceNorm{rank}d" if rank <= 3 else "InstanceNorm"
        return t.module(module, channels(t.output), eps=self.eps, affine=self.affine)(*inputs)


@register("lrn")
@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """Local response normalization: y[c] = x[c] / (k + alpha/size * sum of x^2 over `size` channels around c)^beta.

    The channels are c - size//2 to c + (size-1)//2, as far as they exist. Input and output C x at least one spatial
    dimension. Source: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (2012),
    where alpha is not divided by `size`; torch.nn.LocalResponseNorm. ONNX operator LRN for images and odd sizes (for
    even sizes its window is mirrored, and onnxruntime supports neither even sizes nor other ranks); otherwise
    AveragePool along the channels.
    """

    known_as = ("local_response_norm", "local_response_normalization")

    size: Count
    alpha: AboveZero = 1e-4
    beta: AboveZero = 0.75
    k: AboveZero = 1.0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x, bfloat16=False)
        need_rank(self, x, 2, what="channels and spatial dimensions")
        return x

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return EACH if axis else Spans.window(self.size, 1, self.size // 2)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        (x,) = inputs
        if self.size % 2 and o.output.rank == 3:
            return o.op("LRN", x, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
        squares = o.op("Unsqueeze", o.op("Mul", x, x), o.const([1]))
        columns = o.op("Reshape", squares, o.const([0, 0, 0, -1]))
        before, after = self.size // 2, (self.size - 1) // 2
        means = o.op(
            "AveragePool", columns, kernel_shape=[self.size, 1], pads=[before, 0, after, 0], count_include_pad=1
        )
        scaled = o.op("Mul", o.op("Reshape", means, _shape(o, x)), o.const(self.alpha))
        return o.op("Div", x, o.op("Pow", o.op("Add", scaled, o.const(self.k)), o.const(self.beta)))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,) = inputs
        if t.output.rank > 3:  # F.local_response_norm takes a view, which a transposed tensor does not allow
            x = t.method(x, "contiguous")
        return t.module("nn.LocalResponseNorm", self.size, alpha=self.alpha, beta=self.beta, k=self.k)(x)


def _shape(o: Lowering, x: str) -> str:
    """The shape of the output, equal to that of `x`, as the second input of a Reshape."""
    known = all(isinstance(size, int) for size in o.output.shape)
    return o.const([0, *o.output.shape]) if known else o.op("Shape", x)  # 0 copies the batch
