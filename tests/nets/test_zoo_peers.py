"""Nets of the zoo that torchvision does not have, against the same nets in plain PyTorch: counts, order, function."""

import numpy as np
import onnxruntime
import pytest
import torch
from models import feeds
from trained import trained
from zoo_peers import ARGUMENTS, PEERS
from zoo_peers.named import NAMED

from netdsl.analysis.counts import count_params
from netdsl.backends.onnx.file import write
from netdsl.backends.torch import lower as torch_backend
from netdsl.compiler import check, compile_graph


@pytest.mark.parametrize("name", PEERS)
def test_parameters(name):
    with torch.device("meta"):
        peer = PEERS[name]()
    assert count_params(check(name).graph) == sum(param.numel() for param in peer.parameters())


@pytest.mark.parametrize("name", NAMED)
def test_keys(name):
    """The tensors are called as in the checkpoints of torchvision, and in their order."""
    with torch.device("meta"):
        keys = [key for key in NAMED[name]().state_dict() if not key.endswith("num_batches_tracked")]
    assert list(check(name).graph.params) == keys


@pytest.mark.parametrize("name", PEERS)
def test_peer(name, tmp_path):
    """The same parameters in the same order, and the same results with the same weights, from ONNX and as a module."""
    arguments = ARGUMENTS.get(name, {})
    graph = check(name, arguments).graph
    peer = PEERS[name](**arguments).eval()
    theirs = {key: value for key, value in peer.state_dict().items() if not key.endswith("num_batches_tracked")}
    ours = graph.params.values()
    assert [param.spec.shape for param in ours] == [tuple(value.shape) for value in theirs.values()]
    state = {key: torch.from_numpy(trained(param)) for key, param in zip(theirs, ours, strict=True)}
    peer.load_state_dict(state, strict=False)
    arrays = feeds(graph, 2)
    tensors = [torch.from_numpy(array) for array in arrays.values()]
    module = torch_backend.lower(graph, trained).eval()
    with torch.inference_mode():
        expected, trainable = (listed(net(*tensors)) for net in (peer, module))
    write(compile_graph(graph), tmp_path / "net.onnx", trained)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for value, own, result in zip(expected, trainable, session.run(None, arrays), strict=True):
        assert np.abs(own - value).max() <= 1e-5 * np.abs(value).max()
        assert np.abs(result - value).max() <= 1e-4 * np.abs(value).max()


def listed(result):
    """The outputs of a module, which gives one as it is and several in a tuple or a dictionary."""
    values = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else (result,)
    return [value.numpy() for value in values]
