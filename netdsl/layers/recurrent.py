"""Recurrent layers, which read a sequence step by step and keep a state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Any, ClassVar

from netdsl.ir.dim import Dim
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import Count, Flag, Probability, choice
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, register
from netdsl.layers.regularise import Dropout
from netdsl.layers.sequences import features, known_or_copied, need_sequence
from netdsl.layers.spans import Reads

FLOATS = (DType.FLOAT32, DType.FLOAT16)
"""The element types for which onnxruntime has the operators."""
MAX_STACKED_LAYERS = 100
"""The largest number of layers in one stack; more are a mistake."""


@dataclass(frozen=True)
class _Recurrent(Layer):
    """A stack of recurrent layers, each of which reads the outputs of the one below."""

    order: ClassVar[tuple[int, ...]]
    """The positions of ONNX's gates among PyTorch's."""

    hidden: Count
    layers: Count = 1
    bidirectional: Flag = False
    bias: Flag = True
    dropout: Probability = 0.0
    last: Flag = False

    @property
    def width(self) -> int:
        """The number of outputs at each step, of all directions together."""
        return self.hidden * len(self.directions)

    @property
    def directions(self) -> tuple[str, ...]:
        """The suffixes of PyTorch's parameter names, one for each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_sequence(self, x, FLOATS)
        if self.layers > MAX_STACKED_LAYERS:
            raise LayerError(
                "E0703", f"`{self.kind}` has at most {MAX_STACKED_LAYERS} layers, not {self.layers}", argument="layers"
            )
        if self.dropout and self.layers == 1:
            raise LayerError(
                "E0306",
                f"`dropout` acts between the layers of `{self.kind}`, and there is only one",
                argument="dropout",
                help=f"put the layer `dropout {self.dropout:g}` after it, or give it `layers=2`",
            )
        return x.with_shape((self.width,) if self.last else (x.shape[0], self.width))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        return "all"  # the last step reads all, as every step does if it is bidirectional

    def places(self, axis: int, *inputs: TensorType) -> int | frozenset[int]:
        return frozenset()

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        (x,) = inputs
        units, bound = len(self.order) * self.hidden, 1 / sqrt(self.hidden)
        specs: dict[str, ParamSpec] = {}
        for end, width in self._cells(x):
            for name, size in ("ih", width), ("hh", self.hidden):
                init = Init("weight", size, self.hidden, value=bound)
                specs[f"weight_{name}_{end}"] = ParamSpec((units, size), init, dtype=x.dtype)
            for name in ("ih", "hh") if self.bias else ():
                init = Init("bias", self.hidden, self.hidden, value=bound)
                specs[f"bias_{name}_{end}"] = ParamSpec((units,), init, dtype=x.dtype)
        return specs

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        (x,) = inputs
        return x.shape[0] * sum(self._units() * (width + self.hidden) for _, width in self._cells(x))

    def connections(self, output: TensorType, *inputs: TensorType) -> Dim:
        (x,) = inputs
        biases = x.shape[0] * self._units() * self.layers * len(self.directions) if self.bias else 0
        return self.macs(output, *inputs) + biases

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        steps = known_or_copied(o.inputs[0])
        x = o.op("Transpose", inputs[0], perm=[1, 0, 2])  # onnxruntime supports only steps first, then the batch
        for number in range(self.layers):
            if number and self.dropout and o.training:
                x = Dropout(self.dropout).to_onnx(o, x)
            weights = (self._both(o, f"weight_{part}", number) for part in ("ih", "hh"))
            every, final = o.ops(
                2,
                self.kind.upper(),
                x,
                *weights,
                self._biases(o, number) if self.bias else None,
                hidden_size=self.hidden,
                direction="bidirectional" if self.bidirectional else "forward",
                **self.onnx_attributes(),
            )
            if number < self.layers - 1:
                x = o.op("Reshape", o.op("Transpose", every, perm=[0, 2, 1, 3]), o.const([steps, 0, self.width]))
        if self.last:
            return o.op("Reshape", o.op("Transpose", final, perm=[1, 0, 2]), o.const([0, self.width]))
        return o.op("Reshape", o.op("Transpose", every, perm=[2, 0, 1, 3]), o.const([0, steps, self.width]))

    def onnx_attributes(self) -> dict[str, Any]:
        """The attributes of this layer's operator, besides the size and the direction."""
        return {}

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        module = t.module(
            f"nn.{self.kind.upper()}",
            features(self, t.inputs[0]),
            self.hidden,
            num_layers=self.layers,
            bias=self.bias,
            batch_first=True,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            **self.torch_arguments(),
        )
        both = module(*inputs)
        if not self.last:
            return t.call("operator.getitem", both, 0)
        final = self.torch_state(t, t.call("operator.getitem", both, 1))
        if not self.bidirectional:
            return t.call("operator.getitem", final, -1)
        return t.call("torch.cat", [t.call("operator.getitem", final, i) for i in (-2, -1)], 1)

    def torch_arguments(self) -> dict[str, Any]:
        """The arguments of PyTorch's module that only this layer has."""
        return {}

    def torch_state(self, t: TorchLowering, state: Any) -> Any:
        """The last outputs of all layers and directions, from the state that PyTorch's module returns."""
        return state

    def _units(self) -> int:
        return len(self.order) * self.hidden

    def _cells(self, x: TensorType) -> Iterator[tuple[str, int]]:
        """The suffix of the parameters' names and the number of inputs, for each layer and direction."""
        for number in range(self.layers):
            for direction in self.directions:
                yield f"l{number}{direction}", self.width if number else features(self, x)

    def _both(self, o: Lowering, name: str, number: int) -> str:
        """A parameter of one layer for both directions, with ONNX's order of gates and an axis for the direction.

        onnxruntime computes it once, when it loads the model.
        """
        parts = []
        for direction in self.directions:
            value = o.param(f"{name}_l{number}{direction}")
            if len(self.order) > 1:
                gates = o.op("Reshape", value, o.const([len(self.order), -1]))
                value = o.op("Gather", gates, o.const(list(self.order)), axis=0)
            shape = [1, self._units()] if name.startswith("bias") else [1, self._units(), -1]
            parts.append(o.op("Reshape", value, o.const(shape)))
        return parts[0] if len(parts) == 1 else o.op("Concat", *parts, axis=0)

    def _biases(self, o: Lowering, number: int) -> str:
        return o.op("Concat", *(self._both(o, f"bias_{part}", number) for part in ("ih", "hh")), axis=1)


@register("rnn")
@dataclass(frozen=True)
class Rnn(_Recurrent):
    """Elman's recurrent layer: h[t] = act(weight_ih x[t] + bias_ih + weight_hh h[t-1] + bias_hh), h[-1] = 0.

    Input T x C, output T x `hidden`, or the last state, `hidden`, with `last=yes`. `layers` are stacked, in training
    with `dropout` between them. With `bidirectional=yes`, a second layer reads from the end to the start, and the
    outputs of both are concatenated; the last state of the second is that after the first step. All samples of a
    batch have T steps. Parameters of layer k, and again with `_reverse`: weight_ih_lk hidden x C (above the first
    layer, the width of the one below), weight_hh_lk hidden x hidden, bias_ih_lk and bias_hh_lk. `act` is `tanh` or
    `relu`. Source: Elman, "Finding structure in time" (1990); torch.nn.RNN with batch_first; ONNX operator RNN.
    """

    known_as = ("simple_rnn", "vanilla_rnn")
    torch_order = (None, "hidden", "layers", "act", "bias")
    order = (0,)

    act: Annotated[str, choice("tanh", "relu")] = "tanh"

    def onnx_attributes(self) -> dict[str, Any]:
        return {"activations": [self.act.capitalize()] * len(self.directions)}

    def torch_arguments(self) -> dict[str, Any]:
        return {"nonlinearity": self.act}


@register("lstm")
@dataclass(frozen=True)
class Lstm(_Recurrent):
    """Long short-term memory: c[t] = f * c[t-1] + i * g and h[t] = o * tanh(c[t]), with gates i, f, g and o.

    i, f and o are the sigmoid, g the tanh of weight_ih x[t] + bias_ih + weight_hh h[t-1] + bias_hh; the parameters
    concatenate the gates in this order and have 4 * hidden rows. Shapes, arguments and names are those of `rnn`.
    Source: Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the forget gate of Gers et al. (2000);
    torch.nn.LSTM with batch_first; ONNX operator LSTM, whose gates have another order.
    """

    torch_order = (None, "hidden", "layers", "bias")

    order = (0, 3, 1, 2)

    def torch_state(self, t: TorchLowering, state: Any) -> Any:
        return t.call("operator.getitem", state, 0)


@register("gru")
@dataclass(frozen=True)
class Gru(_Recurrent):
    """Gated recurrent unit: h[t] = (1 - z) * n + z * h[t-1], with the gates r and z and the candidate n.

    r and z are sigmoids as in `lstm`, n = tanh(weight_in x[t] + bias_in + r * (weight_hn h[t-1] + bias_hn)); the
    parameters concatenate r, z and n and have 3 * hidden rows. Shapes, arguments and names are those of `rnn`. Source:
    Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), where r is applied to h[t-1] itself;
    torch.nn.GRU with batch_first; ONNX operator GRU, whose gates have another order.
    """

    torch_order = (None, "hidden", "layers", "bias")

    order = (1, 0, 2)

    def onnx_attributes(self) -> dict[str, Any]:
        return {"linear_before_reset": 1}
