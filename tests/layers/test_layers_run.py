"""What passes `check` runs: each layer with every element type that it takes, and with each argument at its edges.

A program is refused with a place, or PyTorch and onnxruntime run it, as written and optimized, and agree.
"""

from __future__ import annotations

from random import Random

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

import netdsl
from netdsl.backends.onnx.file import assemble
from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import compile_graph
from netdsl.ir.types import DType
from netdsl.layers.base import LAYERS, signature
from netdsl.weights.initial import Initializer

REQUIRED = {
    "conv": {"out": "4", "k": "3"}, "depthwise": {"k": "3"}, "deconv": {"out": "4", "k": "3"}, "maxpool": {"k": "2"},
    "avgpool": {"k": "2"}, "lppool": {"k": "2"}, "adaptive_avgpool": {"out": "2"}, "adaptive_maxpool": {"out": "2"},
    "dense": {"out": "3"}, "rbf": {"out": "3"}, "scale": {"factor": "2"}, "normalize": {"mean": "0.5", "std": "2"},
    "gn": {"groups": "2"}, "lrn": {"size": "3"}, "pad": {"p": "1"}, "crop": {"p": "1"}, "reshape": {"shape": "[-1]"},
    "transpose": {"perm": "[-1, 0]"}, "channel_shuffle": {"groups": "2"}, "pixel_shuffle": {"r": "2"},
    "select": {"maps": "[0, 1]"}, "split": {"parts": "2", "index": "0"}, "maxout": {"pieces": "2"},
    "attention": {"heads": "2"}, "rnn": {"hidden": "3"}, "lstm": {"hidden": "3"}, "gru": {"hidden": "3"},
    "embedding": {"count": "7", "dim": "4"}, "positions": {"most": "9"}, "drop_path": {"p": "0.2"},
}  # fmt: skip
"""Arguments without a default."""
KINDS = sorted(LAYERS.keys() - {"input", "param"})
SHAPES = ("1", "4", "1x1", "4x1", "4x6", "1x1x1", "4x1x1", "4x6x5", "4x1x6", "1x1x1x1", "4x4x4x4", "4x2x3x2x2")
EDGES = (
    "0", "1", "(-1)", "2", "3", "(-2)", "5", "17", "1e-50", "1e-39", "1e-37", "1e-30", "1e-8", "9e18", "(-9e18)", "0.5",
    "(-0.5)", "(1, 2)", "(0, 0)", "[0]", "[-1]", "[1, 1, 1, 1]", "[0, 0, 0, 0]", "[1e-50]", "same", "yes", "no",
)  # fmt: skip
SEED, SAMPLE = 0, 300
WEIGHTS = Initializer(SEED)


def program(kind: str, shape: str, dtype: str, given: dict[str, str]) -> str:
    arguments = " ".join(f"{name}={value}" for name, value in {**REQUIRED.get(kind, {}), **given}.items())
    branches = " { identity ; identity }" if LAYERS[kind].arity[1] is None else ""
    return f"net n {{ input x: [{shape.replace('x', ', ')}] {dtype}\n{kind} {arguments}{branches} }}"


TYPED = [program(kind, shape, dtype.value, {}) for kind in KINDS for shape in SHAPES for dtype in DType]
EDGED = [
    program(kind, shape, "float32", {field.name: value})
    for kind in KINDS for field in signature(LAYERS[kind]) for shape in SHAPES
    for value in dict.fromkeys([*EDGES, *(w.strip() for w in field.kind.name.split("|") if "|" in field.kind.name)])
]  # fmt: skip


def passes(text: str) -> netdsl.Network | None:
    """The net, if it passes; what is refused is refused with a place."""
    try:
        return netdsl.loads(text)
    except NetdslError as error:
        assert all(d.span is not None for d in error.diagnostics)  # noqa: PT017 - most programs are refused, and rightly
        return None


def sample(text: str, net: netdsl.Network) -> np.ndarray:
    """A batch of one, the hardest: positive numbers, and tokens that the embedding above has."""
    (node,) = net.graph.inputs
    random, shape = np.random.default_rng(len(text)), (1, *node.type.shape)
    if not node.type.dtype.is_float:
        return random.integers(0, 2, shape).astype(node.type.dtype.value)
    dtype = ml_dtypes.bfloat16 if node.type.dtype is DType.BFLOAT16 else np.dtype(node.type.dtype.value)
    return (random.random(shape) + 0.25).astype(dtype)


def on_torch(net: netdsl.Network, x: np.ndarray) -> np.ndarray | None:
    """The result; None where PyTorch has no kernel for these halves on a CPU."""
    bits = x.dtype == ml_dtypes.bfloat16
    given = torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16) if bits else torch.from_numpy(x)
    try:
        with torch.inference_mode():
            result = net.to_torch(WEIGHTS).eval()(given)
    except NotImplementedError:
        assert x.dtype.itemsize == 2
        return None
    return result.to(torch.float32).numpy() if bits and result.dtype == torch.bfloat16 else result.numpy()


def on_onnxruntime(net: netdsl.Network, x: np.ndarray, level: int) -> np.ndarray | None:
    """The result; None where onnxruntime has no kernel for the element type on a CPU, though the model is right."""
    model = assemble(compile_graph(net.graph, level=level), WEIGHTS)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    if level == 0:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except NoKernel:
        assert x.dtype != np.float32
        return None
    if x.dtype != ml_dtypes.bfloat16:
        return session.run(None, {"x": x})[0]
    value = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(x.view(np.uint16), onnx.TensorProto.BFLOAT16)
    (result,) = session.run_with_ort_values(None, {"x": value})
    return np.zeros(result.shape())  # numpy cannot see its numbers


def runs(text: str) -> bool:
    """Whether the program passes; if so it runs."""
    net = passes(text)
    if net is None:
        return False
    x, output = sample(text, net), net.graph.outputs["output"].type
    truth = on_torch(net, x)
    for level in (0, 1):
        result = on_onnxruntime(net, x, level)
        for found in (truth, result):
            assert found is None or found.shape == (1, *output.shape)
        if truth is not None and result is not None and x.dtype != ml_dtypes.bfloat16:
            wide, tolerance = truth.astype(np.float64), 2e-2 if x.dtype == np.float16 else 1e-3
            most = np.abs(wide[np.isfinite(wide)]).max(initial=1e-2)
            np.testing.assert_allclose(result.astype(np.float64), wide, rtol=tolerance, atol=tolerance * most)
    return True


def test_every_argument_without_a_default_has_a_value() -> None:
    needed = {kind: {field.name for field in signature(LAYERS[kind]) if field.required} for kind in KINDS}
    assert {kind: {*given} for kind, given in REQUIRED.items()} == {
        kind: names for kind, names in needed.items() if names
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("programs", [TYPED, EDGED], ids=["types", "edges"])
def test_what_passes_runs(programs: list[str]) -> None:
    chosen = Random(SEED).sample(programs, SAMPLE)  # noqa: S311 - no secret
    assert 30 < sum(map(runs, chosen)) < SAMPLE - 30
