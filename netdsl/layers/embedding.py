"""Embedding tables for tokens and for the positions of a sequence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netdsl.ir.bounds import Need
from netdsl.ir.dim import Dim, upper_bound
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import Count, Positive
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, register
from netdsl.layers.sequences import TOKENS, features, need_sequence
from netdsl.layers.spans import EACH, Reads


@register("embedding")
@dataclass(frozen=True)
class Embedding(Layer):
    """Embedding table of `count` vectors; a token from 0 to count - 1 selects one of them: y = weight[x].

    Tokens are int64 or int32 of any shape; the output has that shape and a further axis of size `dim`. Applied to
    vectors, ... x `dim`, it compares each with the whole table: y = x weight^T, ... x `count`. So `reuse` of an
    embedding at the end of a language model is an output layer that shares (ties) its weights. Parameter: weight
    count x dim, drawn with mean 0 and standard deviation `std`. Source: torch.nn.Embedding; Press and Wolf, "Using
    the output embedding to improve language models" (2017); ONNX operators Gather, and MatMul or Gemm.
    """

    known_as = ("embed", "lookup")

    count: Count
    dim: Count
    std: Positive = 1.0

    @property
    def token_count(self) -> int:
        return self.count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.dtype in TOKENS:
            return TensorType((*x.shape, self.dim))
        if x.dtype is DType.FLOAT32 and x.rank and x.shape[-1] == self.dim:
            return x.with_shape((*x.shape[:-1], self.count))
        raise LayerError(
            "E0409",
            f"`embedding` expected int64 or int32 tokens, or float32 vectors of {self.dim}, got {x}",
            help="give the `input` the element type int64: `input tokens: [T] int64`",
        )

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        (x,) = inputs
        return "all" if x.dtype.is_float and axis == x.rank - 1 else EACH

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        return {"weight": ParamSpec((self.count, self.dim), Init("normal", value=self.std))}

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        (x,) = inputs
        return output.elements * self.dim if x.dtype.is_float else 0

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        (x,) = inputs
        weight = o.param("weight")
        if not o.inputs[0].dtype.is_float:
            return o.op("Gather", weight, x if o.held else self._refusing(o, x), axis=0)
        if o.output.rank == 1:
            return o.op("Gemm", x, weight, transB=1)
        return o.op("MatMul", x, o.op("Transpose", weight, perm=[1, 0]))

    def _refusing(self, o: Lowering, x: str) -> str:
        """Make onnxruntime refuse tokens below 0 as well; Gather counts them from the end."""
        dtype = o.inputs[0].dtype.value
        return o.op("Where", o.op("Less", x, o.const(0, dtype)), o.const(self.count, dtype), x)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        if t.inputs[0].dtype.is_float:
            return t.call("F.linear", *inputs, t.param("weight"))
        return t.module("nn.Embedding", self.count, self.dim)(*inputs)


@register("positions")
@dataclass(frozen=True)
class Positions(Layer):
    """Adds a learned vector to each position: y[t] = x[t] + weight[t].

    Input and output T x C, with T of at most `most`; a symbolic T needs a bound, as in `input tokens: [T] int64 where
    T <= 1024`. Parameter: weight most x C, drawn with mean 0 and standard deviation 0.02. Source: Gehring et al.,
    "Convolutional sequence to sequence learning" (2017); torch.nn.Embedding applied to torch.arange(T); ONNX operators
    Slice and Add.
    """

    known_as = ("positional_embedding", "position_embedding", "positional_encoding", "pos_embed")

    most: Count

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_sequence(self, x)
        steps = x.shape[0]
        most = upper_bound(self.most - steps)
        if most is not None and most < 0:
            message = f"there are positions for {self.most} steps, and the input has {steps}"
            remedy = f"use `positions {steps}`" if isinstance(steps, int) else None
            raise LayerError("E0306", message, argument="most", help=remedy)
        return x

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        return (Need(self.most - inputs[0].shape[0], 0, "the number of unused positions"),)

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        shape = (self.most, features(self, x))
        return {"weight": ParamSpec(shape, Init("normal", value=0.02), dtype=x.dtype)}

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        (x,) = inputs
        weight = o.param("weight")
        steps = o.output.shape[0]
        if steps != self.most:
            known = isinstance(steps, int)
            end = o.const([steps]) if known else o.op("Gather", o.op("Shape", x), o.const([1]), axis=0)
            weight = o.op("Slice", weight, o.const([0]), end, o.const([0]))
        return o.op("Add", x, weight)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        _, steps, _ = t.sizes(t.output.shape)
        return t.call("operator.add", *inputs, t.method(t.param("weight"), "narrow", 0, 0, steps))
