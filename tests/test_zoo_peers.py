"""Nets of the zoo that torchvision does not have, against the same nets in plain PyTorch: counts, order, function."""

import numpy as np
import onnxruntime
import pytest
import torch
from models import weights
from zoo_peers import ARGUMENTS, PEERS

from netdsl.backends.onnx_file import write
from netdsl.compiler import check, compile_graph
from netdsl.counts import count_params


@pytest.mark.parametrize("name", PEERS)
def test_parameters(name):
    with torch.device("meta"):
        peer = PEERS[name]()
    assert count_params(check(name).graph) == sum(param.numel() for param in peer.parameters())


@pytest.mark.parametrize("name", PEERS)
def test_peer(name, tmp_path):
    """The same parameters in the same order, and the same results with the same weights."""
    arguments = ARGUMENTS.get(name, {})
    graph = check(name, arguments).graph
    peer = PEERS[name](**arguments).eval()
    theirs = {key: value for key, value in peer.state_dict().items() if not key.endswith("num_batches_tracked")}
    ours = graph.params.values()
    assert [param.spec.shape for param in ours] == [tuple(value.shape) for value in theirs.values()]
    state = {key: torch.from_numpy(weights(param)) for key, param in zip(theirs, ours, strict=True)}
    peer.load_state_dict(state, strict=False)
    g = np.random.Generator(np.random.PCG64(0))
    feeds = {node.name: g.standard_normal((2, *node.type.shape), dtype=np.float32) for node in graph.inputs}
    with torch.inference_mode():
        expected = peer(*map(torch.from_numpy, feeds.values()))
    write(compile_graph(graph), tmp_path / "net.onnx", weights)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    wanted = [value.numpy() for value in (expected if isinstance(expected, tuple) else (expected,))]
    for result, value in zip(session.run(None, feeds), wanted, strict=True):
        assert np.abs(result - value).max() <= 1e-4 * np.abs(value).max()
