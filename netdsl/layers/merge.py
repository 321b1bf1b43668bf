"""Joins: several branches become one tensor."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from netdsl.arguments import Integer
from netdsl.ir.dim import Dim, equality_constraint, lower_bound, symbols, upper_bound
from netdsl.ir.types import DType, TensorType, format_shape
from netdsl.layer import Layer, LayerError, Lowering, normalized_axis, register

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.FLOAT64)
LARGEST_STRIDE = 4
"""A shortcut with a larger one is not what anybody means."""


class _Join(Layer):
    """A layer with any number of inputs, all of one element type."""

    arity = (1, None)
    dtypes: ClassVar[tuple[DType, ...]] = tuple(DType)

    def need_one_type(self, inputs: tuple[TensorType, ...]) -> None:
        first, *others = inputs
        for number, x in enumerate(others, start=2):
            if x.dtype is not first.dtype:
                raise LayerError(
                    "E0409",
                    f"the branches of `{self.kind}` have one element type; branch {number} is {x.dtype.value}, "
                    f"and branch 1 is {first.dtype.value}",
                )
        if first.dtype not in self.dtypes:
            *most, last = (dtype.value for dtype in self.dtypes)
            raise LayerError("E0409", f"`{self.kind}` takes {', '.join(most)} or {last}, not {first.dtype.value}")


@register("concat")
@dataclass(frozen=True)
class Concat(_Join):
    """Concatenation: the branches one after the other along `axis`; all other sizes must agree.

    Branches n1 x rest, n2 x rest, ..., output (n1 + n2 + ...) x rest for axis 0, the channels. The batch is not
    counted, and a negative axis counts from the end. Source: torch.cat; ONNX operator Concat.
    """

    axis: Integer = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        first, *others = inputs
        axis = normalized_axis(self.axis, first.rank)
        self.need_one_type(inputs)
        for number, other in enumerate(others, start=2):
            pairs = list(zip(other.shape, first.shape, strict=False))
            pairs[axis : axis + 1] = []
            if other.rank == first.rank:
                if all(a == b for a, b in pairs):
                    continue
                _refuse_if_unproved(self, pairs, number, other, first)
            raise LayerError(
                "E0404",
                f"the branches of `concat` must agree except along axis {axis}; branch {number} is {other}, "
                f"and branch 1 is {first}",
                help=_padding(pairs, number) if axis == 0 and other.rank == first.rank else None,
            )
        total = sum((x.shape[axis] for x in inputs), 0)
        return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        if len(inputs) == 1:
            return inputs[0]
        return o.op("Concat", *inputs, axis=normalized_axis(self.axis, o.output.rank) + 1)


class _Elementwise(_Join):
    """A join position by position; the element types are those that onnxruntime computes with in every opset."""

    dtypes: ClassVar[tuple[DType, ...]] = (*FLOATS, DType.INT64, DType.INT32)

    def infer(self, *inputs: TensorType) -> TensorType:
        self.need_one_type(inputs)
        for number, x in enumerate(inputs[1:], start=2):
            if x.shape != inputs[0].shape:
                if x.rank == inputs[0].rank:
                    _refuse_if_unproved(self, list(zip(x.shape, inputs[0].shape, strict=True)), number, x, inputs[0])
                raise _different(self, inputs)
        return inputs[0]


@register("add")
@dataclass(frozen=True)
class Add(_Elementwise):
    """Sum of branches, all of one shape: y = x1 + x2 + ...

    `skip` is `add` of its body and what reached it. No branch is stretched: a size of 1 does not fit another size.
    Source: He et al., "Deep residual learning for image recognition" (2015); ONNX operators Add and Sum.
    """

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return _sum(o, inputs)


@register("mul")
@dataclass(frozen=True)
class Mul(_Elementwise):
    """Product of branches: y = x1 * x2 * ..., all of one shape but for sizes of exactly 1, which are stretched.

    So a gate C x 1 x 1 scales the maps of C x H x W (squeeze-and-excitation), and 1 x H x W its positions. It is the
    only join that stretches. Source: Hu et al., "Squeeze-and-excitation networks" (2017); ONNX operator Mul.
    """

    def infer(self, *inputs: TensorType) -> TensorType:
        self.need_one_type(inputs)
        first, *others = inputs
        shape = first.shape
        for number, x in enumerate(others, start=2):
            if x.rank != first.rank:
                raise _different(self, inputs)
            pairs = [(a, b) for a, b in zip(x.shape, shape, strict=True) if 1 not in (a, b)]
            if any(a != b for a, b in pairs):
                _refuse_if_unproved(self, pairs, number, x, first)
                raise _different(self, inputs)
            shape = tuple(b if a == 1 else a for a, b in zip(x.shape, shape, strict=True))
        return first.with_shape(shape)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return reduce(lambda a, b: o.op("Mul", a, b), inputs)


@register("max")
@dataclass(frozen=True)
class Max(_Elementwise):
    """The largest of the branches, all of one shape, position by position: a maxout unit, if they are affine.

    Source: Goodfellow et al., "Maxout networks" (2013); torch.maximum; ONNX operator Max.
    """

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0] if len(inputs) == 1 else o.op("Max", *inputs)


@register("mean")
@dataclass(frozen=True)
class Mean(_Elementwise):
    """Mean of n branches, all of one shape: y = (x1 + ... + xn) / n.

    Source: torch.mean over stacked branches; ONNX operators Sum and Div.
    """

    dtypes = FLOATS

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return inputs[0] if len(inputs) == 1 else o.op("Div", _sum(o, inputs), o.const(float(len(inputs))))


# ------------------------------------------------------------------------------------------------ how it is done


def _sum(o: Lowering, inputs: tuple[str, ...]) -> str:
    """The operator Sum takes any number of terms, but no whole numbers."""
    if len(inputs) > 2 and o.output.dtype.is_float:
        return o.op("Sum", *inputs)
    return reduce(lambda a, b: o.op("Add", a, b), inputs)


def _refuse_if_unproved(
    layer: Layer, pairs: list[tuple[Dim, Dim]], number: int, x: TensorType, first: TensorType
) -> None:
    """Refuse sizes that may be equal but are not for certain; return if some differ for (nearly) all symbols."""
    unequal = [(a, b) for a, b in pairs if a != b]
    constraints = [equality_constraint(a, b) for a, b in unequal]
    if any(text is None and _differ(a, b) for (a, b), text in zip(unequal, constraints, strict=True)):
        return
    if all(constraints):
        conditions = {condition: None for text in constraints for condition in (text or "").split(", ")}
        remedy = f"add `where {', '.join(conditions)}` to the `input`"
    else:
        remedy = "fix the sizes in the `input`, or call equal sizes by the same letter"
    equations = " and ".join(f"{a} = {b}" for a, b in unequal)
    raise LayerError(
        "E0408",
        f"`{layer.kind}` fits branch {number}, which is {x}, to branch 1, which is {first}, only where {equations}",
        help=remedy,
    )


def _differ(a: Dim, b: Dim) -> bool:
    """Whether two sizes never meet, or do so by chance: formulas of the same symbols that no divisibility unites."""
    least, most = lower_bound(a - b), upper_bound(a - b)
    return (least is not None and least > 0) or (most is not None and most < 0) or not symbols(a).isdisjoint(symbols(b))


def _different(layer: Layer, inputs: tuple[TensorType, ...]) -> LayerError:
    """The error of branches that differ, with the layer that would mend it if one can."""
    shapes = ", ".join(f"branch {number} is {x}" for number, x in enumerate(inputs, start=1))
    message = f"the branches of `{layer.kind}` have different shapes: {shapes}"
    odd = next((number for number, x in enumerate(inputs) if x.shape != inputs[0].shape), 0)
    pairs = [(odd, 0), (0, odd)] if len(inputs) == 2 else [(odd, 0)]
    for source, target in pairs:  # the second branch of a skip is what its shortcut may replace
        layers = _projection(inputs[source].shape, inputs[target].shape)
        if layers is not None:
            goal = f"bring branch {source + 1} to {format_shape(inputs[target].shape)}"
            way = f"`shortcut {{ {layers} }}` after a skip, or `{layers}` at the end of the branch"
            return LayerError("E0403", message, help=f"{goal}: {way}")
    return LayerError("E0403", message)


def _projection(source: tuple[Dim, ...], target: tuple[Dim, ...]) -> str | None:
    """The 1-wide convolution or dense layer that turns one shape into the other, as the language writes it."""
    if len(source) != len(target) or not target:
        return None
    if len(target) <= 2 and source[:-1] == target[:-1] and isinstance(target[-1], int):
        return f"dense {target[-1]}"
    found = [
        next((stride for stride in range(1, LARGEST_STRIDE + 1) if (n - 1) // stride + 1 == wanted), None)
        for n, wanted in zip(source[1:], target[1:], strict=True)
    ]
    if None in found or not isinstance(target[0], int):
        return None
    stride = "x".join(map(str, found if len(set(found)) > 1 else found[:1]))
    return f"conv {target[0]} k1" + ("" if stride == "1" else f" s{stride}")


def _padding(pairs: list[tuple[Dim, Dim]], number: int) -> str | None:
    """How to bring branch `number` or branch 1 to the sides of the other: by a factor, or by padding at the end."""
    sides, others = _known(a for a, _ in pairs), _known(b for _, b in pairs)
    if sides is None or others is None:
        return None
    for small, large, branch in ((sides, others, number), (others, sides, 1)):
        missing = [b - a for a, b in zip(small, large, strict=True)]
        if min(missing) < 0:
            continue
        factors = {b / a for a, b in zip(small, large, strict=True)}
        if len(factors) == 1 and (factor := factors.pop()).is_integer():
            return f"put `upsample {factor:.0f}` at the end of branch {branch}"
        return f"put `pad ({', '.join(map(str, [0] * len(missing) + missing))})` at the end of branch {branch}"
    return None


def _known(shape: Iterable[Dim]) -> list[int] | None:
    """The sizes, if none is symbolic."""
    sizes = []
    for dim in shape:
        if not isinstance(dim, int):
            return None
        sizes.append(dim)
    return sizes
