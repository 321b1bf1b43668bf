"""The base of all layers: a frozen dataclass whose fields are the layer's signature, and a few short methods.

A layer knows the graph's types and, inside `to_onnx` and `to_torch`, the vocabularies of ONNX and of PyTorch; it
knows no source, no spans and no names. Its errors name the argument at fault, and elaboration finds the place.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from functools import cache, lru_cache
from math import isqrt
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from netdsl.ir.bounds import Need
from netdsl.ir.dim import equality_constraint, exact_quotient, upper_bound
from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType
from netdsl.layers.spans import EACH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netdsl.ir.dim import Dim
    from netdsl.ir.meaning import Gives
    from netdsl.ir.types import TensorType
    from netdsl.layers.arguments import Kind
    from netdsl.layers.spans import Reads

LAYERS: dict[str, type[Layer]] = {}
"""Every layer of the language by its name; `register` fills it when `netdsl.layers` is imported."""


class LayerError(Exception):
    """The error of a layer that cannot take its arguments or inputs.

    Attributes:
        code: a code of `netdsl.reference.codes.CODES`.
        message: the invariant and the values received.
        argument: the field at fault, or None where the input is.
        help: the remedy.
        append: a remedy for one of several inputs: its number from 0, and the layers to append to its branch.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        argument: str | None = None,
        help: str | None = None,  # noqa: A002 - as in Diagnostic
        append: tuple[int, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.argument, self.help, self.append = code, message, argument, help, append


class Lowering(Protocol):
    """The interface through which `Layer.to_onnx` writes one node as ONNX.

    Names of values are strings, as in ONNX. Values carry the batch as dimension 0, so that axis `a` of a layer is
    axis `a + 1` of an operator.
    """

    opset: int
    """The opset of the model; a layer uses a decomposition where the opset lacks an operator."""
    training: bool
    """Whether the training graph is being written."""
    inputs: tuple[TensorType, ...]
    output: TensorType

    @property
    def held(self) -> bool:
        """Whether the node reads only elements of the inputs, whose tokens are checked against a bound at the input."""

    def op(self, op_type: str, *inputs: str | None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name; None stands for an omitted input.

        Attributes that are None are omitted. The last node that `to_onnx` adds and returns takes the layer's path.
        """

    def ops(self, count: int, op_type: str, *inputs: str | None, **attributes: Any) -> tuple[str, ...]:
        """Add a node with `count` outputs and return their names."""

    def param(self, role: str) -> str:
        """The initializer that holds a parameter of the node, or the value that an earlier use has updated it to."""

    def update(self, role: str, value: str) -> None:
        """Return `value` as a parameter's value after a training step: an output called `name/next`."""

    def const(self, value: Any, dtype: str | None = None) -> str:
        """A constant: a number, a list or an array; `dtype` is a numpy name.

        Without `dtype`, whole numbers are int64 and others take the element type of the node's output.
        """

    def batch(self) -> str:
        """The number of samples, as an int64 tensor of shape [1]."""

    def sizes(self, shape: tuple[Dim, ...]) -> str:
        """`shape` with the batch in front, as an int64 tensor; constant if possible, else computed at run time."""


class TorchLowering(Protocol):
    """The interface through which `Layer.to_torch` writes one node in PyTorch.

    Values are opaque to layers: nodes of a torch.fx graph, or pieces of source text. They carry the batch as dimension
    0, so that axis `a` of a layer is dimension `a + 1` of a tensor. Names of PyTorch are given as text, so that layers
    need not import it.
    """

    inputs: tuple[TensorType, ...]
    output: TensorType

    def module(self, name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """The layer's one submodule, to be called with values; its path is the layer's path.

        `name` is a class of torch.nn (`nn.Conv2d`) or of `netdsl.backends.torch.modules` (`DropPath`); the arguments
        are those of the class, as plain Python values; arguments equal to its defaults may be given. Its parameters
        and buffers have the names of the layer's roles.
        """

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """The result of `torch.f`, `F.f` (torch.nn.functional) or `operator.f`; arguments may contain values."""

    def method(self, value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """The result of a tensor's method."""

    def param(self, role: str) -> Any:
        """A parameter of a layer that has no submodule."""

    def sizes(self, shape: tuple[Dim, ...]) -> tuple[Any, ...]:
        """`shape` with the batch in front; whole numbers where they are known, else values."""


@dataclass(frozen=True)
class Layer:
    """The base of all layers; see `netdsl.layers` for the families."""

    kind: ClassVar[str]
    """The layer's name in the language."""
    batch_statistics: ClassVar[bool] = False
    """Whether training needs at least two values of each channel in a batch, for their statistics."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """The least and the largest number of inputs. None is any number: calls of such a layer have a body of branches."""
    training_only: ClassVar[bool] = False
    """Whether it is the identity at inference (dropout)."""
    activation: ClassVar[bool] = False
    """Whether it is an elementwise non-linearity."""
    gives: ClassVar[Gives | None] = None
    """The meaning of its result at the end of a net, where the layer alone decides it (`netdsl.ir.meaning`)."""
    rearranges: ClassVar[bool] = False
    """Whether, at inference, the elements of its result are elements of its input."""
    keeps_order: ClassVar[bool] = False
    """Whether it keeps the order of the elements, so that it changes nothing where it keeps the shape."""
    averages: ClassVar[bool] = False
    """Whether its result is the mean of its inputs."""
    standardizes: ClassVar[bool] = False
    """Whether it subtracts the argument `mean` from the input and divides by the argument `std`."""
    weight_axis: ClassVar[int | None] = None
    """The axis of its weight that stands for the output channels; None where it does not multiply by one weight."""
    known_as: ClassVar[tuple[str, ...]] = ()
    """Its names in PyTorch, Keras and others, for suggestions in errors; without digits for dimensions."""
    torch_order: ClassVar[tuple[str | None, ...] | None] = None
    """The positional arguments of PyTorch's module by their names here; None for a size that is inferred here.

    Without it, they are the arguments here.
    """
    opset: ClassVar[int] = 13
    """The smallest opset of its best lowering; another lowering may support a smaller one."""

    @property
    def token_count(self) -> int | None:
        """The number of tokens for which it has vectors; None where it takes no tokens."""
        return None

    @classmethod
    def joins(cls) -> bool:
        """Whether it combines any number of branches, which are the body of its call."""
        return cls.arity[1] is None

    def infer(self, *inputs: TensorType) -> TensorType:
        """Infer the type of the result, or raise `LayerError`. By default it is the input's type."""
        return inputs[0]

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        """Parameters by role, in the order of PyTorch's `state_dict`."""
        return {}

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        """The sizes that must be large enough for the layer to work, besides those of the result."""
        return ()

    def inferred(self, *inputs: TensorType) -> tuple[TensorType, Mapping[str, ParamSpec]]:
        """The results of `infer` and `params`, cached for equal layers, since nets repeat themselves.

        Raises:
            LayerError: the layer cannot take the inputs, or one of its needs cannot be met (E0416).
        """
        return _inferred(self, *inputs)

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        """Multiply-accumulates for one sample. Only layers with weight matrices have any, as in the literature."""
        return 0

    def connections(self, output: TensorType, *inputs: TensorType) -> Dim:
        """Connections in LeCun's sense: the inputs of each unit, its bias included (LeNet-5's C1 has 122,304)."""
        biases = output.elements if "bias" in self.params(*inputs) else 0
        return self.macs(output, *inputs) + biases

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        """The positions along an axis of the inputs that each position of the result reads, for the receptive field."""
        return EACH

    def places(self, axis: int, *inputs: TensorType) -> int | frozenset[int]:
        """The axis of the result that an axis of the input becomes, or the axes that its positions are spread over.

        The set is empty where the whole axis is read at once and does not remain.
        """
        return axis

    def side_by_side(self, *inputs: TensorType) -> int | None:
        """The axis along which a join concatenates its branches; None where it combines them position by position."""
        return None

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        """Add the layer's ONNX nodes and return the name of the result, which may be one of `inputs`."""
        raise NotImplementedError

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        """Compute the result with PyTorch's own layer if it has one, as a submodule, else with functions."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """The fields by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@lru_cache(maxsize=1 << 14)
def _inferred(layer: Layer, *inputs: TensorType) -> tuple[TensorType, Mapping[str, ParamSpec]]:
    output = layer.infer(*inputs)
    for need in all_needs(layer, output, *inputs):
        most = upper_bound(need.size)
        if most is not None and most < need.least:
            raise LayerError("E0416", f"{need.what} must be at least {need.least}, and `{layer.kind}` has {need.size}")
    return output, layer.params(*inputs)


def all_needs(layer: Layer, output: TensorType, *inputs: TensorType) -> tuple[Need, ...]:
    """All needs of a layer: its own, and a result of at least one element."""
    kept = {*inputs[0].shape} if inputs else {}
    made = (Need(dim, 1, f"axis {axis} of the result") for axis, dim in enumerate(output.shape) if dim not in kept)
    return *layer.needs(*inputs), *made


L = TypeVar("L", bound=type[Layer])


def register(name: str) -> Callable[[L], L]:
    """A class decorator that gives a layer its name in the language."""

    def add(cls: L) -> L:
        if name in LAYERS:
            raise ValueError(f"two layers are called {name}")
        cls.kind = name
        LAYERS[name] = cls
        return cls

    return add


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a layer's signature. `default` is `MISSING` where an argument is required."""

    name: str
    kind: Kind
    default: Any

    @property
    def required(self) -> bool:
        """Whether the argument is required."""
        return self.default is MISSING


@cache
def signature(cls: type) -> tuple[Field, ...]:
    """The parameters of a layer (or of any dataclass annotated with kinds), in order, read from its fields."""
    kinds: list[Any] = [f.type for f in fields(cls)]
    return tuple(Field(f.name, kind.__metadata__[0], f.default) for f, kind in zip(fields(cls), kinds, strict=True))


# ------------------------------------------------------------------------------------------------ helpers of layers


def need_rank(layer: Layer, x: TensorType, least: int, most: int | None = None, what: str = "") -> None:
    """Refuse an input with fewer than `least` or more than `most` dimensions (the batch not counted)."""
    if x.rank < least or (most is not None and x.rank > most):
        wanted = f"{least}" if least == most else f"{least} to {most}" if most is not None else f"at least {least}"
        noun = "dimension" if least == 1 and most in (1, None) else "dimensions"
        raise LayerError(
            "E0401",
            f"`{layer.kind}` expected {wanted} {noun}{what and f' ({what})'}, got {x.rank}",
            help="is there a `flatten` too early?" if x.rank == 1 else None,
        )


def need_float(layer: Layer, x: TensorType, *, bfloat16: bool = True) -> None:
    """Refuse an input that is not floating-point, and bfloat16 where ONNX cannot express the layer for it."""
    if x.dtype.is_float and (bfloat16 or x.dtype is not DType.BFLOAT16):
        return
    kinds = "float32, float16, bfloat16 or float64" if bfloat16 else "float32, float16 or float64"
    raise LayerError(
        "E0409",
        f"`{layer.kind}` expected {kinds}, got {x.dtype.value}",
        help="use float16" if x.dtype.is_float else "give the `input` the element type float32",
    )


def need_divisible(dim: Dim, divisor: int, argument: str) -> Dim:
    """The channels `dim` divided by `divisor`, the value of `argument`, if it divides them for all sizes."""
    quotient = exact_quotient(dim, divisor)
    if quotient is not None:
        return quotient
    raise LayerError(
        "E0405",
        f"the channels must be divisible by `{argument}`, and {dim} by {divisor} is not",
        argument=argument,
        help=divisibility(dim, divisor),
    )


def divisibility(dim: Dim, divisor: int) -> str:
    """The remedy for a size that is not divisible: other divisors, or a `where` that promises it."""
    if not isinstance(dim, int):
        constraint = equality_constraint(dim % divisor, 0)
        return f"add `where {constraint}` to the `input`" if constraint else "fix the size in the `input`"
    small = [d for d in range(1, isqrt(dim) + 1) if dim % d == 0]
    divisors = sorted({*small, *(dim // d for d in small)})
    nearest = sorted(sorted(divisors, key=lambda d: abs(d - divisor))[:12])
    return f"{dim} is divisible by {', '.join(map(str, nearest))}{'' if nearest == divisors else ', ...'}"


def need_int(dim: Dim, what: str) -> int:
    """Return a size that weights depend on; refuse a symbolic one."""
    if isinstance(dim, int):
        return dim
    raise LayerError("E0412", f"{what} must be known, and `{dim}` is not", help="fix the size in the `input`")


def per_dimension(value: int | tuple[int, ...], rank: int, argument: str) -> tuple[int, ...]:
    """Expand a number, or a list of numbers, to one for each of `rank` spatial dimensions."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise LayerError(
            "E0401",
            f"`{argument}` has {len(value)} numbers, and the input has {spatial(rank)}",
            argument=argument,
            help="give one number" + (f", or {rank}" if rank > 1 else ""),
        )
    return value


def single(numbers: Iterable[int]) -> int | tuple[int, ...]:
    """Collapse numbers for each dimension to a single one where they are equal."""
    given = tuple(numbers)
    return given[0] if len({*given}) == 1 else given


def spatial(rank: int) -> str:
    """A number of spatial dimensions in words."""
    return "1 spatial dimension" if rank == 1 else f"{rank} spatial dimensions"


def normalized_axis(axis: int, rank: int, argument: str = "axis") -> int:
    """An axis counted from the front; a negative one counts from the end, as in numpy."""
    if not -rank <= axis < rank:
        raise LayerError(
            "E0411",
            f"axis {axis} is outside an input of {rank} dimensions (the batch is not counted)",
            argument=argument,
            help=f"axes go from 0 to {rank - 1}, or from -{rank} to -1",
        )
    return axis % rank


def weight_and_bias(
    shape: tuple[int, ...], out: int, fans: tuple[int, int], dtype: DType, *, bias: bool
) -> dict[str, ParamSpec]:
    """A weight of `shape` and, if `bias`, one of `out` elements; `fans` are the fan-in and the fan-out."""
    specs = {"weight": ParamSpec(shape, Init("weight", *fans), dtype=dtype)}
    if bias:
        specs["bias"] = ParamSpec((out,), Init("bias", *fans), dtype=dtype)
    return specs
