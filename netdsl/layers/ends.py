"""The sources of a net's tensors: its inputs, and learned tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from netdsl.ir.params import Init, ParamSpec
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import ArgumentError, Kind, OptionalReal, ShapeArgument, describe
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, need_int, register


def _dtype(value: object) -> DType:
    """Convert the bare word of an element type."""
    if isinstance(value, str) and value in DTYPES:
        return DType(value)
    raise ArgumentError("E0305", f"expected one of {', '.join(f'`{name}`' for name in DTYPES)}, got {describe(value)}")


DTYPES = tuple(dtype.value for dtype in DType)


@register("input")
@dataclass(frozen=True)
class InputLayer(Layer):
    """An input of the net: a batch of tensors of `shape`, which may have symbolic sizes, and element type `dtype`.

    It is a statement (`input image: 3x224x224`), not a layer in a chain. Source: the graph's inputs in ONNX.
    """

    arity = (0, 0)

    shape: ShapeArgument
    dtype: Annotated[DType, Kind("element type", _dtype, DTYPES)] = DType.FLOAT32

    def infer(self, *inputs: TensorType) -> TensorType:
        _need_all_sizes(self)
        return TensorType(self.shape, self.dtype)


@register("param")
@dataclass(frozen=True)
class ParamLayer(Layer):
    """A learned tensor of `shape`, the same for every sample.

    It is a statement (`param cls: 1x768`, `param gate: 96x1x1 = 1e-6`), and is read as `@cls`. Initially it is `value`
    everywhere or, without one, drawn with mean 0 and standard deviation 0.02. Its one parameter has the empty role, so
    that its key in a `state_dict` is the path alone, as for a torch.nn.Parameter. Source: ONNX operator Expand.
    """

    arity = (0, 0)

    shape: ShapeArgument
    value: OptionalReal = None

    def infer(self, *inputs: TensorType) -> TensorType:
        _need_all_sizes(self)
        return TensorType(self._sizes())

    def params(self, *inputs: TensorType) -> Mapping[str, ParamSpec]:
        init = Init("normal", value=0.02) if self.value is None else Init.constant(self.value)
        return {"": ParamSpec(self._sizes(), init)}

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        return o.op("Expand", o.param(""), o.sizes(self.shape))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        return t.method(t.param(""), "expand", *t.sizes(self.shape))

    def _sizes(self) -> tuple[int, ...]:
        return tuple(need_int(dim, "the size of a learned tensor") for dim in self.shape)


def _need_all_sizes(layer: InputLayer | ParamLayer) -> None:
    if -1 in layer.shape:
        raise LayerError(
            "E0306", f"the shape of `{layer.kind}` must be given in full; only `reshape` takes -1", argument="shape"
        )
