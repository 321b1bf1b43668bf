"""Activation functions, computed for each element or along an axis."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Annotated, Any, ClassVar

from netdsl.ir.meaning import Gives
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType, TensorType
from netdsl.layers.affine import along_channels, channels
from netdsl.layers.arguments import AboveZero, Count, Divisor, Flag, Integer, Real, choice
from netdsl.layers.base import (
    Layer,
    Lowering,
    TorchLowering,
    need_divisible,
    need_float,
    need_rank,
    normalized_axis,
    register,
)
from netdsl.layers.precision import computing_type, narrow, widen
from netdsl.layers.spans import EACH, Reads, Spans


class _Elementwise(Layer):
    """A function applied to each element; input and output have any shape."""

    activation = True
    bfloat16: ClassVar[bool] = True
    """Whether ONNX and onnxruntime support bfloat16 for its operators in every opset that netdsl writes."""

    def infer(self, *inputs: TensorType) -> TensorType:
        need_float(self, inputs[0], bfloat16=self.bfloat16)
        return inputs[0]


@register("relu")
@dataclass(frozen=True)
class Relu(_Elementwise):
    """Rectified linear unit: y = max(x, 0). Source: torch.nn.ReLU; ONNX operator Relu."""

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Relu", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.ReLU")(*inputs)


@register("relu6")
@dataclass(frozen=True)
class Relu6(_Elementwise):
    """Rectified linear unit with a ceiling: y = min(max(x, 0), 6). Source: torch.nn.ReLU6; ONNX operator Clip."""

    bfloat16 = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Clip", inputs[0], o.const(0.0), o.const(6.0))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.ReLU6")(*inputs)


@register("leaky_relu")
@dataclass(frozen=True)
class LeakyRelu(_Elementwise):
    """Leaky rectified linear unit: y = x if x > 0 else slope * x.

    Source: torch.nn.LeakyReLU; ONNX operator LeakyRelu.
    """

    known_as = ("lrelu",)

    bfloat16 = False

    slope: Real = 0.01

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("LeakyRelu", inputs[0], alpha=self.slope)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.LeakyReLU", self.slope)(*inputs)


@register("prelu")
@dataclass(frozen=True)
class PRelu(_Elementwise):
    """Rectified linear unit with a trained slope: y = x if x > 0 else weight * x.

    Parameter: weight, at first `init`: one number, or one for each channel (axis 0) with `shared=no`. Source: He et
    al., "Delving deep into rectifiers" (2015); torch.nn.PReLU; ONNX operator PRelu.
    """

    torch_order = ()

    bfloat16 = False

    shared: Flag = True
    init: Real = 0.25

    def infer(self, *inputs: TensorType) -> TensorType:
        if not self.shared:
            need_rank(self, inputs[0], 1)
        self.params(*inputs)
        return super().infer(*inputs)

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        return {"weight": ParamSpec((1 if self.shared else channels(x),), Init.constant(self.init), dtype=x.dtype)}

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        weight = o.param("weight")
        return o.op("PRelu", inputs[0], weight if self.shared else along_channels(o, weight))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,) = t.inputs
        return t.module("nn.PReLU", 1 if self.shared else channels(x), init=self.init)(*inputs)


@register("elu")
@dataclass(frozen=True)
class Elu(_Elementwise):
    """Exponential linear unit: y = x if x > 0 else alpha * (exp(x) - 1). Source: torch.nn.ELU; ONNX operator Elu."""

    bfloat16 = False

    alpha: Real = 1.0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Elu", inputs[0], alpha=self.alpha)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.ELU", self.alpha)(*inputs)


@register("selu")
@dataclass(frozen=True)
class Selu(_Elementwise):
    """Self-normalizing unit: y = 1.0507 * (x if x > 0 else 1.6733 * (exp(x) - 1)); both constants in full precision.

    Source: Klambauer et al., "Self-normalizing neural networks" (2017); torch.nn.SELU; ONNX operator Selu.
    """

    bfloat16 = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Selu", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.SELU")(*inputs)


@register("celu")
@dataclass(frozen=True)
class Celu(_Elementwise):
    """Continuously differentiable unit: y = max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)), alpha > 0.

    Source: Barron, "Continuously differentiable exponential linear units" (2017); torch.nn.CELU; ONNX operator Celu, or
    Elu for float64. For float16 it is computed in float32, because float16 rounds a small alpha to 0.
    """

    bfloat16 = False

    alpha: AboveZero = 1.0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if o.output.dtype is not DType.FLOAT64:
            return narrow(o, o.op("Celu", widen(o, inputs[0]), alpha=self.alpha))
        alpha = o.const(self.alpha)
        return o.op("Mul", o.op("Elu", o.op("Div", inputs[0], alpha)), alpha)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.CELU", self.alpha)(*inputs)


@register("gelu")
@dataclass(frozen=True)
class Gelu(_Elementwise):
    """Gaussian error linear unit: y = x * Phi(x) = x/2 * (1 + erf(x / sqrt(2))).

    With `approx=tanh`: y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). Source: Hendrycks and Gimpel, "Gaussian
    error linear units" (2016); torch.nn.GELU; ONNX operator Gelu, or its formula before opset 20.
    """

    torch_order = ()

    opset = 20

    approx: Annotated[str, choice("none", "tanh")] = "none"

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        (x,) = inputs
        if o.opset >= 20:
            return o.op("Gelu", x, approximate=self.approx)
        if self.approx == "tanh":
            cube = o.op("Mul", o.op("Mul", o.op("Mul", x, x), x), o.const(0.044715))
            error = o.op("Tanh", o.op("Mul", o.op("Add", x, cube), o.const(sqrt(2 / pi))))
        else:
            error = o.op("Erf", o.op("Div", x, o.const(sqrt(2))))
        return o.op("Mul", o.op("Mul", x, o.op("Add", error, o.const(1.0))), o.const(0.5))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.GELU", approximate=self.approx)(*inputs)


@register("silu")
@dataclass(frozen=True)
class Silu(_Elementwise):
    """Sigmoid linear unit, or swish: y = x * sigmoid(x). Source: torch.nn.SiLU; ONNX operators Sigmoid, Mul."""

    known_as = ("swish",)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Mul", inputs[0], o.op("Sigmoid", inputs[0]))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.SiLU")(*inputs)


@register("mish")
@dataclass(frozen=True)
class Mish(_Elementwise):
    """Mish: y = x * tanh(log(1 + exp(x))). Source: torch.nn.Mish; ONNX operator Mish, its formula before 18."""

    opset = 18
    bfloat16 = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if o.opset >= 18:
            return o.op("Mish", inputs[0])
        return o.op("Mul", inputs[0], o.op("Tanh", o.op("Softplus", inputs[0])))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Mish")(*inputs)


@register("hardswish")
@dataclass(frozen=True)
class HardSwish(_Elementwise):
    """Piecewise approximation of swish: y = x * hardsigmoid(x).

    Source: Howard et al., "Searching for MobileNetV3" (2019); torch.nn.Hardswish; ONNX operator HardSwish, or its
    formula before opset 14.
    """

    known_as = ("h_swish",)

    opset = 14
    bfloat16 = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if o.opset >= 14:
            return o.op("HardSwish", inputs[0])
        return o.op("Mul", inputs[0], o.op("HardSigmoid", inputs[0], alpha=1 / 6))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Hardswish")(*inputs)


@register("hardsigmoid")
@dataclass(frozen=True)
class HardSigmoid(_Elementwise):
    """Piecewise linear sigmoid: y = min(max(x/6 + 1/2, 0), 1).

    Source: torch.nn.Hardsigmoid; ONNX operator HardSigmoid.
    """

    known_as = ("h_sigmoid",)

    gives = Gives.YES_PROBABILITIES

    bfloat16 = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("HardSigmoid", inputs[0], alpha=1 / 6)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Hardsigmoid")(*inputs)


@register("softplus")
@dataclass(frozen=True)
class Softplus(_Elementwise):
    """Smooth rectifier: y = log(1 + exp(beta * x)) / beta, and y = x where beta * x > threshold.

    Source: torch.nn.Softplus; ONNX operator Softplus.
    """

    beta: Divisor = 1.0
    threshold: Real = 20.0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        x, dtype = widen(o, inputs[0]), computing_type(o.output.dtype)  # exp(12) overflows float16
        if self.beta == 1:
            scaled, y = x, o.op("Softplus", x)
        else:
            beta = o.const(self.beta, dtype.value)
            scaled = o.op("Mul", x, beta)
            y = o.op("Div", o.op("Softplus", scaled), beta)
        if self.threshold < 20 or dtype is DType.FLOAT64:  # above 20, both formulas round to the same float32
            y = o.op("Where", o.op("Greater", scaled, o.const(self.threshold, dtype.value)), x, y)
        return narrow(o, y)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Softplus", self.beta, self.threshold)(*inputs)


@register("softsign")
@dataclass(frozen=True)
class Softsign(_Elementwise):
    """Sigmoid with polynomial tails: y = x / (1 + |x|). Source: torch.nn.Softsign; ONNX operator Softsign."""

    bfloat16 = False

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Softsign", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Softsign")(*inputs)


@register("sigmoid")
@dataclass(frozen=True)
class Sigmoid(_Elementwise):
    """Logistic function: y = 1 / (1 + exp(-x)). Source: torch.nn.Sigmoid; ONNX operator Sigmoid."""

    gives = Gives.YES_PROBABILITIES

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Sigmoid", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Sigmoid")(*inputs)


@register("tanh")
@dataclass(frozen=True)
class Tanh(_Elementwise):
    """Hyperbolic tangent: y = tanh(x). Source: torch.nn.Tanh; ONNX operator Tanh."""

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Tanh", inputs[0])

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Tanh")(*inputs)


@register("scaled_tanh")
@dataclass(frozen=True)
class ScaledTanh(_Elementwise):
    """Hyperbolic tangent with f(1) = 1 and f(-1) = -1: y = a * tanh(s * x).

    Source: LeCun et al., "Gradient-based learning applied to document recognition" (1998), appendix A; ONNX operators
    Mul and Tanh.
    """

    a: Real = 1.7159
    s: Real = 2 / 3

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Mul", o.op("Tanh", o.op("Mul", inputs[0], o.const(self.s))), o.const(self.a))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("ScaledTanh", self.a, self.s)(*inputs)


class _AlongAxis(Layer):
    """A function of all elements along one axis; the output has the shape of the input."""

    axis: Integer

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all" if axis == normalized_axis(self.axis, inputs[0].rank) else EACH

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        need_rank(self, x, 1)
        normalized_axis(self.axis, x.rank)
        return x


@register("softmax")
@dataclass(frozen=True)
class Softmax(_AlongAxis):
    """Softmax: y = exp(x) / sum of exp(x) along `axis`, counted without the batch.

    The default is the channel axis: the classes of a vector, the channels of an image at each position (`dim=1` in
    PyTorch). For a sequence of vectors, use `axis=-1`. Source: torch.nn.Softmax; ONNX operator Softmax.
    """

    torch_order = ()

    gives = Gives.PROBABILITIES

    axis: Integer = 0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Softmax", inputs[0], axis=normalized_axis(self.axis, o.output.rank) + 1)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Softmax", dim=normalized_axis(self.axis, t.output.rank) + 1)(*inputs)


@register("log_softmax")
@dataclass(frozen=True)
class LogSoftmax(_AlongAxis):
    """Logarithm of `softmax`, computed without overflow: y = x - log(sum of exp(x) along `axis`).

    The axis is counted as for `softmax`. Source: torch.nn.LogSoftmax; ONNX operator LogSoftmax.
    """

    torch_order = ()

    gives = Gives.LOG_PROBABILITIES

    axis: Integer = 0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("LogSoftmax", inputs[0], axis=normalized_axis(self.axis, o.output.rank) + 1)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.LogSoftmax", dim=normalized_axis(self.axis, t.output.rank) + 1)(*inputs)


@register("maxout")
@dataclass(frozen=True)
class Maxout(Layer):
    """Maximum over groups of `pieces` consecutive channels: y[c] = max over j < pieces of x[c * pieces + j].

    Input C x anything, output C/pieces x the same. (The join `max` is the maximum of several tensors.) Source:
    Goodfellow et al., "Maxout networks" (2013); chainer.functions.maxout; ONNX operators Slice and Max.
    """

    pieces: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        need_rank(self, x, 1)
        return x.with_shape((need_divisible(x.shape[0], self.pieces, "pieces"), *x.shape[1:]))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return EACH if axis else Spans.window(self.pieces, self.pieces)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        end, axis, step = o.const([2**31 - 1]), o.const([1]), o.const([self.pieces])
        pieces = (o.op("Slice", inputs[0], o.const([j]), end, axis, step) for j in range(self.pieces))
        return o.op("Max", *pieces)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("Maxout", self.pieces)(*inputs)
