"""The layers of an ONNX model, and the weights of the first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx.numpy_helper import to_array

from netdsl.base.diagnostics import fail
from netdsl.base.files import reading
from netdsl.runtime.model_files import read_model

if TYPE_CHECKING:
    import onnx

    from netdsl.runtime import Session
    from netdsl.runtime.feeds import Array

_CONSTANT = re.compile(r"/const(_\d+)?$")
"""The names of the initializers that netdsl writes and that are not parameters."""


@dataclass(frozen=True)
class ShownLayer:
    """A layer of a model that netdsl wrote, or a node of another one.

    Attributes:
        name: its path.
        kind: the name of the layer in the language, or of the node's operator in ONNX.
        value: the name of its result.
        weights: the number of values in its tensors, with running statistics; shared tensors count where they are used
            first.
    """

    name: str
    kind: str
    value: str
    weights: int


def read_graph(session: Session) -> onnx.GraphProto:
    """Return the graph of a model that onnxruntime has loaded, without weights in a second file."""
    return read_model(session.path).graph


def layers_of(graph: onnx.GraphProto) -> tuple[ShownLayer, ...]:
    """Return the layers in the order of computation; all nodes of one netdsl layer count as one."""
    sizes = {tensor.name: prod(tensor.dims) for tensor in graph.initializer if not _CONSTANT.search(tensor.name)}
    known = {spot for node in graph.node if (spot := _path(node))}
    layers: dict[str, ShownLayer] = {}
    for node in graph.node:
        path = _path(node)
        if (known and not path) or node.op_type == "Constant" or not any(node.output[:1]):
            continue
        weights = sum(sizes.pop(name, 0) for name in node.input)
        key = path or node.output[0]
        if key in layers:
            weights += layers[key].weights
        steps = [step.partition(":")[0] for step in path.split("/")]
        name = ".".join(steps) if path else node.name or node.output[0]
        kind = path.rpartition(":")[2] if path else node.op_type
        layers[key] = ShownLayer(name, kind, node.output[0], weights)
    return tuple(layers.values())


def _path(node: onnx.NodeProto) -> str:
    """Return a node's path in the net, `layer1:stage/0:bottleneck/conv1:conv`; empty in other programs' models."""
    return next((entry.value for entry in node.metadata_props if entry.key == "netdsl.path"), "")


def first_filters(session: Session) -> tuple[str, Array]:
    """Return the weights with which a model's first layer sees an image.

    Returns:
        The name of the tensor, and its values, filters x channels x height x width. The weights of a dense layer that
        reads all pixels are reshaped to the shape of the image.

    Raises:
        NetdslError: the first layer with weights is neither a convolution of images nor a dense layer on a whole image
            (E0917).
    """
    graph = read_graph(session)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
            continue
        if node.input[1] not in tensors:
            break
        proto = tensors[node.input[1]]
        with reading(session.path, "E0905", "a model with whole weights", "write or download it again"):
            values: Array = to_array(proto, str(Path(session.path).parent))
        if node.op_type == "Conv":
            if values.ndim != 4:
                break
            return proto.name, values
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        rows = values if transposed else values.T
        image: Any = session.inputs[0].shape[1:]
        if rows.ndim == 2 and len(image) == 3 and rows.shape[1:] == (prod(s for s in image if isinstance(s, int)),):
            return proto.name, rows.reshape(len(rows), *image)
        break
    raise fail("E0917", f"the first layer of `{session.path}` has no filters of an image",
               help="a first `conv` has filters, or a first `dense` that reads all pixels")  # fmt: skip
