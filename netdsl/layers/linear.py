"""Layers that read a whole vector: dense layers, and the radial basis functions of LeNet-5."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from netdsl.ir.dim import Dim
from netdsl.ir.meaning import Gives
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Count, Flag
from netdsl.layers.base import (
    Layer,
    LayerError,
    Lowering,
    TorchLowering,
    need_float,
    need_rank,
    register,
    weight_and_bias,
)
from netdsl.layers.spans import EACH, Reads

MAX_CENTRES = 2**20
"""The largest number of elements in a table of fixed centres."""


class _OnVectors(Layer):
    """A layer of `out` units along the last axis, each of which reads the whole axis."""

    out: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_rank(self, x, 1)
        need_float(self, x)
        _size(self, x)
        return x.with_shape((*x.shape[:-1], self.out))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all" if axis == inputs[0].rank - 1 else EACH

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        return output.elements * _size(self, inputs[0])


@register("dense")
@dataclass(frozen=True)
class Dense(_OnVectors):
    """Affine map of the last axis: y = x weight^T + bias.

    Input ... x n, output ... x `out`. Parameters: weight out x n, bias out. Source: torch.nn.Linear; ONNX operators
    Gemm, or MatMul and Add if there are further axes.
    """

    known_as = ("linear", "fc", "fully_connected", "inner_product")
    torch_order = (None, "out", "bias")
    weight_axis = 0

    out: Count
    bias: Flag = True

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        size = _size(self, x)
        return weight_and_bias((self.out, size), self.out, (size, self.out), x.dtype, bias=self.bias)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if o.output.rank == 1:
            return o.op("Gemm", inputs[0], o.param("weight"), o.param("bias") if self.bias else None, transB=1)
        product = o.op("MatMul", inputs[0], o.op("Transpose", o.param("weight"), perm=[1, 0]))
        return o.op("Add", product, o.param("bias")) if self.bias else product

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,) = t.inputs
        return t.module("nn.Linear", _size(self, x), self.out, bias=self.bias)(*inputs)


@register("rbf")
@dataclass(frozen=True)
class Rbf(_OnVectors):
    """Squared distances from fixed centres of +1 and -1: y[i] = sum over j of (x[j] - centres[i, j])^2.

    Input ... x n, output ... x `out`. Buffer: centres out x n, which training does not change; initially they are the
    words of a Walsh code, of which any two differ in about half of their places. Source: the output layer of LeCun et
    al., "Gradient-based learning applied to document recognition" (1998), which draws its centres by hand and proposes
    codes for classes other than characters; ONNX operators Sub, Mul and ReduceSum.
    """

    gives = Gives.DISTANCES

    out: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        result = super().infer(*inputs)
        size = _size(self, inputs[0])
        words = 2 ** (size - 1).bit_length() - 1
        if self.out > words:
            raise LayerError(
                "E0306",
                f"centres must differ, and the code of {size} places has {words} words for {self.out} of them",
                argument="out",
                help=f"use at most {words}, or a wider input" if words else "use a wider input",
            )
        if self.out * size > MAX_CENTRES:
            raise LayerError(
                "E0703",
                f"the centres would have {self.out * size} elements, and at most {MAX_CENTRES} are allowed",
                argument="out",
            )
        return result

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        size = _size(self, x)
        return {"centres": ParamSpec((self.out, size), _walsh(self.out, size), trainable=False, dtype=x.dtype)}

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        difference = o.op("Sub", o.op("Unsqueeze", inputs[0], o.const([-2])), o.param("centres"))
        return o.op("ReduceSum", o.op("Mul", difference, difference), o.const([-1]), keepdims=0)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        (x,) = t.inputs
        return t.module("RadialBasis", _size(self, x), self.out)(*inputs)


@cache
def _walsh(words: int, size: int) -> Init:
    """The Walsh code: place j of word i is the parity of the bits that i + 1 and j share, as +1 or -1."""
    table = tuple(1.0 - 2.0 * (((i + 1) & j).bit_count() % 2) for i in range(words) for j in range(size))
    return Init("table", table=table)


def _size(layer: Layer, x: TensorType) -> int:
    """The size of the last axis, which the shape of the weights depends on."""
    size = x.shape[-1]
    if isinstance(size, int):
        return size
    raise LayerError(
        "E0412",
        f"`{layer.kind}` has weights for the last axis, whose size must be known, and `{size}` is not",
        help="pool before the `flatten`, by `global_avgpool` or `adaptive_avgpool 7`, or fix the size in the `input`",
    )
