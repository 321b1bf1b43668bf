"""Joins: several branches become one tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, ClassVar, TypeAlias

from netdsl.base.show import show
from netdsl.ir.dim import Dim, equality_constraint, equality_constraints, lower_bound, symbols, total, upper_bound
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import Integer
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, normalized_axis, register

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.FLOAT64)
Way: TypeAlias = tuple[int, tuple[Dim, ...], tuple[Dim, ...]]
"""The number of a branch, its shape, and the shape it should have."""
Conversion: TypeAlias = Callable[[tuple[Dim, ...], tuple[Dim, ...]], str | None]
"""Finds the layers that convert one shape to another."""
MAX_SHORTCUT_STRIDE = 4
"""The largest stride that an error suggests for a shortcut."""


class _Join(Layer):
    """A layer with any number of inputs, all of one element type."""

    arity = (1, None)
    dtypes: ClassVar[tuple[DType, ...]] = tuple(DType)

    def need_one_type(self, inputs: tuple[TensorType, ...]) -> None:
        first, *others = inputs
        other = next((x.dtype for x in others if x.dtype is not first.dtype), None)
        if other is not None:
            raise LayerError(
                "E0409",
                f"expected branches of one element type, got {first.dtype.value} and {other.value}",
                help="give the `input`s one element type",
            )
        if first.dtype not in self.dtypes:
            *most, last = (dtype.value for dtype in self.dtypes)
            message = f"`{self.kind}` expected {', '.join(most)} or {last}, got {first.dtype.value}"
            raise LayerError("E0409", message, help="give the `input` another element type")


@register("concat")
@dataclass(frozen=True)
class Concat(_Join):
    """Concatenation of the branches along `axis`; all other sizes must be equal.

    Branches n1 x rest, n2 x rest, ..., output (n1 + n2 + ...) x rest for axis 0, the channels. The batch is not
    counted, and a negative axis counts from the end. Source: torch.cat; ONNX operator Concat.
    """

    known_as = ("concatenate", "cat")
    torch_order = ()
    rearranges = True

    axis: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        first, *others = inputs
        axis = normalized_axis(self.axis, first.rank)
        self.need_one_type(inputs)
        for number, other in enumerate(others, start=1):
            message = f"all branches must have equal sizes except along axis {axis}, and {first} and {other} do not"
            if other.rank != first.rank:
                raise LayerError("E0404", message)
            wanted = (*first.shape[:axis], other.shape[axis], *first.shape[axis + 1 :])
            if other.shape != wanted:
                _refuse_if_unproved(list(zip(other.shape, wanted, strict=True)))
                had = (*other.shape[:axis], first.shape[axis], *other.shape[axis + 1 :])
                ways = [(number, other.shape, wanted), (0, first.shape, had)]
                raise LayerError("E0404", message, append=_converted(ways, (_enlarged, _projected), first.dtype))
        size = total(x.shape[axis] for x in inputs)
        return first.with_shape((*first.shape[:axis], size, *first.shape[axis + 1 :]))

    def side_by_side(self, *inputs: TensorType) -> int:
        return normalized_axis(self.axis, inputs[0].rank)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if len(inputs) == 1:
            return inputs[0]
        return o.op("Concat", *inputs, axis=normalized_axis(self.axis, o.output.rank) + 1)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        if len(inputs) == 1:
            return inputs[0]
        return t.call("torch.cat", list(inputs), dim=normalized_axis(self.axis, t.output.rank) + 1)


class _Elementwise(_Join):
    """A join position by position, for the element types that onnxruntime supports in every opset."""

    dtypes: ClassVar[tuple[DType, ...]] = (*FLOATS, DType.INT64, DType.INT32)

    def infer(self, *inputs: TensorType) -> TensorType:
        self.need_one_type(inputs)
        first, *others = inputs
        for number, x in enumerate(others, start=1):
            if x.shape != first.shape:
                if x.rank == first.rank:
                    _refuse_if_unproved(list(zip(x.shape, first.shape, strict=True)))
                ways = [(number, x.shape, first.shape)]
                if len(others) == 1:  # a `shortcut` may replace the second branch of a skip
                    ways.append((0, first.shape, x.shape))
                conversions = (_projected, _enlarged)
                raise LayerError("E0403", _different(first, x), append=_converted(ways, conversions, first.dtype))
        return first


@register("add")
@dataclass(frozen=True)
class Add(_Elementwise):
    """Sum of branches, all of one shape: y = x1 + x2 + ...

    `skip` is the `add` of its body and its input. No branch is broadcast: a size of 1 does not fit another size.
    Source: He et al., "Deep residual learning for image recognition" (2015); ONNX operators Add and Sum.
    """

    known_as = ("sum", "plus", "residual_add")

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return _sum(o, inputs)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return reduce(partial(t.call, "operator.add"), inputs)


@register("mul")
@dataclass(frozen=True)
class Mul(_Elementwise):
    """Product of branches: y = x1 * x2 * ..., all of one shape apart from sizes of exactly 1, which are broadcast.

    A gate C x 1 x 1 thus scales the channels of C x H x W (squeeze-and-excitation), and 1 x H x W its positions. No
    other join broadcasts. Source: Hu et al., "Squeeze-and-excitation networks" (2017); ONNX operator Mul.
    """

    known_as = ("multiply", "product")

    def infer(self, *inputs: TensorType) -> TensorType:
        self.need_one_type(inputs)
        first, *others = inputs
        shape = first.shape
        for number, x in enumerate(others, start=1):
            if x.rank != first.rank:
                gate = x.rank == 1 and x.shape[0] == first.shape[0]
                layers = f"reshape {show((x.shape[0], *(1 for _ in first.shape[1:])))}"
                raise LayerError(
                    "E0403",
                    _different(first, x, "one shape, apart from sizes of 1"),
                    append=(number, layers) if gate else None,
                )
            pairs = [(a, b) for a, b in zip(x.shape, shape, strict=True) if 1 not in (a, b)]
            if any(a != b for a, b in pairs):
                _refuse_if_unproved(pairs)
                wanted = tuple(a if a == 1 else b for a, b in zip(x.shape, shape, strict=True))
                ways = [(number, x.shape, wanted)]
                raise LayerError(
                    "E0403",
                    _different(first, x, "one shape, apart from sizes of 1"),
                    append=_converted(ways, (_projected,), x.dtype),
                )
            shape = tuple(b if a == 1 else a for a, b in zip(x.shape, shape, strict=True))
        return first.with_shape(shape)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return reduce(lambda a, b: o.op("Mul", a, b), inputs)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return reduce(partial(t.call, "operator.mul"), inputs)


@register("max")
@dataclass(frozen=True)
class Max(_Elementwise):
    """Elementwise maximum of the branches, all of one shape; a maxout unit, if the branches are affine.

    Source: Goodfellow et al., "Maxout networks" (2013); torch.maximum; ONNX operator Max.
    """

    known_as = ("maximum",)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0] if len(inputs) == 1 else o.op("Max", *inputs)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return reduce(partial(t.call, "torch.maximum"), inputs)


@register("mean")
@dataclass(frozen=True)
class Mean(_Elementwise):
    """Elementwise mean of n branches, all of one shape: y = (x1 + ... + xn) / n.

    Source: torch.mean over stacked branches; ONNX operators Sum and Div.
    """

    known_as = ("average",)

    averages = True
    dtypes = FLOATS

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0] if len(inputs) == 1 else o.op("Div", _sum(o, inputs), o.const(float(len(inputs))))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return inputs[0] if len(inputs) == 1 else t.call("torch.mean", t.call("torch.stack", list(inputs)), 0)


# ------------------------------------------------------------------------------------------------ implementation


def _sum(o: Lowering, inputs: tuple[str, ...]) -> str:
    """Add any number of tensors; the operator Sum takes no whole numbers."""
    if len(inputs) > 2 and o.output.dtype.is_float:
        return o.op("Sum", *inputs)
    return reduce(lambda a, b: o.op("Add", a, b), inputs)


def _different(first: TensorType, other: TensorType, what: str = "one shape") -> str:
    return f"expected branches of {what}, got {first} and {other}"


def _refuse_if_unproved(pairs: list[tuple[Dim, Dim]]) -> None:
    """Refuse sizes that may be equal but are not proved to be; return if some differ for (nearly) all symbols."""
    unequal = [(a, b) for a, b in pairs if a != b]
    if any(equality_constraint(a, b) is None and _differ(a, b) for a, b in unequal):
        return
    constraint = equality_constraints(unequal)
    raise LayerError(
        "E0408",
        f"the branches fit only where {' and '.join(f'{a} = {b}' for a, b in unequal)}",
        help=f"add `where {constraint}` to the `input`"
        if constraint
        else "fix the sizes in the `input`, or give equal sizes the same letter",
    )


def _differ(a: Dim, b: Dim) -> bool:
    """Whether two sizes are never equal, or only by chance: formulas of shared symbols that no divisibility unites."""
    least, most = lower_bound(a - b), upper_bound(a - b)
    return (least is not None and least > 0) or (most is not None and most < 0) or not symbols(a).isdisjoint(symbols(b))


def _converted(ways: list[Way], conversions: tuple[Conversion, ...], dtype: DType) -> tuple[int, str] | None:
    """The branch that can be converted to the other's shape, and the layers that do it."""
    for convert in conversions:
        for number, shape, wanted in ways:
            layers = convert(shape, wanted) if dtype.is_float and len(shape) == len(wanted) else None
            if layers is not None:
                return number, layers
    return None


def _projected(source: tuple[Dim, ...], target: tuple[Dim, ...]) -> str | None:
    """The convolution of kernel 1, or the dense layer, that converts one shape to the other, as source text."""
    if len(target) <= 2 and source[:-1] == target[:-1] and isinstance(target[-1], int):
        return f"dense {target[-1]}"
    strides = [
        next((stride for stride in range(1, MAX_SHORTCUT_STRIDE + 1) if (n - 1) // stride + 1 == wanted), None)
        for n, wanted in zip(source[1:], target[1:], strict=True)
    ]
    if None in strides or not 2 <= len(target) <= 4 or not isinstance(source[0], int) or not isinstance(target[0], int):
        return None
    stride = "x".join(map(str, strides if len(set(strides)) > 1 else strides[:1]))
    return f"conv {target[0]} k1" + ("" if stride == "1" else f" s{stride}")


def _enlarged(source: tuple[Dim, ...], target: tuple[Dim, ...]) -> str | None:
    """The layer that enlarges an image, by a factor or by padding, on both sides where the padding is even."""
    if source[0] != target[0] or not 2 <= len(target) <= 4:
        return None
    sides = [(a, b) for a, b in zip(source[1:], target[1:], strict=True) if isinstance(a, int) and isinstance(b, int)]
    missing = [b - a for a, b in sides]
    if len(sides) < len(target) - 1 or min(missing) < 0:
        return None
    if len({b / a for a, b in sides}) == 1 and sides[0][1] % sides[0][0] == 0:
        return f"upsample {sides[0][1] // sides[0][0]}"
    if any(rows % 2 for rows in missing):
        return f"pad ({', '.join(map(str, [0] * len(missing) + missing))})"
    halves = [rows // 2 for rows in missing]
    return f"pad {halves[0] if len(set(halves)) == 1 else show(tuple(halves))}"
