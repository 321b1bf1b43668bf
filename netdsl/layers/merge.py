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
Mend: TypeAlias = Callable[[tuple[Dim, ...], tuple[Dim, ...]], str | None]
"""Finds the layers that make one shape of another."""
MAX_SHORTCUT_STRIDE = 4
"""A shortcut with a larger one is not what anybody means."""


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
                f"all branches must have one element type, not {first.dtype.value} and {other.value}",
                help="give the `input`s one element type",
            )
        if first.dtype not in self.dtypes:
            *most, last = (dtype.value for dtype in self.dtypes)
            message = f"`{self.kind}` takes {', '.join(most)} or {last}, not {first.dtype.value}"
            raise LayerError("E0409", message, help="give the `input` another element type")


@register("concat")
@dataclass(frozen=True)
class Concat(_Join):
    """Concatenation: the branches one after the other along `axis`; all other sizes must agree.

    Branches n1 x rest, n2 x rest, ..., output (n1 + n2 + ...) x rest for axis 0, the channels. The batch is not
    counted, and a negative axis counts from the end. Source: torch.cat; ONNX operator Concat.
    """

    known_as = ("concatenate", "cat")
    rearranges = True

    axis: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        first, *others = inputs
        axis = normalized_axis(self.axis, first.rank)
        self.need_one_type(inputs)
        for number, other in enumerate(others, start=1):
            message = f"all branches must agree except along axis {axis}, and {first} and {other} do not"
            if other.rank != first.rank:
                raise LayerError("E0404", message)
            wanted = (*first.shape[:axis], other.shape[axis], *first.shape[axis + 1 :])
            if other.shape != wanted:
                _refuse_if_unproved(list(zip(other.shape, wanted, strict=True)))
                had = (*other.shape[:axis], first.shape[axis], *other.shape[axis + 1 :])
                ways = [(number, other.shape, wanted), (0, first.shape, had)]
                raise LayerError("E0404", message, append=_mended(ways, (_enlarged, _projected), first.dtype))
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
    """A join position by position; the element types are those that onnxruntime computes with in every opset."""

    dtypes: ClassVar[tuple[DType, ...]] = (*FLOATS, DType.INT64, DType.INT32)

    def infer(self, *inputs: TensorType) -> TensorType:
        self.need_one_type(inputs)
        first, *others = inputs
        for number, x in enumerate(others, start=1):
            if x.shape != first.shape:
                if x.rank == first.rank:
                    _refuse_if_unproved(list(zip(x.shape, first.shape, strict=True)))
                ways = [(number, x.shape, first.shape)]
                if len(others) == 1:  # the second branch of a skip is what its shortcut may replace
                    ways.append((0, first.shape, x.shape))
                mends = (_projected, _enlarged)
                raise LayerError("E0403", _different(first, x), append=_mended(ways, mends, first.dtype))
        return first


@register("add")
@dataclass(frozen=True)
class Add(_Elementwise):
    """Sum of branches, all of one shape: y = x1 + x2 + ...

    `skip` is `add` of its body and what reached it. No branch is stretched: a size of 1 does not fit another size.
    Source: He et al., "Deep residual learning for image recognition" (2015); ONNX operators Add and Sum.
    """

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return _sum(o, inputs)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return reduce(partial(t.call, "operator.add"), inputs)


@register("mul")
@dataclass(frozen=True)
class Mul(_Elementwise):
    """Product of branches: y = x1 * x2 * ..., all of one shape but for sizes of exactly 1, which are stretched.

    So a gate C x 1 x 1 scales the maps of C x H x W (squeeze-and-excitation), and 1 x H x W its positions. It is the
    only join that stretches. Source: Hu et al., "Squeeze-and-excitation networks" (2017); ONNX operator Mul.
    """

    known_as = ("multiply",)

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
                    _different(first, x, "one shape, sizes of 1 aside"),
                    append=(number, layers) if gate else None,
                )
            pairs = [(a, b) for a, b in zip(x.shape, shape, strict=True) if 1 not in (a, b)]
            if any(a != b for a, b in pairs):
                _refuse_if_unproved(pairs)
                wanted = tuple(a if a == 1 else b for a, b in zip(x.shape, shape, strict=True))
                ways = [(number, x.shape, wanted)]
                raise LayerError(
                    "E0403",
                    _different(first, x, "one shape, sizes of 1 aside"),
                    append=_mended(ways, (_projected,), x.dtype),
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
    """The largest of the branches, all of one shape, position by position: a maxout unit, if they are affine.

    Source: Goodfellow et al., "Maxout networks" (2013); torch.maximum; ONNX operator Max.
    """

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0] if len(inputs) == 1 else o.op("Max", *inputs)

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return reduce(partial(t.call, "torch.maximum"), inputs)


@register("mean")
@dataclass(frozen=True)
class Mean(_Elementwise):
    """Mean of n branches, all of one shape: y = (x1 + ... + xn) / n.

    Source: torch.mean over stacked branches; ONNX operators Sum and Div.
    """

    averages = True
    dtypes = FLOATS

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0] if len(inputs) == 1 else o.op("Div", _sum(o, inputs), o.const(float(len(inputs))))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return inputs[0] if len(inputs) == 1 else t.call("torch.mean", t.call("torch.stack", list(inputs)), 0)


# ------------------------------------------------------------------------------------------------ how it is done


def _sum(o: Lowering, inputs: tuple[str, ...]) -> str:
    """The operator Sum takes any number of terms, but no whole numbers."""
    if len(inputs) > 2 and o.output.dtype.is_float:
        return o.op("Sum", *inputs)
    return reduce(lambda a, b: o.op("Add", a, b), inputs)


def _different(first: TensorType, other: TensorType, what: str = "one shape") -> str:
    return f"all branches must have {what}, not {first} and {other}"


def _refuse_if_unproved(pairs: list[tuple[Dim, Dim]]) -> None:
    """Refuse sizes that may be equal but are not for certain; return if some differ for (nearly) all symbols."""
    unequal = [(a, b) for a, b in pairs if a != b]
    if any(equality_constraint(a, b) is None and _differ(a, b) for a, b in unequal):
        return
    constraint = equality_constraints(unequal)
    raise LayerError(
        "E0408",
        f"the branches fit only where {' and '.join(f'{a} = {b}' for a, b in unequal)}",
        help=f"add `where {constraint}` to the `input`"
        if constraint
        else "fix the sizes in the `input`, or call equal sizes by the same letter",
    )


def _differ(a: Dim, b: Dim) -> bool:
    """Whether two sizes never meet, or do so by chance: formulas of the same symbols that no divisibility unites."""
    least, most = lower_bound(a - b), upper_bound(a - b)
    return (least is not None and least > 0) or (most is not None and most < 0) or not symbols(a).isdisjoint(symbols(b))


def _mended(ways: list[Way], mends: tuple[Mend, ...], dtype: DType) -> tuple[int, str] | None:
    """Which of some branches can be mended, and by which layers."""
    for mend in mends:
        for number, shape, wanted in ways:
            layers = mend(shape, wanted) if dtype.is_float and len(shape) == len(wanted) else None
            if layers is not None:
                return number, layers
    return None


def _projected(source: tuple[Dim, ...], target: tuple[Dim, ...]) -> str | None:
    """The 1-wide convolution or dense layer that turns one shape into the other, as the language writes it."""
    if len(target) <= 2 and source[:-1] == target[:-1] and isinstance(target[-1], int):
        return f"dense {target[-1]}"
    found = [
        next((stride for stride in range(1, MAX_SHORTCUT_STRIDE + 1) if (n - 1) // stride + 1 == wanted), None)
        for n, wanted in zip(source[1:], target[1:], strict=True)
    ]
    if None in found or not 2 <= len(target) <= 4 or not isinstance(source[0], int) or not isinstance(target[0], int):
        return None
    stride = "x".join(map(str, found if len(set(found)) > 1 else found[:1]))
    return f"conv {target[0]} k1" + ("" if stride == "1" else f" s{stride}")


def _enlarged(source: tuple[Dim, ...], target: tuple[Dim, ...]) -> str | None:
    """The layer that makes an image larger, by a factor or by padding, on both sides where that comes out even."""
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
