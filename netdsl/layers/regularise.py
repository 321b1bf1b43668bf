"""Layers that drop values at random in training and are the identity at inference."""

from dataclasses import dataclass
from typing import Any

from netdsl.ir.dim import Dim
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Probability
from netdsl.layers.base import Layer, Lowering, TorchLowering, need_float, need_rank, register


@register("dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """In training, sets each element to 0 with probability `p` and divides the others by 1 - p.

    Input and output of any shape. At inference it is the identity. Source: Srivastava et al., "Dropout: a simple way to
    prevent neural networks from overfitting" (2014); torch.nn.Dropout; ONNX operator Dropout, which does not allow
    `p` = 1: in training, the lowering is then x * 0.
    """

    rearranges = True
    training_only = True

    p: Probability = 0.5

    def infer(self, *inputs: TensorType) -> TensorType:
        need_float(self, inputs[0])
        return inputs[0]

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if self.p == 1:
            return o.op("Mul", inputs[0], o.const(0.0)) if o.training else inputs[0]
        ratio = o.const(self.p, "float32")
        return o.op("Dropout", inputs[0], ratio, o.const(True, "bool") if o.training else None)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("nn.Dropout", self.p)(*inputs)


class _DropWhole(Layer):
    """A layer that drops or keeps whole parts of a sample."""

    rearranges = True
    training_only = True

    p: Probability

    def drawn(self, x: TensorType) -> tuple[Dim, ...]:
        """The shape of the random numbers drawn for each sample, which is broadcast over `x`."""
        raise NotImplementedError

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if not o.training:
            return inputs[0]
        if self.p == 1:
            return o.op("Mul", inputs[0], o.const(0.0))
        # A Dropout of ones would do as well, but onnxruntime folds it to a constant where the batch size is fixed.
        blank = o.op("Expand", o.const(0.0, "float32"), o.sizes(self.drawn(o.output)))
        kept = o.op("Less", o.op("RandomUniformLike", blank), o.const(1 - self.p, "float32"))
        return o.op("Mul", inputs[0], o.op("Where", kept, o.const(1 / (1 - self.p)), o.const(0.0)))


@register("dropout2d")
@dataclass(frozen=True)
class Dropout2d(_DropWhole):
    """In training, sets each channel of each sample to 0 with probability `p` and divides the others by 1 - p.

    Input and output C x at least one spatial dimension. Source: Tompson et al., "Efficient object localization using
    convolutional networks" (2015); torch.nn.Dropout2d, and Dropout1d and Dropout3d where there are 1 or 3 spatial
    dimensions; ONNX operators RandomUniformLike, Less, Where and Mul.
    """

    known_as = ("spatial_dropout",)

    p: Probability = 0.5

    def infer(self, *inputs: TensorType) -> TensorType:
        need_float(self, inputs[0], bfloat16=False)
        need_rank(self, inputs[0], 2, what="channels and spatial dimensions")
        return inputs[0]

    def drawn(self, x: TensorType) -> tuple[Dim, ...]:
        return (x.shape[0], *(1 for _ in x.shape[1:]))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        rank = t.output.rank - 1
        return t.module(f"nn.Dropout{rank}d" if rank <= 3 else "ChannelDropout", self.p)(*inputs)


@register("drop_path")
@dataclass(frozen=True)
class DropPath(_DropWhole):
    """Stochastic depth: in training, sets a whole sample to 0 with probability `p` and divides the others by 1 - p.

    Input and output of any shape; use it at the end of a branch that is added to another. Source: Huang et al., "Deep
    networks with stochastic depth" (2016); torchvision.ops.StochasticDepth(mode="row"); ONNX operators
    RandomUniformLike, Less, Where and Mul.
    """

    known_as = ("stochastic_depth",)

    p: Probability

    def infer(self, *inputs: TensorType) -> TensorType:
        need_float(self, inputs[0], bfloat16=False)
        return inputs[0]

    def drawn(self, x: TensorType) -> tuple[Dim, ...]:
        return tuple(1 for _ in x.shape)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("DropPath", self.p)(*inputs)
