"""Lowering a graph to an ONNX model, directly: one pass over the nodes, no tracing.

Every value is named by its node's path, or by the output's name if it is an output. Intermediate values of a layer are
named `path/Op`, `path/Op_1`, ..., and values that several nodes share `/Op`. Initializers have the parameters' names.
The model proto holds no weights: they are written separately (`netdsl.backends.onnx.file`), so that writing a net of
any size needs memory for only one tensor.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx.helper import find_min_ir_version_for, make_opsetid

from netdsl.analysis.counts import count_macs
from netdsl.backends.onnx.proto import onnx_dtype, set_attributes, set_value_info, tensor
from netdsl.backends.onnx.sizes import Sizes
from netdsl.base.diagnostics import fail, visible
from netdsl.base.version import __version__
from netdsl.ir.deciding import described
from netdsl.ir.graph import needed
from netdsl.ir.names import need_names
from netdsl.ir.tokens import held
from netdsl.ir.types import DType
from netdsl.layers.base import LayerError

if TYPE_CHECKING:
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph, Node, Scope
    from netdsl.ir.params import Param

__all__ = ["BATCH", "OPSETS", "LoweredModel", "lower", "onnx_dtype"]

OPSETS = range(13, 22)
"""The opsets that netdsl writes; the last is the newest that onnxruntime 1.18 knows."""
BATCH = "N"
"""The name of the symbolic batch dimension."""


@dataclass
class LoweredModel:
    """A model proto without the initializers for parameters.

    Attributes:
        proto: the model.
        params: the parameters whose initializers are missing, in file order.
        values: the name of each node's result, by the node's path.
    """

    proto: onnx.ModelProto
    params: list[Param]
    values: dict[str, str]


def lower(graph: Graph, *, opset: int | None = None, training: bool = False, batch: int | None = None) -> LoweredModel:
    """Lower what the outputs of a graph depend on to ONNX.

    Args:
        graph: the graph, optimized before if it should be.
        opset: the opset to write; None takes the lowest in which every layer has its best form.
        training: keep dropout and batch norm in training mode and include the aux outputs.
        batch: a fixed batch size; None leaves it symbolic (`N`).

    Raises:
        NetdslError: the opset is out of range (E0908), a layer has no form in it (E0909), or a graph built in Python
            has an invalid name (E0112).
    """
    need_names(graph)
    nodes = needed(graph, training=training)
    chosen = opset if opset is not None else max([OPSETS.start, *(node.layer.opset for node in nodes)])
    if chosen not in OPSETS:
        raise fail(
            "E0908",
            f"expected an opset from {OPSETS.start} to {OPSETS[-1]}, got {chosen}",
            help=f"take one from {OPSETS.start} to {OPSETS[-1]}",
        )
    builder = _Builder(graph, chosen, training=training, batch=batch)
    for node in nodes:
        builder.add(node)
    return builder.finish()


class _Builder:
    """Builds the model."""

    def __init__(self, graph: Graph, opset: int, *, training: bool, batch: int | None) -> None:
        self.graph, self.opset, self.training, self.fixed_batch = graph, opset, training, batch
        self.model = onnx.ModelProto()
        self.proto = self.model.graph
        self.outputs = {**graph.outputs, **(graph.aux if training else {})}
        self.values = {node: node.name for node in graph.inputs}
        self.params: dict[str, Param] = {}
        self.updates: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        self.sizes = Sizes(graph.inputs, self._shared_op, self.constant)
        self._reserved = {*self.outputs, *graph.params}
        self._paths: dict[Scope, str] = {}

    def add(self, node: Node) -> None:
        """Lower one node."""
        if node in self.values:
            return
        lowering = _NodeLowering(self, node)
        try:
            result = node.layer.to_onnx(lowering, *(self.values[i] for i in node.inputs))
        except LayerError as error:
            raise fail(error.code, error.message, node.span, help=error.help) from error
        self.values[node] = lowering.named(result)

    def finish(self) -> LoweredModel:
        """Name the outputs, set the types of all values and the metadata; return the model."""
        self._name_outputs()
        for node in self.graph.inputs:
            self._set_info(self.proto.input.add(), node.name, node)
        for name, node in self.outputs.items():
            self._set_info(self.proto.output.add(), name, node)
        for name, value in self.updates.items():
            self.op(f"{name}/next", "Identity", (value,), {})
            spec = self.params[name].spec
            set_value_info(self.proto.output.add(), f"{name}/next", spec.dtype, spec.shape)
        inside = {value: node for node, value in self.values.items()}
        for name in (*self.outputs, *(node.name for node in self.graph.inputs), *self.params):
            inside.pop(name, None)
        for name, node in inside.items():
            self._set_info(self.proto.value_info.add(), name, node)

        self.proto.name = self.graph.name
        opset = make_opsetid("", self.opset)
        # Runtimes refuse an IR version newer than they know. Older readers ignore metadata on nodes, new in version 10.
        self.model.ir_version = find_min_ir_version_for([opset])
        self.model.producer_name, self.model.producer_version = "netdsl", __version__
        self.model.opset_import.append(opset)
        for key, value in self._metadata().items():
            self.model.metadata_props.add(key=key, value=value)
        values = {node.name: value for node, value in self.values.items()}
        return LoweredModel(self.model, list(self.params.values()), values)

    def op(self, name: str, op_type: str, inputs: tuple[str | None, ...], attributes: dict[str, Any]) -> onnx.NodeProto:
        """Add a node with one output of the same name."""
        given = [i or "" for i in inputs]
        while given and not given[-1]:  # onnxruntime's fusions count an empty name at the end as an input
            given.pop()
        proto: onnx.NodeProto = self.proto.node.add(op_type=op_type, name=name, input=given, output=[name])
        set_attributes(proto, attributes)
        return proto

    def constant(self, values: Any, dtype: DType = DType.INT64, owner: str = "") -> str:
        """Add an initializer."""
        name = self.fresh(f"{owner}/const")
        self.proto.initializer.append(tensor(name, np.asarray(values), dtype))
        return name

    def fresh(self, name: str) -> str:
        """Return `name`, or `name_1`, `name_2`, ... if it is taken."""
        count = self.taken[name]
        self.taken[name] += 1
        return f"{name}_{count}" if count else name

    def value_name(self, node: Node) -> str:
        """Return the name of a node's result: its path, unless a parameter or an output has that name."""
        return f"{node.name}/value" if node.name in self._reserved else node.name

    def path(self, node: Node) -> str:
        """Return a node's path with the kinds of blocks and layer: `layer1:stage/0:bottleneck/conv1:conv`."""
        scope = node.scope
        if scope not in self._paths:
            steps = [s.name + (f":{s.block}" if s.block else "") for s in scope.chain() if s.name]
            self._paths[scope] = "".join(f"{step}/" for step in steps)
        step = node.name.removeprefix(f"{scope.path}.")
        return f"{self._paths[scope]}{step}:{node.layer.kind}"

    def _shared_op(self, op_type: str, *inputs: str) -> str:
        return self.op(self.fresh(f"/{op_type}"), op_type, inputs, {}).name

    def _name_outputs(self) -> None:
        """Rename the values that are outputs; copy those that cannot be renamed, or are several outputs."""
        computed = {proto.output[0] for proto in self.proto.node}
        renamed: dict[str, str] = {}
        copied: dict[str, str] = {}
        for name, node in self.outputs.items():
            value = self.values[node]
            if value in computed and value not in renamed:
                renamed[value] = name
            elif value != name:
                copied[name] = value
        for proto in self.proto.node:
            for names in (proto.input, proto.output):
                for i, value in enumerate(names):
                    if value in renamed:
                        names[i] = renamed[value]
        self.values = {node: renamed.get(value, value) for node, value in self.values.items()}
        for name, value in copied.items():
            self.op(name, "Identity", (renamed.get(value, value),), {}).name = f"{name}/Identity"

    def _set_info(self, info: onnx.ValueInfoProto, name: str, node: Node) -> None:
        sizes = (dim if isinstance(dim, int) else str(dim) for dim in node.type.shape)
        set_value_info(info, name, node.type.dtype, (self.fixed_batch or BATCH, *sizes))

    def _metadata(self) -> dict[str, str]:
        data = {"net": self.graph.name, "version": __version__, "macs": str(count_macs(self.graph))}
        folded = tuple(param.name for param in self.params.values() if param.derived is not None)
        meaning = replace(described(self.graph), folded=folded)
        entries = {f"netdsl.{key}": value for key, value in data.items()} | meaning.as_metadata()
        if self.graph.constraints:
            entries["netdsl.constraints"] = json.dumps([constraint.text for constraint in self.graph.constraints])
        return entries


class _NodeLowering:
    """`netdsl.layers.base.Lowering` for one node."""

    def __init__(self, builder: _Builder, node: Node) -> None:
        self.builder, self.node = builder, node
        self.opset, self.training = builder.opset, builder.training
        self.inputs, self.output = node.input_types, node.type
        self._path, self._place = builder.path(node), _place(node)
        self._last: onnx.NodeProto | None = None

    @property
    def held(self) -> bool:
        return held(self.node)

    def op(self, op_type: str, *inputs: str | None, **attributes: Any) -> str:
        return self.ops(1, op_type, *inputs, **attributes)[0]

    def ops(self, count: int, op_type: str, *inputs: str | None, **attributes: Any) -> tuple[str, ...]:
        name = self.builder.fresh(f"{self.node.name}/{op_type}")
        proto = self.builder.op(name, op_type, inputs, attributes)
        proto.output.extend(f"{name}/{i}" for i in range(1, count))
        proto.metadata_props.add(key="netdsl.path", value=self._path)
        if self._place:
            proto.metadata_props.add(key="netdsl.source", value=self._place)
        self._last = proto
        return tuple(proto.output)

    def param(self, role: str) -> str:
        param = self.node.params[role]
        self.builder.params[param.name] = param
        return self.builder.updates.get(param.name, param.name)

    def update(self, role: str, value: str) -> None:
        self.builder.updates[self.node.params[role].name] = value

    def const(self, value: Any, dtype: str | None = None) -> str:
        array = np.asarray(value)
        if dtype is None:
            dtype = "int64" if np.issubdtype(array.dtype, np.integer) else self.output.dtype.value
        return self.builder.constant(array, DType(dtype), self.node.name)

    def batch(self) -> str:
        fixed = self.builder.fixed_batch
        return self.builder.sizes.batch() if fixed is None else self.const([fixed])

    def sizes(self, shape: tuple[Dim, ...]) -> str:
        pieces: list[str] = []
        known: list[int] = []
        for dim in (self.builder.fixed_batch, *shape):
            if isinstance(dim, int):
                known.append(dim)
                continue
            if known:
                pieces.append(self.const(known))
                known = []
            pieces.append(self.batch() if dim is None else self.builder.sizes.size(dim))
        if known:
            pieces.append(self.const(known))
        return pieces[0] if len(pieces) == 1 else self.op("Concat", *pieces, axis=0)

    def named(self, result: str) -> str:
        """Give the node that computes `result` the layer's path, if it is the last one."""
        if self._last is None or self._last.name != result:
            return result
        self._last.name = self.node.name
        self._last.output[0] = value = self.builder.value_name(self.node)
        return value


def _place(node: Node) -> str | None:
    """Return the file's name and the line; no directory, so that models do not depend on where they were made."""
    if node.span is None:
        return None
    line, _ = node.span.source.position(node.span.start)
    name = node.span.source.name.replace("\\", "/").rpartition("/")[2]
    return f"{visible(name)}:{line}"  # a file name may be invalid Unicode, which a model cannot hold
