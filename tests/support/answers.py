"""Models whose answers are known, and data to train and to judge models on."""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import TensorProto, helper

TINY = """net tiny(classes = 10) {
    input image: 1x8x8
    conv 8 k3 p1 -> bn -> relu -> maxpool k2 -> flatten
    dense classes
}"""


def echo(path, classes, end=None, shape=None, labels=(), batch="N", dtype=TensorProto.FLOAT):
    """A model that gives back what goes in, past an operator `end`; so what it answers is written into the data."""
    shape = shape or [classes]
    ports = [helper.make_tensor_value_info(name, dtype, [batch, *shape]) for name in ("x", "y")]
    node = helper.make_node(end or "Identity", ["x"], ["y"], **({"axis": 1} if end and "oftmax" in end else {}))
    model = helper.make_model(
        helper.make_graph([node], "g", ports[:1], ports[1:]), ir_version=10, opset_imports=[helper.make_opsetid("", 14)]
    )
    if labels:
        model.metadata_props.add(key="netdsl.labels", value=json.dumps(labels))
    onnx.save(model, path)
    return path


def save_data(path, scores, targets, **more):
    """Data whose test samples are what an `echo` answers."""
    np.savez(path, x_train=scores, y_train=targets, x_test=scores, y_test=targets, **more)
    return path


def drawn(classes, samples=200, seed=0):
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, samples)
    scores = random.standard_normal((samples, classes)).astype(np.float32)
    scores[np.arange(samples), targets] += 1
    return scores, targets


def pictures(channels, samples=40):
    """Images of 8 by 8 bytes, of two classes: a bright row tells them apart."""
    random = np.random.default_rng(1)
    targets = np.arange(samples) % 2
    shape = (samples, 8, 8) if channels is None else (samples, 8, 8, channels)
    images = random.integers(0, 120, shape, np.uint8)
    images[np.arange(samples), 3 * targets] += 130
    return images, targets


def points(classes, samples=96, seed=0):
    """Samples of five numbers, and the scores that a matrix gives their classes."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((samples, 5)).astype(np.float32)
    return x, (x @ random.standard_normal((5, classes)))


def several(_, scores):
    """Yes or no for each class."""
    return (scores > 0.3).astype(np.int64)


def model(path, ops, shape=(3,), dtype=TensorProto.FLOAT, opset=14, **metadata):
    """A chain of operators as another program would write it."""
    names = ["x", *(f"v{number}" for number in range(1, len(ops))), "y"]
    nodes = [helper.make_node(op, [a], [b], **attributes)
             for (op, attributes), a, b in zip(ops, names, names[1:], strict=False)]  # fmt: skip
    ports = [helper.make_tensor_value_info(name, dtype, ["N", *shape]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])
    for key, text in metadata.items():
        made.metadata_props.add(key=f"netdsl.{key}", value=text)
    onnx.save(made, path)
    return path
