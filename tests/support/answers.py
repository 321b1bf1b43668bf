"""Models whose answers are known, and data to judge them on."""

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
