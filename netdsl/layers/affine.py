"""Affine layers y = a*x + b with one a and one b for each channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import Divisors, Flag, Real, Reals
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, need_float, need_int, need_rank, register

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]


class ChannelAffine(Layer):
    """A layer that computes y = a*x + b for each channel at inference, so that a pass can fold it into a neighbour."""

    def coefficients(self, params: Mapping[str, "Array"]) -> "tuple[npt.ArrayLike, npt.ArrayLike]":
        """Compute scale a and shift b from the parameters by role: one number for each channel, or one for all."""
        raise NotImplementedError

    def scale_shift(self, **arrays: "Array") -> "tuple[Array, Array]":
        """Compute scale and shift from the arrays of the parameters by role, as vectors of C elements or 1.

        They are computed in float64 and returned in float32, or in float64 if a parameter is float64.
        """
        import numpy as np  # noqa: PLC0415 - checking a net needs no numpy

        dtype: np.dtype[Any] = np.result_type(np.float32, *arrays.values())
        scale, shift = self.coefficients({role: array.astype(np.float64) for role, array in arrays.items()})
        return np.atleast_1d(np.asarray(scale, dtype)), np.atleast_1d(np.asarray(shift, dtype))


@register("affine")
@dataclass(frozen=True)
class Affine(ChannelAffine):
    """Learned scale and shift of each channel: y[c] = weight[c] * x[c] + bias[c].

    Input and output C x anything. Parameters: weight C, initially 1, unless `scale=no`; bias C, initially 0, unless
    `bias=no`. Source: the trained coefficients of LeNet-5's subsampling layers, and of batch norm without its
    statistics; ONNX operators Mul and Add.
    """

    scale: Flag = True
    bias: Flag = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        need_rank(self, x, 1)
        channels(x)
        return x

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        return scale_and_shift((channels(x),), x.dtype, weight=self.scale, bias=self.bias)

    def coefficients(self, params: Mapping[str, "Array"]) -> "tuple[npt.ArrayLike, npt.ArrayLike]":
        return params.get("weight", 1.0), params.get("bias", 0.0)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return apply_scale_and_shift(o, inputs[0], weight=self.scale, bias=self.bias)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("ChannelAffine", channels(t.output), scale=self.scale, bias=self.bias)(*inputs)


@register("scale")
@dataclass(frozen=True)
class Scale(ChannelAffine):
    """Multiplication by a constant: y = factor * x; `scale -1` changes the sign.

    Input and output of any shape. No parameters. Source: torch.mul; ONNX operator Mul.
    """

    factor: Real

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        return x

    def coefficients(self, params: Mapping[str, "Array"]) -> "tuple[npt.ArrayLike, npt.ArrayLike]":
        return self.factor, 0.0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Mul", inputs[0], o.const(self.factor))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.call("operator.mul", inputs[0], self.factor)


@register("normalize")
@dataclass(frozen=True)
class Normalize(ChannelAffine):
    """Standardization by constants: y[c] = (x[c] - mean[c]) / std[c].

    Input and output C x anything; `mean` and `std` have one number for each channel, or one for all. No parameters.
    Source: torchvision.transforms.Normalize; ONNX operators Sub and Div.
    """

    standardizes = True

    mean: Reals
    std: Divisors

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_float(self, x)
        need_rank(self, x, 1)
        for name, numbers in self.arguments().items():
            if len(numbers) != 1 and len(numbers) != channels(x):
                raise LayerError("E0401", f"`{name}` has {len(numbers)} numbers, and {x} has {x.shape[0]} channels",
                                 argument=name, help=f"give one number, or {x.shape[0]}")  # fmt: skip
        return x

    def coefficients(self, params: Mapping[str, "Array"]) -> "tuple[npt.ArrayLike, npt.ArrayLike]":
        size = max(len(self.mean), len(self.std))
        pairs = zip(self.mean * (size // len(self.mean)), self.std * (size // len(self.std)), strict=True)
        return [1 / std for std in self.std], [-mean / std for mean, std in pairs]

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        centred = o.op("Sub", inputs[0], _constant(o, self.mean))
        return o.op("Div", centred, _constant(o, self.std))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("Normalize", list(self.mean), list(self.std), dtype=t.output.dtype.value)(*inputs)


def channels(x: TensorType) -> int:
    """The number of channels, which must be known."""
    return need_int(x.shape[0], "the number of channels")


def scale_and_shift(shape: tuple[int, ...], dtype: DType, *, weight: bool, bias: bool) -> dict[str, ParamSpec]:
    """The parameters of a learned scale `weight` and shift `bias`, those that the layer has."""
    initial = {"weight": 1.0} if weight else {}
    if bias:
        initial["bias"] = 0.0
    return {role: ParamSpec(shape, Init.constant(value), dtype=dtype) for role, value in initial.items()}


def apply_scale_and_shift(o: Lowering, x: str, *, weight: bool, bias: bool) -> str:
    """Lower weight*x + bias for each channel, with those of the two that the layer has."""
    if weight:
        x = o.op("Mul", x, along_channels(o, o.param("weight")))
    if bias:
        x = o.op("Add", x, along_channels(o, o.param("bias")))
    return x


def along_channels(o: Lowering, vector: str) -> str:
    """Reshape a vector of one number for each channel so that it is broadcast along axis 1 of the output."""
    axes = list(range(1, o.output.rank))
    return o.op("Unsqueeze", vector, o.const(axes)) if axes else vector


def _constant(o: Lowering, numbers: Sequence[float]) -> str:
    """Constants, one for each channel or one for all, in the shape that `along_channels` gives a vector."""
    nested: list[Any] = list(numbers)
    for _ in o.output.shape[1:]:
        nested = [[item] for item in nested]
    return o.const(nested)
