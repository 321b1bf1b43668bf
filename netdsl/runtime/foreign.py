"""The kind of outputs of a model that netdsl did not write, inferred from its last operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.ir.meaning import Gives

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

ENDS = {
    "Softmax": Gives.PROBABILITIES,
    "LogSoftmax": Gives.LOG_PROBABILITIES,
    "Sigmoid": Gives.YES_PROBABILITIES,
    "HardSigmoid": Gives.YES_PROBABILITIES,
    **dict.fromkeys(
        ("Abs", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Gelu", "Hardmax", "HardSwish", "LeakyRelu", "Mish",
         "PRelu", "Reciprocal", "Relu", "Selu", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tanh",
         "ThresholdedRelu"), Gives.VALUES),
}  # fmt: skip
"""The kind of an operator's results; after others, such as a dense layer or a convolution, it is unknown."""
PASSED = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that do not change values."""


def gives_of(model: ModelProto) -> dict[str, Gives]:
    """Return the known kinds of outputs of an ONNX model that onnxruntime has loaded."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 13)
    producers = {name: node for node in model.graph.node for name in node.output}
    kinds = {}
    for output in model.graph.output:
        gives = _gives(model.graph, producers, output.name, opset)
        if gives is not None:
            kinds[output.name] = gives
    return kinds


def _gives(graph: GraphProto, producers: dict[str, NodeProto], name: str, opset: int) -> Gives | None:
    node, reshaped = producers.get(name), False
    while node is not None and node.op_type in PASSED:
        reshaped |= node.op_type in ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
        node = producers.get(node.input[0])
    gives = ENDS.get(node.op_type) if node is not None else None
    if node is None or gives not in (Gives.PROBABILITIES, Gives.LOG_PROBABILITIES) or reshaped:
        return gives
    ranks = [len(output.type.tensor_type.shape.dim) for output in graph.output if output.name == name]
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1 if opset < 13 else -1)
    return gives if axis in (1, 1 - ranks[0]) else Gives.VALUES
