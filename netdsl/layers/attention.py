"""Attention: every position of a sequence reads all others, or those before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

from netdsl.ir.dim import Dim
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Count, Flag, Probability
from netdsl.layers.base import Layer, Lowering, TorchLowering, need_divisible, register
from netdsl.layers.regularise import Dropout
from netdsl.layers.sequences import features, known_or_copied, need_sequence
from netdsl.layers.spans import Reads


@register("attention")
@dataclass(frozen=True)
class Attention(Layer):
    """Multi-head self-attention: each of `heads` heads gives softmax(q k^T / sqrt(C / heads)) v.

    q, k and v are three projections of the input, of which each head takes C / heads columns; the results of the heads
    are concatenated and projected once more. With `causal=yes`, a position reads itself and those before it. In
    training, `dropout` drops weights of the softmax. Input and output T x C, C divisible by `heads`. Parameters:
    in_proj_weight 3C x C (for q, k and v), in_proj_bias 3C, out_proj.weight C x C, out_proj.bias C. MACs are those of
    the projections and of both products, 4 T C^2 + 2 T^2 C, even where half of them are masked. Source: Vaswani et al.,
    "Attention is all you need" (2017); torch.nn.MultiheadAttention; ONNX operators MatMul and Softmax.
    """

    known_as = ("multihead_attention", "multi_head_attention", "self_attention", "mha", "mhsa")
    torch_order = (None, "heads", "dropout", "bias")

    heads: Count
    causal: Flag = False
    bias: Flag = True
    dropout: Probability = 0.0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_divisible(need_sequence(self, x), self.heads, "heads")
        return x

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all"  # the last position reads all, as every position does without a mask

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        size = features(self, x)
        inward = Init("weight", size, 3 * size, value=sqrt(6 / (size + 3 * size)))
        specs = {
            "in_proj_weight": ParamSpec((3 * size, size), inward, dtype=x.dtype),
            "in_proj_bias": ParamSpec((3 * size,), Init.constant(0), dtype=x.dtype),
            "out_proj.weight": ParamSpec((size, size), Init("weight", size, size), dtype=x.dtype),
            "out_proj.bias": ParamSpec((size,), Init.constant(0), dtype=x.dtype),
        }
        return specs if self.bias else {role: spec for role, spec in specs.items() if role.endswith("weight")}

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        steps, size = output.shape
        return 4 * steps * size * size + 2 * steps * steps * size

    def connections(self, output: TensorType, *inputs: TensorType) -> Dim:
        return self.macs(output, *inputs) + (4 * output.elements if self.bias else 0)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        size = features(self, o.output)
        width = size // self.heads
        together = _linear(o, inputs[0], "in_proj_weight", "in_proj_bias" if self.bias else None)
        q, k, v = o.ops(3, "Split", together, o.const([size] * 3), axis=2)
        steps = known_or_copied(o.output)
        apart = o.const([0, steps, self.heads, width])
        query = o.op("Mul", q, o.const(1 / sqrt(width)))
        query = o.op("Transpose", o.op("Reshape", query, apart), perm=[0, 2, 1, 3])
        key = o.op("Transpose", o.op("Reshape", k, apart), perm=[0, 2, 3, 1])
        value = o.op("Transpose", o.op("Reshape", v, apart), perm=[0, 2, 1, 3])
        scores = o.op("MatMul", query, key)
        if self.causal:
            scores = o.op("Add", scores, _mask(o))
        weights = o.op("Softmax", scores, axis=3)
        if self.dropout and o.training:
            weights = Dropout(self.dropout).to_onnx(o, weights)
        heads = o.op("Transpose", o.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        joined = o.op("Reshape", heads, o.const([0, steps, size]))
        return _linear(o, joined, "out_proj.weight", "out_proj.bias" if self.bias else None)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        module = t.module(
            "SelfAttention",
            features(self, t.output),
            self.heads,
            causal=self.causal,
            bias=self.bias,
            dropout=self.dropout,
        )
        return module(*inputs)


def _linear(o: Lowering, x: str, weight: str, bias: str | None) -> str:
    product = o.op("MatMul", x, o.op("Transpose", o.param(weight), perm=[1, 0]))
    return product if bias is None else o.op("Add", product, o.param(bias))


def _mask(o: Lowering) -> str:
    """The T x T mask: 0 where the position of the row may read that of the column, -inf where that comes later.

    All attention layers write the same nodes, which onnxruntime merges.
    """
    steps = o.output.shape[0]
    count = o.const(steps) if isinstance(steps, int) else o.op("Gather", o.sizes((steps,)), o.const(1), axis=0)
    positions = o.op("Range", o.const(0), count, o.const(1))
    rows, columns = (o.op("Unsqueeze", positions, o.const([axis])) for axis in (1, 0))
    return o.op("Where", o.op("LessOrEqual", columns, rows), o.const(0.0), o.const(-inf))
