"""One layer against ONNX's checker, ONNX's shape inference, onnxruntime, and a reference in torch."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from graphs import one_layer
from onnx import numpy_helper
from trained import trained

from netdsl.backends.onnx.lower import lower, onnx_dtype
from netdsl.backends.torch import lower as torch_backend
from netdsl.ir.dim import evaluate
from netdsl.ir.types import DType, TensorType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netdsl.ir.graph import Node
    from netdsl.ir.params import ParamSpec
    from netdsl.layers.base import Layer


class Difference(NamedTuple):
    """How far two tensors are apart at most, and that as a share of the largest number in the second."""

    absolute: float
    relative: float


class Record(NamedTuple):
    """What one call of `conform` found."""

    layer: Layer
    dtype: str
    onnx: Difference
    """Of onnxruntime's result from the module's."""
    torch: Difference
    """Of the module's result from the reference's."""


RECORDS: list[Record] = []
"""Of all calls of `conform` in this process."""


def conform(  # noqa: PLR0913 - a table of cases gives each of them by name
    layer: Layer,
    *inputs: np.ndarray,
    reference: Callable[..., torch.Tensor],
    types: Sequence[TensorType] | None = None,
    sizes: Mapping[str, int] | None = None,
    params: Mapping[str, np.ndarray] | None = None,
    module: torch.nn.Module | None = None,
    opset: int | None = None,
    batches: Sequence[int] | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    torch_tolerance: float = 1e-6,
) -> onnx.ModelProto:
    """Hold a layer to what it says of itself and to PyTorch.

    Args:
        layer: the layer.
        inputs: its inputs, batch included.
        reference: called with the inputs as tensors and the parameters as keywords (`weight=`, `bias=`).
        types: the types the graph is built for, if they are not simply those of `inputs`: with symbolic sizes.
        sizes: the values that symbolic sizes have in `inputs`.
        params: values of parameters by role; all others are `trained`.
        module: a torch module that must have the same names, shapes and trainability of parameters and buffers.
        opset: the opset to write; None is the lowest with the layer's best form.
        batches: the batch sizes to try; None is 1 and that of `inputs`.
        rtol: relative tolerance of onnxruntime's result against that of `reference`.
        atol: absolute tolerance of the same.
        torch_tolerance: relative and absolute tolerance of the PyTorch module's result against that of `reference`.
            Where both call the same function, they agree to the bit, but for libraries that sum in an order of theirs.

    Returns:
        The model with its initializers, for further claims such as which operators it has.
    """
    if types is None:
        types = [TensorType(array.shape[1:], DType(str(array.dtype))) for array in inputs]
    graph = one_layer(layer, *types)
    node = graph.nodes[-1]
    if module is not None:
        _same_state(layer.params(*types), module)

    values = {role: trained(param) for role, param in node.params.items()} | dict(params or {})
    lowered = lower(graph, opset=opset)
    by_name = {param.name: values[role] for role, param in node.params.items()}
    model = lowered.proto
    model.graph.initializer.extend(numpy_helper.from_array(by_name[p.name], p.name) for p in lowered.params)
    onnx.checker.check_model(model, full_check=True)
    _onnx_infers(model, node.type)

    shape = tuple(evaluate(dim, sizes or {}) for dim in node.type.shape)
    session = _session(model)
    learned = torch_backend.lower(graph, lambda param: by_name[param.name])
    _has_params(learned, node)
    _gradients_flow(learned, inputs, node)
    learned.eval()
    on_onnx, on_torch = [], []
    for batch in batches or sorted({1, inputs[0].shape[0]}):
        arrays = [array[:batch] for array in inputs]
        (got,) = session.run(None, {f"x{i}": array for i, array in enumerate(arrays)})
        with torch.no_grad():
            tensors = {role: torch.tensor(value) for role, value in values.items()}
            want = reference(*(torch.tensor(array) for array in arrays), **tensors).numpy()
            ours = learned(*(torch.tensor(array) for array in arrays)).numpy()
        assert ours.shape == (batch, *shape), f"inferred {shape}, the module gives {ours.shape[1:]} for {layer}"
        assert ours.dtype == want.dtype
        np.testing.assert_allclose(ours, want, rtol=torch_tolerance, atol=torch_tolerance, err_msg=str(layer))
        assert want.shape == (batch, *shape), f"inferred {shape}, torch gives {want.shape[1:]} for {layer}"
        assert got.shape == (batch, *shape), f"inferred {shape}, onnxruntime gives {got.shape[1:]} for {layer}"
        assert str(got.dtype) == node.type.dtype.value
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=str(layer))
        on_onnx.append(_difference(got, ours))
        on_torch.append(_difference(ours, want))
    RECORDS.append(Record(layer, node.type.dtype.value, max(on_onnx), max(on_torch)))
    return model


def _difference(found: np.ndarray, wanted: np.ndarray) -> Difference:
    finite = np.isfinite(wanted)
    theirs = wanted[finite].astype("float64")
    apart = np.abs(found[finite] - theirs).max(initial=0)
    return Difference(float(apart), float(apart / (np.abs(theirs).max(initial=0) or 1)))


def operators(model: onnx.ModelProto) -> list[str]:
    """The operators of a model in order, without the Identity that names the output of a layer that adds no node."""
    return [node.op_type for node in model.graph.node if node.name != "y/Identity"]


def _same_state(specs: Mapping[str, ParamSpec], module: torch.nn.Module) -> None:
    trainable = dict(module.named_parameters())
    ours: dict[str, Any] = {role: (spec.shape, spec.trainable) for role, spec in specs.items()}
    theirs = {name: (tuple(value.shape), name in trainable) for name, value in module.state_dict().items()}
    assert list(ours.items()) == list(theirs.items())


def _has_params(module: torch.nn.Module, node: Node) -> None:
    """A module has the parameters of a node and no more, but for what PyTorch's batch norm counts for itself."""
    state = {name: value for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert list(state) == [param.name for param in node.params.values()]
    trainable = dict(module.named_parameters())
    for param in node.params.values():
        assert tuple(state[param.name].shape) == param.spec.shape
        assert str(state[param.name].dtype) == f"torch.{param.spec.dtype.value}"
        assert (param.name in trainable) == param.spec.trainable


def _gradients_flow(module: torch.nn.Module, inputs: Sequence[np.ndarray], node: Node) -> None:
    """In training mode every parameter gets a gradient, which is finite and not 0 everywhere."""
    if not any(param.spec.trainable for param in node.params.values()):
        return
    learner = deepcopy(module).train()  # running statistics move
    result = learner(*(torch.tensor(array) for array in inputs))
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(0)).to(result.dtype)
    (result * weights).sum().backward()
    for name, param in learner.named_parameters():
        assert param.grad is not None, f"no gradient reaches {name} of {node.layer}"
        assert param.grad.isfinite().all()
        assert param.grad.abs().max() > 0, f"the gradient of {name} of {node.layer} is 0"


def _onnx_infers(model: onnx.ModelProto, expected: TensorType) -> None:
    """ONNX's own shape inference, not told what we declare, must not contradict the inferred type."""
    blank = onnx.ModelProto()
    blank.CopyFrom(model)
    del blank.graph.value_info[:]
    blank.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(blank, check_type=True, strict_mode=True, data_prop=True)
    tensor = inferred.graph.output[0].type.tensor_type
    assert tensor.elem_type == onnx_dtype(expected.dtype)
    if not tensor.HasField("shape"):
        return
    dims = tensor.shape.dim
    assert len(dims) == expected.rank + 1, f"ONNX infers {len(dims) - 1} dimensions, we infer {expected}"
    for ours, theirs in zip(expected.shape, dims[1:], strict=True):
        if theirs.HasField("dim_value") and isinstance(ours, int):
            assert theirs.dim_value == ours, f"ONNX infers {[d.dim_value for d in dims]}, we infer {expected}"


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
