"""Random programs, from the text to numbers: every reader of a model agrees with the shapes that its writer knew."""

from __future__ import annotations

import re
from random import Random

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, note, settings
from models import same_shapes
from programs import Writer, programs
from trained import trained

from netdsl.backends.onnx.file import assemble
from netdsl.compiler import check_text, compile_graph
from netdsl.ir.dim import evaluate
from netdsl.ir.graph import needed
from netdsl.layers.base import LAYERS
from netdsl.runtime import Device
from netdsl.verification.torch_run import TorchRun

BATCHES = (1, 3)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's note on its own speed
@settings(max_examples=200, suppress_health_check=list(HealthCheck))  # programs are large, and take their time
@given(programs)
def test_random_programs(program):
    """Full check, shape inference on every value; PyTorch and onnxruntime against float64, at batch 1 and 3."""
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
        narrow, wide = (run_torch(graph, inputs[i], dtype) for dtype in ("float32", "float64"))
        for expected, truth, *results in zip(shapes.values(), wide, narrow, plain[i], optimized[i], strict=True):
            assert truth.shape == (batch, *expected)
            assert np.isfinite(truth).all()
            for result in results:
                assert result.shape == truth.shape
                assert np.abs(result - truth).max() <= 1e-5 + 1e-4 * np.abs(truth).max()


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
    model = assemble(compile_graph(graph, level=level), trained)
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


def run_torch(graph, arrays, dtype):
    """The outputs in an element type, of a module whose tensors are those of the graph."""
    run = TorchRun(graph, trained, Device("cpu"), dtype)
    state = {name: tuple(tensor.shape) for name, tensor in run.module.state_dict().items()}
    written = {param.name: param.spec.shape for node in needed(graph, training=True) for param in node.params.values()}
    assert {name: size for name, size in state.items() if not name.endswith("num_batches_tracked")} == written
    return run.run(arrays).values()


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


def test_every_layer_is_in_random_programs():
    """All but `embedding`, which takes tokens; `program_layers` and `program_parts` write the others."""
    random = Random(0)  # noqa: S311 - no secret
    texts = (Writer(random.randbytes(120)).program().text for _ in range(2000))
    assert LAYERS.keys() - {word for text in texts for word in re.findall(r"\w+", text)} == {"embedding"}
