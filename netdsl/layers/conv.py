"""Convolutions in 1, 2 and 3 dimensions, whichever the input has."""

from dataclasses import dataclass
from math import prod

from netdsl.arguments import Count, Flag, Padding, Size
from netdsl.ir.dim import Dim, upper_bound
from netdsl.ir.graph import Init, ParamSpec
from netdsl.ir.types import TensorType
from netdsl.layer import Layer, LayerError, Lowering, Window, need_int, need_rank, per_dimension, register


@register("conv")
@dataclass(frozen=True)
class Conv(Layer):
    """Convolution (cross-correlation): y[o] = bias[o] + sum over c, i of weight[o, c, i] * x[c, s*y + d*i - p].

    Input C x spatial, output `out` x spatial, each side floor((n + p_before + p_after - d*(k-1) - 1) / s) + 1.
    Parameters: weight out x C/g x k, bias out. `p=same` keeps the sides (stride 1 only; the odd column goes to the
    end). Source: torch.nn.Conv2d; ONNX operator Conv.
    """

    out: Count
    k: Size
    s: Size = 1
    p: Padding = 0
    d: Size = 1
    g: Count = 1
    bias: Flag = True

    # ... infer, params, macs, window, to_onnx
