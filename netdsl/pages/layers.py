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
"""The names of netdsl's own initializers that are no parameters."""


@dataclass(frozen=True)
class ShownLayer:
    """A layer of a model that netdsl wrote, or a node of another.

    Attributes:
        name: its path.
        kind: what the language calls the layer, or ONNX the node.
        value: the name of its result.
        weights: how many numbers its tensors hold, running statistics included; shared ones count where they are first
            used.
    """

    name: str
    kind: str
    value: str
    weights: int


def read_graph(session: Session) -> onnx.GraphProto:
    """The graph of a model that onnxruntime has loaded, without weights that lie in a second file."""
    return read_model(session.path).graph


def layers_of(graph: onnx.GraphProto) -> tuple[ShownLayer, ...]:
    """The layers in the order they are computed; what netdsl needs on the way inside of one is not told apart."""
    sizes = {tensor.name: prod(tensor.dims) for tensor in graph.initializer if not _CONSTANT.search(tensor.name)}
    known = {spot for node in graph.node if (spot := _path(node))}
    found: dict[str, ShownLayer] = {}
    for node in graph.node:
        path = _path(node)
        if (known and not path) or node.op_type == "Constant" or not any(node.output[:1]):
            continue
        weights = sum(sizes.pop(name, 0) for name in node.input)
        key = path or node.output[0]
        if key in found:
            weights += found[key].weights
        steps = [step.partition(":")[0] for step in path.split("/")]
        name = ".".join(steps) if path else node.name or node.output[0]
        kind = path.rpartition(":")[2] if path else node.op_type
        found[key] = ShownLayer(name, kind, node.output[0], weights)
    return tuple(found.values())


def _path(node: onnx.NodeProto) -> str:
    """Where a node stands in the net, `layer1:stage/0:bottleneck/conv1:conv`; empty in models of others."""
    return next((entry.value for entry in node.metadata_props if entry.key == "netdsl.path"), "")


def first_filters(session: Session) -> tuple[str, Array]:
    """The weights by which a model's first layer sees an image.

    Returns:
        The name of the tensor, and its values, filters x channels x height x width. Those of a dense layer that reads
        all pixels have the shape of the image.

    Raises:
        NetdslError: the first layer with weights is neither a convolution of images nor a dense layer that reads all
            of an image (E0917).
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
    raise fail("E0917", f"the first layer of `{session.path}` does not see an image through filters",
               help="filters are those of a first `conv`, or of a first `dense` that reads all pixels")  # fmt: skip
