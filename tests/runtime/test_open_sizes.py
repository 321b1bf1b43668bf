"""One ONNX file runs at every size that its net's `where` allows, and at no other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from trained import trained

import netdsl
from netdsl.base.diagnostics import NetdslError

SMALL = {"width": 4, "hidden": 16, "classes": 5}
SIZES = [(64, 64), (96, 160), (224, 32)]


class Fcn(nn.Module):
    """The net by hand, layers in the order of the file."""

    def __init__(self, step, width, hidden, classes):
        super().__init__()
        depths = [(width, 2), (2 * width, 2), (4 * width, 3), (8 * width, 3), (8 * width, 3)]
        self.stages = nn.ModuleList()
        channels = 3
        for wide, depth in depths:
            layers = []
            for _ in range(depth):
                layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
                channels = wide
            self.stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.head = nn.Sequential(
            nn.Conv2d(channels, hidden, 7, padding=3), nn.ReLU(), nn.Conv2d(hidden, hidden, 1), nn.ReLU(),
            nn.Conv2d(hidden, classes, 1),
        )  # fmt: skip
        self.fusions = nn.ModuleList(
            nn.ModuleList([nn.ConvTranspose2d(classes, classes, 4, 2, 1, bias=False), nn.Conv2d(wide, classes, 1)])
            for wide in (8 * width, 4 * width)[: {32: 0, 16: 1, 8: 2}[step]]
        )
        self.last = nn.ConvTranspose2d(classes, classes, 2 * step, step, step // 2, bias=False)

    def forward(self, x):
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        x = self.head(x)
        for (up, score), finer in zip(self.fusions, (outputs[3], outputs[2]), strict=False):
            x = up(x) + score(finer)
        return self.last(x)


@pytest.mark.parametrize("step", [32, 16, 8])
def test_one_file_runs_at_several_sizes(step, tmp_path):
    net = netdsl.load(f"fcn{step}s", **SMALL)
    net.to_onnx(tmp_path / "fcn.onnx", weights=trained)
    session = netdsl.Session(tmp_path / "fcn.onnx")
    ours = net.to_torch(trained).eval()
    peer = Fcn(step, **SMALL).eval()
    params = [trained(param) for param in net.graph.params.values()]
    peer.load_state_dict(dict(zip(peer.state_dict(), map(torch.from_numpy, params), strict=True)))
    g = np.random.Generator(np.random.PCG64(0))
    for height, width in SIZES:
        x = g.standard_normal((2, 3, height, width), dtype=np.float32)
        result = session.run({"image": x})["output"]
        assert result.shape == (2, 5, height, width)
        with torch.inference_mode():
            for module in (peer, ours):
                expected = module(torch.from_numpy(x)).numpy()
                assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()


def test_other_sizes_are_refused(tmp_path):
    netdsl.load("fcn8s", **SMALL).to_onnx(tmp_path / "fcn.onnx")
    session = netdsl.Session(tmp_path / "fcn.onnx")
    with pytest.raises(NetdslError) as error:
        session.run({"image": np.zeros((1, 3, 100, 64), np.float32)})
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == "E0906"
    assert "H = 100 breaks `H % 32 == 0`" in diagnostic.message
    assert "H = 96 or 128" in (diagnostic.help or "")


SEQUENCE = """
use transformer

net tagger(most = 12) {
    input tokens: [T] int64 where T <= most
    input seen: [T, 3] where T >= 2
    @tokens -> embedding 20 8 -> positions most
    add { identity ; @seen -> dense 8 }
    transformer_layer 2 causal=yes -> dense 4
    expect [T, 4]
}
"""


def test_sequences_of_several_lengths(tmp_path):
    net = netdsl.loads(SEQUENCE)
    net.to_onnx(tmp_path / "tagger.onnx", weights=trained)
    session = netdsl.Session(tmp_path / "tagger.onnx")
    module = net.to_torch(trained).eval()
    g = np.random.Generator(np.random.PCG64(0))

    def feeds(length):
        seen = g.standard_normal((2, length, 3), dtype=np.float32)
        return {"tokens": g.integers(0, 20, (2, length)), "seen": seen}

    whole = None
    for length in (12, 5, 2):
        given = feeds(length)
        result = session.run(given)["output"]
        with torch.inference_mode():
            expected = module(*map(torch.from_numpy, given.values())).numpy()
        assert result.shape == (2, length, 4)
        assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()
        if whole is None:
            whole = given, result
    given, result = whole  # no position sees a later one, so the beginning of a sequence has the same result
    begun = session.run({name: array[:, :5] for name, array in given.items()})["output"]
    assert np.abs(begun - result[:, :5]).max() <= 1e-4 * np.abs(result).max()
    for length, broken in ((13, "T <= 12"), (1, "T >= 2")):
        with pytest.raises(NetdslError, match=f"breaks `{broken}`"):
            session.run(feeds(length))
    with pytest.raises(NetdslError, match=r"expected size 4 along .* got 5"):
        session.run({"tokens": feeds(4)["tokens"], "seen": feeds(5)["seen"]})
