"""Every shipped net, end to end: counts as published, shapes as ONNX infers them, one function at -O0 and -O1."""

import numpy as np
import onnx
import onnxruntime
import pytest
from models import SIZES, feeds, same_shapes
from trained import trained
from zoo_lines import net_lines
from zoo_reference import DOCUMENTED, MILLION_MACS, PUBLISHED, SHORTER, TORCHVISION

from netdsl.analysis.counts import count_macs, count_params
from netdsl.backends.onnx.file import write
from netdsl.compiler import check, compile_graph
from netdsl.ir.dim import evaluate
from netdsl.reference.zoo import entries

NAMES = [entry.name for entry in entries()]


def test_every_net_has_a_figure():
    assert sorted([*PUBLISHED, *TORCHVISION, *DOCUMENTED]) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_counts(name):
    graph = check(name).graph
    if name in PUBLISHED:
        assert count_params(graph) == PUBLISHED[name]
        return
    if name in DOCUMENTED:
        assert count_params(graph) == int(DOCUMENTED[name]["params"])
        assert round(count_macs(graph) / 1e9, 3) == float(DOCUMENTED[name]["gmacs"])
        return
    row = TORCHVISION[name]
    assert count_params(graph) == int(row["trainable_params"])
    assert count_macs(graph) == int(row["conv_linear_macs"])
    trainable = [p for p in graph.params.values() if p.spec.trainable]
    assert len(trainable) == int(row["param_tensors"])
    batch_norms = sum(node.layer.kind == "bn" for node in graph.nodes)
    buffers = sum(p.spec.elements for p in graph.params.values() if not p.spec.trainable)
    assert buffers + batch_norms == int(row["buffer_elems"])  # PyTorch also counts the batches each norm has seen


@pytest.mark.parametrize("name", MILLION_MACS)
def test_macs_of_papers(name):
    assert round(count_macs(check(name).graph) / 1e6) == MILLION_MACS[name]


def test_connections_of_lenet5():
    """LeCun et al. 1998, section II.B, layer by layer and in all."""
    graph = check("lenet5_1998").graph
    connections = {node.name: node.layer.connections(node.type, *node.input_types) for node in graph.nodes}
    of = {
        layer: sum(n for name, n in connections.items() if name.split(".")[0] == layer) for layer in ("c1", "s2", "c3")
    }
    assert of == {"c1": 122_304, "s2": 5_880, "c3": 151_600}
    assert sum(connections.values()) == 340_908


def test_neurons_of_alexnet():
    """Outputs of the convolutions and dense layers, counted from the shapes of the paper."""
    graph = check("alexnet_2012").graph
    assert sum(node.type.elements for node in graph.nodes if node.layer.kind in ("conv", "dense")) == 659_272


RUNS = [(1, SIZES), (3, {"H": 96, "W": 64, "T": 7})]
"""Numbers of samples, and values of sizes left open."""


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_optimizes(name, tmp_path):
    """Full check, shape inference on every value, onnxruntime at batch 1 and 3 and at two sizes, -O1 against -O0."""
    graph = check(name, SHORTER.get(name)).graph
    batches = [feeds(graph, batch, sizes) for batch, sizes in RUNS]
    results = {}
    for level in (0, 1):
        path = tmp_path / f"o{level}.onnx"
        write(compile_graph(graph, level=level), path, trained, external=True)
        onnx.checker.check_model(path, full_check=True)
        same_shapes(onnx.load(path, load_external_data=False))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        results[level] = [session.run(None, arrays) for arrays in batches]
        for file in tmp_path.iterdir():
            file.unlink()
    for (batch, sizes), plain, optimized in zip(RUNS, results[0], results[1], strict=True):
        for node, a, b in zip(graph.outputs.values(), plain, optimized, strict=True):
            assert a.shape == (batch, *(evaluate(dim, sizes) for dim in node.type.shape))
            assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("resnet50", 30),
        ("googlenet", 35),
        ("googlenet_2014", 35),
        ("vgg16", 20),
        ("lenet5", 15),
        ("densenet121", 30),
        ("squeezenet1_0", 25),
        ("mobilenet_v2", 30),
        ("inception_v3", 80),
        ("vit_b_16", 35),
        ("gpt2", 30),
        ("lstm_classifier", 8),
        ("shufflenet_v2_x1_0", 35),
        ("mobilenet_v3_large", 45),
        ("efficientnet_b0", 60),
        ("convnext_tiny", 40),
        ("mnasnet1_0", 35),
    ],
)
def test_nets_are_short(name, most):
    assert len(net_lines(name)) <= most
