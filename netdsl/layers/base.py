"""What a layer is: a frozen dataclass whose fields are its signature, and a few short methods.

A layer knows the graph's types and, inside `to_onnx` and `to_torch`, the vocabularies of ONNX and of PyTorch; it knows
nothing of sources, spans or names. An error it raises names the argument at fault, and the elaborator finds the place.
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
"""Every layer of the language by its name; filled by `register` when `netdsl.layers` is imported."""


class LayerError(Exception):
    """What a layer cannot do with its arguments or inputs.

    Attributes:
        code: a code of `netdsl.reference.codes.CODES`.
        message: the invariant and the values received.
        argument: the field at fault, or None where the input is.
        help: the remedy.
        append: a remedy for one input of several: its number from 0, and the layers to put at the end of its branch.
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
    """One node's way into ONNX, handed to `Layer.to_onnx`.

    Names of values are strings, as in ONNX. Values carry the batch as dimension 0, so that axis `a` of a layer is
    axis `a + 1` of an operator.
    """

    opset: int
    """The opset of the model; a layer falls back on a decomposition where an operator is not in it yet."""
    training: bool
    """Whether the training graph is being written."""
    inputs: tuple[TensorType, ...]
    output: TensorType
    held: bool
    """Whether the node reads nothing but elements of the inputs, whose tokens are held to a bound on the way in."""

    def op(self, op_type: str, *inputs: str | None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name; None is an input left out.

        Attributes that are None are left out. The last node that `to_onnx` adds and returns takes the layer's path.
        """

    def ops(self, count: int, op_type: str, *inputs: str | None, **attributes: Any) -> tuple[str, ...]:
        """Add a node with `count` outputs and return their names."""

    def param(self, role: str) -> str:
        """The initializer that holds a parameter of the node, or what an earlier use of it has updated it to."""

    def update(self, role: str, value: str) -> None:
        """Give out `value` as what a parameter holds after a training step: an output called `name/next`."""

    def const(self, value: Any, dtype: str | None = None) -> str:
        """A constant: a number, a list or an array; `dtype` is a numpy name.

        Without `dtype`, whole numbers are int64 and others take the element type of the node's output.
        """

    def batch(self) -> str:
        """The number of samples, as an int64 tensor of shape [1]."""

    def sizes(self, shape: tuple[Dim, ...]) -> str:
        """`shape` with the batch before it, as an int64 tensor; constant if it can be, else computed at run time."""


class TorchLowering(Protocol):
    """One node's way into PyTorch, handed to `Layer.to_torch`.

    Values are opaque to layers: nodes of a torch.fx graph, or pieces of source text. They carry the batch as dimension
    0, so that axis `a` of a layer is dimension `a + 1` of a tensor. Names of PyTorch are given as text, so that layers
    need not import it.
    """

    inputs: tuple[TensorType, ...]
    output: TensorType

    def module(self, name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """The layer's one submodule, to be called with values; it stands at the layer's path.

        `name` is a class of torch.nn (`nn.Conv2d`) or of `netdsl.backends.torch.modules` (`DropPath`); the arguments
        are those of the class, as plain Python values, and may be given even where they are the class's defaults. Its
        parameters and buffers are called as the layer's roles.
        """

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """The result of `torch.f`, `F.f` (torch.nn.functional) or `operator.f`; arguments may contain values."""

    def method(self, value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """The result of a tensor's method."""

    def param(self, role: str) -> Any:
        """A parameter of a layer that has no submodule."""

    def sizes(self, shape: tuple[Dim, ...]) -> tuple[Any, ...]:
        """`shape` with the batch before it; whole numbers where they are known, else values."""


@dataclass(frozen=True)
class Layer:
    """Base of all layers; see `netdsl.layers` for the families."""

    kind: ClassVar[str]
    """The layer's name in the language."""
    batch_statistics: ClassVar[bool] = False
    """Whether it needs, in training, two values of each channel in a batch at least, whose statistics it takes."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """The least and the largest number of inputs. None is any number: calls of such a layer have a body of branches."""
    training_only: ClassVar[bool] = False
    """Whether it is the identity at inference (dropout)."""
    activation: ClassVar[bool] = False
    """Whether it is an elementwise non-linearity."""
    gives: ClassVar[Gives | None] = None
    """What its result is at the end of a net, where the layer alone decides that (`netdsl.ir.meaning`)."""
    rearranges: ClassVar[bool] = False
    """Whether the elements of its result are elements of its input, at inference."""
    keeps_order: ClassVar[bool] = False
    """Whether it leaves its elements in their order, so that it changes nothing where it leaves the shape."""
    averages: ClassVar[bool] = False
    """Whether its result is the mean of its inputs."""
    standardizes: ClassVar[bool] = False
    """Whether it subtracts `mean` from the input and divides by `std`, both given as arguments."""
    weight_axis: ClassVar[int | None] = None
    """The axis of its weight that counts the channels of the result; None where it does not multiply by one weight."""
    known_as: ClassVar[tuple[str, ...]] = ()
    """What PyTorch, Keras and others call it, for the remedy of an error; digits for dimensions left out."""
    opset: ClassVar[int] = 13
    """The opset in which its best lowering is available; a smaller one may still be possible."""

    @property
    def token_count(self) -> int | None:
        """How many different tokens it has vectors for; None where it takes no tokens."""
        return None

    @classmethod
    def joins(cls) -> bool:
        """Whether it puts any number of branches together, which stand in the body of its call."""
        return cls.arity[1] is None

    def infer(self, *inputs: TensorType) -> TensorType:
        """The type of the result, or `LayerError`. The default keeps the input's type."""
        return inputs[0]

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        """Parameters by role, in the order of PyTorch's `state_dict`."""
        return {}

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        """Sizes that must be large enough for the layer to work; that the result has elements need not be said."""
        return ()

    def inferred(self, *inputs: TensorType) -> tuple[TensorType, Mapping[str, ParamSpec]]:
        """What `infer` and `params` give; computed once for all equal layers, since nets repeat themselves.

        Raises:
            LayerError: the layer cannot take the inputs, or needs more of a size than it can be (E0416).
        """
        return _inferred(self, *inputs)

    def macs(self, output: TensorType, *inputs: TensorType) -> Dim:
        """Multiply-accumulates for one sample. Only layers with weight matrices have any, as in the literature."""
        return 0

    def connections(self, output: TensorType, *inputs: TensorType) -> Dim:
        """Connections in LeCun's sense: what each unit reads, its bias included (LeNet-5's C1 has 122,304)."""
        biases = output.elements if "bias" in self.params(*inputs) else 0
        return self.macs(output, *inputs) + biases

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        """What each position of the result reads along an axis of the inputs, for the receptive field."""
        return EACH

    def places(self, axis: int, *inputs: TensorType) -> int | frozenset[int]:
        """The axis of the result that an axis of the input becomes; the axes among which its positions are dealt out.

        There are none where all of the axis is read at once and nothing of it is left.
        """
        return axis

    def side_by_side(self, *inputs: TensorType) -> int | None:
        """The axis along which a join sets its branches one after the other; None where it meets them by position."""
        return None

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        """Add the layer's ONNX nodes and return the name of the result. One of `inputs` may be returned as it is."""
        raise NotImplementedError

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        """Compute the result with PyTorch's own layer where it has one, as a submodule, else with functions."""
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
    """What a layer needs of sizes to work: its own needs, and a result of at least one element."""
    kept = {*inputs[0].shape} if inputs else {}
    made = (Need(dim, 1, f"axis {axis} of the result") for axis, dim in enumerate(output.shape) if dim not in kept)
    return *layer.needs(*inputs), *made


L = TypeVar("L", bound=type[Layer])


def register(name: str) -> Callable[[L], L]:
    """Class decorator: give the layer its name in the language."""

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
        """Whether an argument must be given."""
        return self.default is MISSING


@cache
def signature(cls: type) -> tuple[Field, ...]:
    """The parameters of a layer (or of any dataclass annotated with kinds), in order, read from its fields."""
    kinds: list[Any] = [f.type for f in fields(cls)]
    return tuple(Field(f.name, kind.__metadata__[0], f.default) for f, kind in zip(fields(cls), kinds, strict=True))


# ------------------------------------------------------------------------------------------------ helpers of families


def need_rank(layer: Layer, x: TensorType, least: int, most: int | None = None, what: str = "") -> None:
    """Refuse an input with fewer than `least` or more than `most` dimensions (the batch not counted)."""
    if x.rank < least or (most is not None and x.rank > most):
        wanted = f"{least}" if least == most else f"{least} to {most}" if most is not None else f"at least {least}"
        noun = "dimension" if least == 1 and most in (1, None) else "dimensions"
        raise LayerError(
            "E0401",
            f"`{layer.kind}` takes {wanted} {noun}{what and f' ({what})'}, not {x.rank}",
            help="is there a `flatten` too early?" if x.rank == 1 else None,
        )


def need_float(layer: Layer, x: TensorType, *, bfloat16: bool = True) -> None:
    """Refuse what is no floating-point number, and bfloat16 where ONNX has no form of the layer for it."""
    if x.dtype.is_float and (bfloat16 or x.dtype is not DType.BFLOAT16):
        return
    kinds = "float32, float16, bfloat16 or float64" if bfloat16 else "float32, float16 or float64"
    raise LayerError(
        "E0409",
        f"`{layer.kind}` takes {kinds}, not {x.dtype.value}",
        help="use float16" if x.dtype.is_float else "give the `input` the element type float32",
    )


def need_divisible(dim: Dim, divisor: int, argument: str) -> Dim:
    """The channels `dim` divided by `divisor`, the value of `argument`, if that leaves no rest for any size."""
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
    """What to do about a size that is not divisible: other divisors, or the promise that it is."""
    if not isinstance(dim, int):
        constraint = equality_constraint(dim % divisor, 0)
        return f"add `where {constraint}` to the `input`" if constraint else "fix the size in the `input`"
    small = [d for d in range(1, isqrt(dim) + 1) if dim % d == 0]
    divisors = sorted({*small, *(dim // d for d in small)})
    nearest = sorted(sorted(divisors, key=lambda d: abs(d - divisor))[:12])
    return f"{dim} is divisible by {', '.join(map(str, nearest))}{'' if nearest == divisors else ', ...'}"


def need_int(dim: Dim, what: str) -> int:
    """A size that weights depend on, and so cannot be symbolic."""
    if isinstance(dim, int):
        return dim
    raise LayerError("E0412", f"{what} must be known, and `{dim}` is not", help="fix the size in the `input`")


def per_dimension(value: int | tuple[int, ...], rank: int, argument: str) -> tuple[int, ...]:
    """One number for each of `rank` spatial dimensions."""
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
    """Numbers for each dimension as people write them: one where they are the same."""
    given = tuple(numbers)
    return given[0] if len({*given}) == 1 else given


def spatial(rank: int) -> str:
    """So many spatial dimensions, in words."""
    return "1 spatial dimension" if rank == 1 else f"{rank} spatial dimensions"


def normalized_axis(axis: int, rank: int, argument: str = "axis") -> int:
    """An axis counted from the front; negative ones count from the end, as in numpy."""
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
    """A weight of `shape` and, if there is a bias, one of `out` elements; `fans` are the fan-in and the fan-out."""
    specs = {"weight": ParamSpec(shape, Init("weight", *fans), dtype=dtype)}
    if bias:
        specs["bias"] = ParamSpec((out,), Init("bias", *fans), dtype=dtype)
    return specs
