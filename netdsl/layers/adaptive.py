"""Pooling to a given output size: global pooling to one position, adaptive pooling to any number of bins."""

from dataclasses import dataclass
from typing import Any, ClassVar

from netdsl.ir.dim import Symbolic, equality_constraints
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Size
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, per_dimension, register, single
from netdsl.layers.spans import EACH, MAX_SPAN_POSITIONS, Reads, Spans
from netdsl.layers.windows import need_image


class _Global(Layer):
    """A pooling layer over all positions of each channel."""

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all" if axis else EACH

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        return x.with_shape((x.shape[0], *(1 for _ in x.shape[1:])))


@register("global_avgpool")
@dataclass(frozen=True)
class GlobalAvgPool(_Global):
    """Mean of each channel.

    Input C x spatial, output C x 1 x 1 (`flatten` makes it a vector). Source: torch.nn.AdaptiveAvgPool2d(1); ONNX
    operator GlobalAveragePool.
    """

    known_as = ("global_average_pooling", "gap")
    torch_order = ()

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("GlobalAveragePool", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module(f"nn.AdaptiveAvgPool{t.output.rank - 1}d", 1)(*inputs)


@register("global_maxpool")
@dataclass(frozen=True)
class GlobalMaxPool(_Global):
    """Largest value of each channel.

    Input C x spatial, output C x 1 x 1 (`flatten` makes it a vector). Source: torch.nn.AdaptiveMaxPool2d(1); ONNX
    operator GlobalMaxPool.
    """

    known_as = ("global_max_pooling", "gmp")
    torch_order = ()

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("GlobalMaxPool", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module(f"nn.AdaptiveMaxPool{t.output.rank - 1}d", 1)(*inputs)


class _Adaptive(Layer):
    """A pooling layer whose windows are `out` bins along each dimension: bin i is [floor(i*n/out), ceil((i+1)*n/out)).

    If all bins have one size, it is an ordinary pooling layer. Otherwise bins overlap, and their elements are gathered
    first. If the size of the bins is symbolic (the input size is a multiple of `out`), the input is reshaped to bins.
    """

    pool: ClassVar[str]
    """The name of the pooling layer in PyTorch."""
    operator: ClassVar[str]
    reduction: ClassVar[str]

    out: Size

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        out = self._bins(x)
        pairs = zip(x.shape[1:], out, strict=True)
        unknown = [(size, bins) for size, bins in pairs if isinstance(size, Symbolic) and size % bins != 0]
        if unknown:
            size, bins = unknown[0]
            constraint = equality_constraints((n % number, 0) for n, number in unknown)
            raise LayerError(
                "E0412",
                f"a size that is pooled to {bins} must be known or a multiple of {bins}, and `{size}` is neither",
                argument="out",
                help=f"add `where {constraint}` to the `input`" if constraint else "fix the sizes in the `input`",
            )
        return x.with_shape((x.shape[0], *out))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        if axis == 0:
            return EACH
        size, bins = inputs[0].shape[axis], self._bins(inputs[0])[axis - 1]
        if bins == 1:
            return "all"
        if not isinstance(size, int) or bins > MAX_SPAN_POSITIONS:
            return None
        return Spans.table((i * size // bins, -(-(i + 1) * size // bins) - 1) for i in range(bins))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        x, sizes, out = inputs[0], list(o.inputs[0].shape[1:]), self._bins(o.inputs[0])
        if set(out) == {1}:
            return o.op(f"Global{self.operator}", x)
        for axis, (size, bins) in enumerate(zip(sizes, out, strict=True)):
            if isinstance(size, int) and size % bins:
                x = self._gathered(o, x, axis + 2, size)
                sizes[axis] = bins
        kernel = [size // bins for size, bins in zip(sizes, out, strict=True)]
        if not any(isinstance(size, Symbolic) for size in kernel):
            return x if set(kernel) == {1} else o.op(self.operator, x, kernel_shape=kernel, strides=kernel)
        split = [dim for bins, size in zip(out, kernel, strict=True) for dim in (bins, size)]
        x = o.op("Reshape", x, o.sizes((o.output.shape[0], *split)))
        return _reduce(o, self.reduction, x, list(range(3, 2 * len(out) + 2, 2)))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module(f"nn.Adaptive{self.pool}{t.output.rank - 1}d", single(self._bins(t.inputs[0])))(*inputs)

    def _gathered(self, o: Lowering, x: str, axis: int, size: int) -> str:
        """Reduce the dimension `axis` of `x`, of size `size`, to its bins."""
        bins = self._bins(o.inputs[0])[axis - 2]
        spans = [range(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)]
        longest = max(map(len, spans))
        x = o.op("Gather", x, o.const([[*span, *[span[-1]] * (longest - len(span))] for span in spans]), axis=axis)
        if self.reduction == "ReduceMax":
            return _reduce(o, "ReduceMax", x, [axis + 1])
        weights = [[1 / len(span) if i < len(span) else 0.0 for i in range(longest)] for span in spans]
        rest = [1] * (o.inputs[0].rank - axis)  # the dimensions after it
        shares = o.op("Reshape", o.const(weights), o.const([bins, longest, *rest]))
        return o.op("ReduceSum", o.op("Mul", x, shares), o.const([axis + 1]), keepdims=0)

    def _bins(self, x: TensorType) -> tuple[int, ...]:
        return per_dimension(self.out, x.rank - 1, "out")


@register("adaptive_avgpool")
@dataclass(frozen=True)
class AdaptiveAvgPool(_Adaptive):
    """Mean of each bin, `out` bins along each dimension: bin i is [floor(i*n/out), ceil((i+1)*n/out)).

    Input C x spatial, output C x `out`. A symbolic size must be a multiple of its number of bins. Source:
    torch.nn.AdaptiveAvgPool2d; ONNX operators AveragePool or GlobalAveragePool, and for bins of unequal sizes Gather
    and ReduceSum.
    """

    known_as = ("adaptive_average_pooling",)

    pool = "AvgPool"
    operator = "AveragePool"
    reduction = "ReduceMean"

    out: Size


@register("adaptive_maxpool")
@dataclass(frozen=True)
class AdaptiveMaxPool(_Adaptive):
    """Largest value of each bin, `out` bins along each dimension: bin i is [floor(i*n/out), ceil((i+1)*n/out)).

    Input C x spatial, output C x `out`. A symbolic size must be a multiple of its number of bins. Source:
    torch.nn.AdaptiveMaxPool2d; ONNX operators MaxPool or GlobalMaxPool, and for bins of unequal sizes Gather and
    ReduceMax.
    """

    pool = "MaxPool"
    operator = "MaxPool"
    reduction = "ReduceMax"

    out: Size


def _reduce(o: Lowering, op_type: str, x: str, axes: list[int]) -> str:
    """Reduce over `axes` and drop them; the operators take `axes` as an input from opset 18 on."""
    if o.opset >= 18:
        return o.op(op_type, x, o.const(axes), keepdims=0)
    return o.op(op_type, x, axes=axes, keepdims=0)
