"""What tests of whole models share: inputs, and ONNX's own opinion of the shapes."""

from __future__ import annotations

import numpy as np
import onnx

from netdsl.ir.dim import evaluate

SIZES = {"H": 64, "W": 96, "T": 20}
"""Values of sizes left open, which every net of the zoo takes."""


def feeds(graph, batch, sizes=SIZES):
    """Random inputs: floats are normal, and whole numbers are tokens that every embedding of the net has."""
    g = np.random.Generator(np.random.PCG64(batch))
    tokens = min((node.layer.count for node in graph.nodes if node.layer.kind == "embedding"), default=2)
    arrays = {}
    for node in graph.inputs:
        shape = (batch, *(evaluate(dim, sizes) for dim in node.type.shape))
        if node.type.dtype.is_float:
            arrays[node.name] = g.standard_normal(shape, dtype=np.float32)
        else:
            arrays[node.name] = g.integers(0, tokens, shape).astype(node.type.dtype.value)
    return arrays


def same_shapes(model, *, symbolic=False):
    """ONNX's own inference, given nothing but the inputs, finds the shapes that netdsl wrote, on every value.

    It may leave open what is symbolic, as it does the batch behind a Resize. Where sizes other than the batch are
    `symbolic`, it may leave open any size, as that of a Slice, or know no shape at all, as behind a Reshape to a
    computed one.
    """
    ours = {value.name: shape(value) for value in (*model.graph.value_info, *model.graph.output)}
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    theirs = {value.name: shape(value) for value in (*inferred.value_info, *inferred.output)}
    theirs = {name: _filled(theirs.get(name), sizes, symbolic) for name, sizes in ours.items()}
    different = {name: (sizes, theirs[name]) for name, sizes in ours.items() if sizes != theirs[name]}
    assert not different, f"ours and theirs: {different}"


def shape(value):
    """The sizes of a value: numbers and names."""
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _filled(theirs, ours, symbolic):
    """Their shape, with ours where they may know less."""
    if symbolic and not theirs:
        return ours
    if len(theirs or []) != len(ours):
        return theirs
    pairs = zip(theirs, ours, strict=True)
    return [o if (symbolic or isinstance(o, str)) and str(t).startswith("unk__") else t for t, o in pairs]
