"""From a graph to an ONNX model, directly: one pass over the nodes, no tracing.

Every value is called by its node's path; what a layer needs on the way is called `path/Op`, `path/Op_1`, ...
Initializers carry the names of the parameters. The model proto holds no weights: they are written past it
(`netdsl.backends.onnx_file`), so that a net of any size costs one copy of its largest tensor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netdsl.diagnostics import fail
from netdsl.ir.dim import Symbolic

if TYPE_CHECKING:
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph, Node, Param
    from netdsl.ir.types import DType, TensorType

IR_VERSION = 10
"""The oldest that has metadata on nodes; onnxruntime 1.18 and later load it."""
OPSETS = range(13, 22)
"""The opsets that can be asked for; onnxruntime 1.18 knows the last."""
BATCH = "N"
"""Name of the symbolic batch dimension."""


@dataclass
class LoweredModel:
    """A model proto whose initializers for parameters are missing, and those parameters in file order."""

    proto: onnx.ModelProto
    params: list[Param]


def lower(graph: Graph, *, opset: int | None = None, training: bool = False, batch: int | None = None) -> LoweredModel:
    """Lower a graph to ONNX.

    Args:
        graph: the graph, already optimized as wished.
        opset: the opset to write; None takes the lowest in which every layer has its best form.
        training: keep dropout and batch norm in training mode and give the aux outputs.
        batch: a fixed batch size; None leaves it symbolic (`N`).

    Raises:
        NetdslError: the opset is out of range (E0908) or a layer has no form in it (E0909).
    """
    chosen = opset if opset is not None else max([OPSETS.start, *(node.layer.opset for node in graph.nodes)])
    if chosen not in OPSETS:
        raise fail("E0908", f"opset {chosen} is not one that netdsl writes",
                   help=f"take one from {OPSETS.start} to {OPSETS[-1]}")
    builder = _Builder(graph, chosen, training, batch)
    for node in graph.nodes:
        builder.add(node)
    return builder.finish()


def onnx_dtype(dtype: DType) -> int:
    """The TensorProto element type."""
    return int(getattr(TensorProto, {"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype.value, dtype.value.upper())))


@dataclass
class _Builder:
    """The model while it grows."""

    graph: Graph
    opset: int
    training: bool
    fixed_batch: int | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    names: dict[Node, str] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    batch_name: str | None = None

    def add(self, node: Node) -> None:
        """Lower one node."""
        if node.layer.kind == "input":
            self.names[node] = node.name
            return
        lowering = _NodeLowering(self, node)
        result = node.layer.to_onnx(lowering, *(self.names[i] for i in node.inputs))
        self.names[node] = lowering.named(result)

    def finish(self) -> LoweredModel:
        """The model: outputs under their names, constants as initializers."""
        outputs = []
        wanted = {**self.graph.outputs, **(self.graph.aux if self.training else {})}
        for name, node in wanted.items():
            self._name_output(name, node)
            outputs.append(self.value_info(name, node.type))
        inputs = [self.value_info(node.name, node.type) for node in self.graph.inputs]
        graph = helper.make_graph(self.nodes, self.graph.name, inputs, outputs, initializer=self.constants)
        proto = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", self.opset)])
        return LoweredModel(proto, list(self.params.values()))

    def _name_output(self, name: str, node: Node) -> None:
        self.nodes.append(helper.make_node("Identity", [self.names[node]], [name], name=f"{name}/Identity"))

    def value_info(self, name: str, type_: TensorType) -> onnx.ValueInfoProto:
        """The type of a value, batch included."""
        shape: list[int | str] = [self.fixed_batch or BATCH, *(d if isinstance(d, int) else str(d) for d in type_.shape)]
        return helper.make_tensor_value_info(name, onnx_dtype(type_.dtype), shape)


class _NodeLowering:
    """`netdsl.layer.Lowering` for one node."""

    def __init__(self, builder: _Builder, node: Node) -> None:
        self.builder, self.node = builder, node
        self.opset, self.training = builder.opset, builder.training
        self.inputs, self.output = node.input_types, node.type
        self._taken: dict[str, int] = {}
        self._first = len(builder.nodes)

    def _fresh(self, what: str) -> str:
        count = self._taken.get(what, 0)
        self._taken[what] = count + 1
        return f"{self.node.name}/{what}" + (f"_{count}" if count else "")

    def op(self, op_type: str, *inputs: str | None, **attributes: Any) -> str:
        name = self._fresh(op_type)
        given = {key: value for key, value in attributes.items() if value is not None}
        self.builder.nodes.append(helper.make_node(op_type, [i or "" for i in inputs], [name], name=name, **given))
        return name

    def param(self, role: str) -> str:
        param = self.node.params[role]
        self.builder.params[param.name] = param
        return param.name

    def const(self, value: Any, dtype: str | None = None) -> str:
        array = np.asarray(value)
        if dtype is None:
            dtype = "int64" if np.issubdtype(array.dtype, np.integer) else self.output.dtype.value
        name = self._fresh("const")
        self.builder.constants.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def batch(self) -> str:
        """The number of samples, read off the first input of the net."""
        builder = self.builder
        if builder.fixed_batch is not None:
            return self.const([builder.fixed_batch])
        if builder.batch_name is None:
            source = builder.graph.inputs[0]
            shape = self.op("Shape", builder.names[source])
            builder.batch_name = self.op("Slice", shape, self.const([0]), self.const([1]))
        return builder.batch_name

    def sizes(self, shape: tuple[Dim, ...]) -> str:
        if any(isinstance(dim, Symbolic) for dim in shape):
            raise NotImplementedError  # computed at run time: to be written with symbolic sizes
        if self.builder.fixed_batch is not None:
            return self.const([self.builder.fixed_batch, *shape])
        return self.op("Concat", self.batch(), self.const(list(shape)), axis=0) if shape else self.batch()

    def named(self, result: str) -> str:
        """Give the node that made `result` the layer's path, unless the layer returned one of its inputs."""
        own = self.builder.nodes[self._first :]
        if not own or own[-1].output[0] != result:
            return result
        own[-1].name = own[-1].output[0] = self.node.name
        return self.node.name
