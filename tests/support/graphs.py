"""Graphs drawn by hand, and what onnxruntime computes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from trained import trained

from netdsl.backends.onnx.file import assemble
from netdsl.backends.onnx.lower import lower
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.ir.params import Param
from netdsl.ir.types import DType
from netdsl.layers.ends import InputLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from netdsl.ir.types import TensorType
    from netdsl.layers.base import Layer


class Sketch:
    """A graph in the making, with an input."""

    def __init__(
        self, *shape: object, name: str = "sketch", input_name: str = "x", dtype: DType = DType.FLOAT32
    ) -> None:
        self.name, self.root = name, Scope("")
        self.x = Node(input_name, InputLayer(shape, dtype), (), self.root)
        self.nodes = [self.x]

    def add(self, path: str, layer: Layer, *inputs: Node, scope: Scope | None = None, **options: object) -> Node:
        """A node that reads `inputs`, or the one before; its parameters are called by its path unless given."""
        before = () if layer.arity == (0, 0) else (self.nodes[-1],)
        node = Node(path, layer, inputs or before, scope or self.root, **options)
        if not node.params:
            specs = layer.params(*node.input_types)
            node.params = {role: Param(f"{path}.{role}".removesuffix("."), spec) for role, spec in specs.items()}
        self.nodes.append(node)
        return node

    def graph(self, aux: Mapping[str, Node] | None = None, **outputs: Node) -> Graph:
        """The graph; its output is `y`, the last node, unless others are given."""
        return Graph(self.name, tuple(self.nodes), outputs or {"y": self.nodes[-1]}, aux or {})


def chain(shape: tuple[object, ...], *layers: Layer) -> Graph:
    """The net `x -> layers -> y`; the layers are called l0, l1, ..."""
    sketch = Sketch(*shape)
    for i, layer in enumerate(layers):
        sketch.add(f"l{i}", layer)
    return sketch.graph()


def one_layer(layer: Layer, *types: TensorType) -> Graph:
    """The net `x0, x1, ... -> layer -> y`; the layer's path is `it`, its parameters are `it.weight` and so on.

    A layer that reads nothing stands beside the inputs.
    """
    first, *others = types
    sketch = Sketch(*first.shape, name="test", input_name="x0", dtype=first.dtype)
    more = [sketch.add(f"x{i}", InputLayer(type_.shape, type_.dtype)) for i, type_ in enumerate(others, 1)]
    sketch.add("it", layer, *((sketch.x, *more) if layer.arity != (0, 0) else ()))
    return sketch.graph()


def run(graph: Graph, *arrays: np.ndarray, **options: object) -> list[np.ndarray]:
    """What onnxruntime computes with trained weights."""
    return run_model(assemble(lower(graph, **options), trained), *arrays)


def run_model(model: onnx.ModelProto, *arrays: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime computes, without any optimization of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([port.name for port in session.get_inputs()], arrays, strict=True)))


def sample(*shape: int) -> np.ndarray:
    """A batch, drawn with a fixed seed."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
