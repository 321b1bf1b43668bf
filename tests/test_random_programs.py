"""Random programs, from the text to numbers: every reader of a model agrees with the shapes that its writer knew."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, note, settings
from models import same_shapes, weights
from programs import programs

from netdsl.backends.onnx_file import assemble
from netdsl.compiler import check_text, compile_graph
from netdsl.ir.dim import evaluate

BATCHES = (1, 3)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))  # programs are large, and take their time
@given(programs)
def test_random_programs(program):
    """Full check, shape inference on every value, onnxruntime at batch 1 and 3, -O1 against -O0."""
    note(program.text)
    graph = check_text(program.text, net="main").graph
    runs = program.runs * (len(BATCHES) // len(program.runs))  # each batch with sizes of its own
    for sizes, expected in zip(runs, in_runs(program.outputs, runs), strict=True):
        assert {name: shape(node, sizes) for name, node in graph.outputs.items()} == expected
    inputs = [
        {name: sample(batch, shape) for name, shape in shapes.items()}
        for batch, shapes in zip(BATCHES, in_runs(program.inputs, runs), strict=True)
    ]
    plain, optimized = (run(graph, level, inputs, symbolic="H" in runs[0]) for level in (0, 1))
    for i, (batch, shapes) in enumerate(zip(BATCHES, in_runs(program.outputs, runs), strict=True)):
        for expected, a, b in zip(shapes.values(), plain[i], optimized[i], strict=True):
            assert a.shape == b.shape == (batch, *expected)
            assert np.isfinite(a).all()
            assert np.abs(a - b).max() <= 1e-5 + 1e-4 * np.abs(a).max()


def in_runs(shapes, runs):
    """Shapes by name, as plain numbers, for each run."""
    return [
        {name: tuple(size.at[i % len(size.at)] for size in x) for name, x in shapes.items()} for i in range(len(runs))
    ]


def shape(node, sizes):
    return tuple(evaluate(dim, sizes) for dim in node.type.shape)


def sample(batch, shape):
    return np.random.default_rng(batch).standard_normal((batch, *shape), dtype=np.float32)


def run(graph, level, inputs, *, symbolic=False):
    """The outputs for each of `inputs`; at level 0 without what onnxruntime optimizes, which can be wrong, too."""
    model = assemble(compile_graph(graph, level=level), weights)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    same_shapes(model, symbolic=symbolic)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if level == 0:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [session.run(None, arrays) for arrays in inputs]


FOUND = {
    "a pad of zeros before a maximum of negative numbers": "affine bias=no -> pad 1 -> maxpool k3",
    "a pad larger than the kernel of the pool after it": "pad (0, 0, 2, 2) -> maxpool k2",
    "counted padding beside a window that stands out": "avgpool k3 s2 p1 ceil=yes",
}
"""What random programs have found, in short."""


@pytest.mark.parametrize("body", FOUND.values(), ids=FOUND)
def test_what_was_found_before(body):
    graph = check_text(f"net main {{\ninput x: 2x6x6\n{body}\n}}").graph
    inputs = [{"x": -np.abs(sample(1, (2, 6, 6)))}]
    ((plain,),), ((optimized,),) = (run(graph, level, inputs) for level in (0, 1))
    np.testing.assert_allclose(optimized, plain, rtol=1e-5)
