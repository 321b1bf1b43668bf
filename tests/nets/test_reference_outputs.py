"""Shipped nets compute what torchvision's modules of the same names do, given the same weights and input."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from netdsl.compiler import check
from netdsl.runtime import Device
from netdsl.verification.difference import difference
from netdsl.verification.onnx_run import OnnxRun
from netdsl.verification.torch_run import TorchRun

LOGITS = Path(__file__).parents[1] / "figures" / "logits.npz"
"""What torchvision 0.28 gives in float64 and evaluation mode, for the weights and the input that are made here."""
CPU = Device("cpu")


def made(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a checkpoint, or the input, whose key is `input`, in float64."""
    random = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    x = random.standard_normal(shape)
    role = key.rsplit(".", 1)[-1]
    if role == "running_var":
        return 0.5 + random.random(shape)
    if role in ("running_mean", "bias"):
        return 0.1 * x
    return 1 + 0.1 * x if len(shape) == 1 else x * np.sqrt(2 / np.prod(shape[1:]))


@pytest.fixture(autouse=True)
def _threads():
    """Large convolutions take all cores that there are, whatever other tests have set."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", np.load(LOGITS).files)
def test_logits_are_those_of_torchvision(name: str) -> None:
    graph = check(name).graph
    (image,) = graph.inputs
    feeds = {image.name: made("input", (1, *image.type.shape))}
    logits = np.load(LOGITS)[name]
    weights = {param.name: made(param.name, param.spec.shape) for param in graph.params.values()}

    (wide,) = TorchRun(graph, lambda param: weights[param.name], CPU, "float64").run(feeds).values()
    assert difference(wide, logits).relative <= 1e-9
    narrow = {name: array.astype(np.float32) for name, array in feeds.items()}
    (single,) = OnnxRun(graph, lambda param: weights[param.name], CPU, level=1).run(narrow).values()
    assert difference(single, logits).relative <= 1e-4
