"""Selections of positions along one axis of a tensor."""

from dataclasses import dataclass
from typing import Annotated, Any

from netdsl.ir.bounds import Need
from netdsl.ir.dim import Dim, Symbolic, equality_constraint, exact_quotient, upper_bound
from netdsl.ir.types import TensorType
from netdsl.layers.arguments import Count, Integer, Integers, Kind, Natural, integer
from netdsl.layers.base import (
    Layer,
    LayerError,
    Lowering,
    TorchLowering,
    divisibility,
    normalized_axis,
    register,
)
from netdsl.layers.spans import EACH, MAX_SPAN_POSITIONS, Reads, Spans, cut

END = 2**63 - 1
"""The number that stands for the end of an axis in ONNX."""


def _position(value: Any) -> Dim:
    return value if isinstance(value, Symbolic) else integer(value)


Position = Annotated[Dim, Kind("position: a whole number, from the end if negative", _position)]
OptionalPosition = Annotated[Dim | None, Position.__metadata__[0]]


@register("select")
@dataclass(frozen=True)
class Select(Layer):
    """Selection of positions along `axis`, in the order given; `select [0, 2, 5]` selects three channels.

    Negative positions count from the end; the batch is not counted. Source: torch.index_select; ONNX operator Gather.
    """

    known_as = ("index_select", "gather")

    rearranges = True

    maps: Integers
    axis: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalized_axis(self.axis, x.rank)
        most = upper_bound(x.shape[axis])
        if not self.maps:
            raise LayerError("E0306", "`select` needs at least one position", argument="maps")
        for index in self.maps:
            if most is not None and not -most <= index < most:
                raise LayerError(
                    "E0414",
                    f"position {index} is outside axis {axis} of {x}",
                    argument="maps",
                    help=f"positions go from 0 to {most - 1}",
                )
        return _with_size(x, axis, len(self.maps))

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        (x,) = inputs
        axis = normalized_axis(self.axis, x.rank)
        far = max(-index if index < 0 else index + 1 for index in self.maps)
        return (Need(x.shape[axis], far, f"axis {axis}, of which it takes positions,"),)

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        (x,) = inputs
        if axis != normalized_axis(self.axis, x.rank):
            return EACH
        size = x.shape[axis]
        if len(self.maps) > MAX_SPAN_POSITIONS or (not isinstance(size, int) and min(self.maps) < 0):
            return None
        return Spans.table((i % size if isinstance(size, int) else i,) * 2 for i in self.maps)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        axis = normalized_axis(self.axis, o.output.rank)
        return o.op("Gather", inputs[0], o.const(list(self.maps)), axis=axis + 1)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.module("Select", list(self.maps), dim=normalized_axis(self.axis, t.output.rank) + 1)(*inputs)


@register("slice")
@dataclass(frozen=True)
class SliceLayer(Layer):
    """The positions start, start + step, ... before `stop` along `axis`, as x[start:stop:step] in Python.

    Negative positions count from the end; without `stop`, the slice goes to the end; the batch is not counted. The size
    is (stop - start) / step, rounded up; positions outside are cut off, but an empty result is an error. For a symbolic
    size, a position that may be inside must be inside for all sizes. Source: ONNX operator Slice.
    """

    known_as = ("narrow",)

    rearranges = True

    start: Position = 0
    stop: OptionalPosition = None
    step: Count = 1
    axis: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalized_axis(self.axis, x.rank)
        start, stop = self._ends(x.shape[axis])
        most = upper_bound(stop - start)
        if most is not None and most <= 0:
            end = "on" if self.stop is None else f"to {self.stop}"
            raise LayerError(
                "E0415",
                f"axis {axis} of {x} has nothing from {self.start} {end}",
                argument="start",
                help=f"positions go from 0 to {x.shape[axis] - 1}, and `stop` is not among them",
            )
        return _with_size(x, axis, (stop - start + self.step - 1) // self.step)

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        (x,) = inputs
        size = x.shape[normalized_axis(self.axis, x.rank)]
        needs = []
        for name, end in zip(("start", "stop"), self._ends(size), strict=True):
            needs += [Need(end, 0, f"its `{name}`"), Need(size - end, 0, f"the number of positions after its `{name}`")]
        return tuple(needs)

    def _ends(self, size: Dim) -> tuple[Dim, Dim]:
        """Its start and its stop, counted from the front."""
        return _inside(self.start, size), size if self.stop is None else _inside(self.stop, size)

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        (x,) = inputs
        if axis != normalized_axis(self.axis, x.rank):
            return EACH
        start, _ = self._ends(x.shape[axis])
        return _from(start, self.step, self.infer(x).shape[axis])

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return _cut(o, inputs[0], self.start, END if self.stop is None else self.stop, self.axis, self.step)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        ends = (self.start, self.stop)
        start, stop = (t.sizes((at,))[1] if isinstance(at, Symbolic) else at for at in ends)
        whole = [slice(None)] * (normalized_axis(self.axis, t.output.rank) + 1)
        return t.call("operator.getitem", inputs[0], (*whole, slice(start, stop, self.step)))


@register("split")
@dataclass(frozen=True)
class Split(Layer):
    """One of `parts` equal parts along `axis`: part `index`, counted from 0.

    The size must be divisible by `parts`; the batch is not counted. Source: torch.chunk; ONNX operator Slice.
    """

    known_as = ("chunk",)

    rearranges = True

    parts: Count
    index: Natural
    axis: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalized_axis(self.axis, x.rank)
        if self.index >= self.parts:
            raise LayerError(
                "E0414",
                f"there is no part {self.index} of {self.parts}",
                argument="index",
                help=f"parts are counted from 0 to {self.parts - 1}",
            )
        size = x.shape[axis]
        part = exact_quotient(size, self.parts)
        if part is not None:
            return _with_size(x, axis, part)
        message = f"axis {axis} of {x} cannot be split into {self.parts} equal parts"
        constraint = equality_constraint(size, size // self.parts * self.parts)
        if constraint:
            raise LayerError("E0408", f"{message} for all sizes", help=f"add `where {constraint}` to the `input`")
        raise LayerError("E0405", message, argument="parts", help=divisibility(size, self.parts))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        (x,) = inputs
        if axis != normalized_axis(self.axis, x.rank):
            return EACH
        part = self.infer(x).shape[axis]
        return _from(self.index * part, 1, part)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        size = o.output.shape[normalized_axis(self.axis, o.output.rank)]
        return _cut(o, inputs[0], self.index * size, (self.index + 1) * size, self.axis)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        parts = t.call("torch.chunk", inputs[0], self.parts, dim=normalized_axis(self.axis, t.output.rank) + 1)
        return t.call("operator.getitem", parts, self.index)


# ------------------------------------------------------------------------------------------------ implementation


def _from(start: Dim, step: int, made: Dim) -> Reads:
    """The positions that a slice of `made` positions reads; its start must be known."""
    return cut(start, step, made if isinstance(made, int) else None) if isinstance(start, int) else None


def _with_size(x: TensorType, axis: int, size: Dim) -> TensorType:
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _inside(position: Dim, size: Dim) -> Dim:
    """A position counted from the front, and clipped to 0 ... `size` where it is known to lie outside."""
    most = upper_bound(position)
    front = size + position if most is not None and most < 0 else position
    if (most := upper_bound(front)) is not None and most <= 0:
        return 0
    if (most := upper_bound(size - front)) is not None and most <= 0:
        return size
    return front


def _cut(o: Lowering, x: str, start: Dim, stop: Dim, axis: int, step: int = 1) -> str:
    """A slice whose ends may be sizes that are only known at run time."""

    def at(position: Dim) -> str:
        if isinstance(position, int):
            return o.const([position])
        return o.op("Slice", o.sizes((position,)), o.const([1]), o.const([2]))  # without the batch

    axes = o.const([normalized_axis(axis, o.output.rank) + 1])
    return o.op("Slice", x, at(start), at(stop), axes, o.const([step]))
