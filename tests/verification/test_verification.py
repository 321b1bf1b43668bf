"""All backends compute the same function; and where one does not, the layer at fault is named."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.cli import main
from netdsl.ir.dim import evaluate
from netdsl.layers.activation import Relu, Tanh
from netdsl.layers.conv import Conv
from netdsl.layers.linear import Dense
from netdsl.layers.merge import Concat
from netdsl.layers.norm import BatchNorm, InstanceNorm
from netdsl.layers.pool import AvgPool
from netdsl.passes import scaling
from netdsl.runtime import Device
from netdsl.verification.cases import random_cases
from netdsl.verification.difference import ROUNDING_FACTOR, Difference, difference, statistics
from netdsl.verification.onnx_run import OnnxRun
from netdsl.verification.torch_run import TorchRun
from netdsl.verification.verifying import _drawn
from netdsl.verification.weights import TrainedLike

if TYPE_CHECKING:
    from netdsl.api import Network

NETS = {
    "convolutions": "input x: 3x8x8\nconv 4 k3 p1 -> bn -> relu -> maxpool k2 -> flatten -> dense 5",
    "branches": "input x: 4x6x6\nskip { conv 4 k3 p1 -> bn }\nconcat { identity ; avgpool k3 s1 p1 }\nrelu",
    "an alpha that float16 takes for 0": "input x: 4x9 float16\nsilu -> celu alpha=1e-12",
    "arguments of float64": "input x: 2x7x8x9 float64\nchannel_ln eps=0.3",
    "a batch norm in float64": "input x: 2x8x9 float64\nbn eps=0.3 -> ln dims=2 eps=0.3",
    "unknown sizes": "input x: 2xHxW where H % 4 == 0, W >= 4, W <= 30\nmaxpool k4 -> conv 3 k1 -> upsample 4",
    "several inputs": "input b: 2x5\ninput a: 2x5 float64\n@a\noutput one\n@b\nrelu\noutput two",
    "several outputs": "input x: 6\ndense 4\noutput hidden\nrelu -> dense 3\noutput logits",
    "halves": "input x: 2x6x6 float16\nconv 3 k3 -> bn -> relu -> softmax axis=0",
    "doubles": "input x: 6 float64\ndense 4 -> bn -> relu -> softmax",
    "whole numbers": "input x: [4] int64\nadd { identity ; identity }",
    "tokens": "input t: [T] int64\nreshape [T, 1] -> reshape [T] -> embedding 7 4 -> dense 3",
    "auxiliary heads": "input x: 4\ndense 4 -> relu\naux side: { dense 2 }\ndense 3",
    "shared weights": "input x: 4\nfirst: dense 4\nrelu\nreuse first",
}


def faulty() -> Network:
    return netdsl.loads(f"block unit {{ conv 4 k3 -> bn -> relu }}\nnet n {{\n{FAULTY}}}", "n.net")


def load(body: str) -> Network:
    return netdsl.loads(f"net n {{\n{body}\n}}", "n.net")


@pytest.mark.parametrize("body", NETS.values(), ids=NETS)
def test_all_backends_agree(body: str) -> None:
    found = load(body).verify(half=True)
    assert found.ok
    assert found.findings == ()
    cases = 4 if "H" in body else 2  # two sizes that are left open can be exchanged
    runs = ["PyTorch", "onnxruntime -O0", "onnxruntime -O1", "PyTorch float16"]
    assert [c.run for c in found.comparisons] == runs * (cases * max(1, body.count("output ")))


# ------------------------------------------------------------------------------------------------ faults

FAULTY = """\
input x: 3x12x12
stem: unit
fork: concat {
    conv 2 k1
    avgpool k3 s1 p1
}
sigma: tanh
dropout
pre: bn
flatten -> out: dense 5
"""


def without_inputs_order(_layer, o, *inputs):
    return o.op("Concat", *inputs[::-1], axis=1)


def leaky(_layer, o, x):
    return o.op("LeakyRelu", x, alpha=0.01)


def without_padding_counted(_layer, o, x):
    return o.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0)


def wrong_statistics(_layer, o, x):
    weight, bias, mean, variance = map(o.param, ("weight", "bias", "running_mean", "running_var"))
    return o.op("BatchNormalization", x, weight, bias, mean, variance, epsilon=0.1)


def sigmoid(_layer, o, x):
    return o.op("Sigmoid", x)


def not_a_number(_layer, o, x):
    return o.op("Sqrt", o.op("Tanh", x))


def relu_in_torch(_layer, t, x):
    return t.call("F.relu", x)


BOTH = ("onnxruntime -O0", "onnxruntime -O1")
FAULTS = {
    "an activation": (Relu, "to_onnx", leaky, BOTH, "stem.relu1"),
    "the order of branches": (Concat, "to_onnx", without_inputs_order, BOTH, "fork"),
    "padding": (AvgPool, "to_onnx", without_padding_counted, BOTH, "fork.avgpool1"),
    "eps of a norm, where it is not folded": (BatchNorm, "to_onnx", wrong_statistics, BOTH[:1], "stem.bn1"),
    "NaN": (Tanh, "to_onnx", not_a_number, BOTH, "sigma"),
    "PyTorch": (Tanh, "to_torch", relu_in_torch, BOTH, "sigma"),
    "a bias folded back": (scaling.BiasBefore, "__call__", lambda _, *arrays: 0 * arrays[-1], BOTH[1:], "stem.conv1"),
    "a bias folded ahead": (scaling.BiasAfter, "__call__", lambda *arrays: arrays[2], BOTH[1:], "out"),
}
"""A method that is broken, what it is replaced by, the runs that differ then, and the layer that is to blame."""


@pytest.mark.parametrize(("cls", "method", "broken", "runs", "path"), FAULTS.values(), ids=FAULTS)
def test_the_first_layer_at_fault_is_named(cls, method, broken, runs, path, monkeypatch) -> None:
    net = faulty()
    monkeypatch.setattr(cls, method, broken)
    found = net.verify(batches=(2,))
    assert not found.ok
    assert tuple(c.run for c in found.comparisons if not c.ok) == runs
    assert len(found.findings) == len(runs)
    node = next(node for node in net.graph.nodes if node.name == path)
    for run, finding in zip(runs, found.findings, strict=True):
        assert finding.code == "E0915"
        assert finding.message == f"`{run}` differs from PyTorch in float64 at `{path}`"
        assert finding.span == node.span
        assert [call for call, _ in finding.stack] == ["unit"] * path.startswith("stem.")
        assert "report this" in finding.help


def test_a_finding_shows_the_place_and_the_values(monkeypatch) -> None:
    monkeypatch.setattr(scaling.BiasBefore, "__call__", lambda _, *arrays: 0 * arrays[-1])
    (finding,) = faulty().verify(batches=(2,)).findings
    text = re.sub(r"-?\d+\.\d+(e-\d+)?|\de-\d+", "#", netdsl.base.diagnostics.render(finding))
    assert (
        text
        == """\
error[E0915]: `onnxruntime -O1` differs from PyTorch in float64 at `stem.conv1`
 --> n.net:1:14
  |
1 | block unit { conv 4 k3 -> bn -> relu }
  |              ^^^^^^^^^ differs by #, # of the largest value
  = onnxruntime -O1  2x4x10x10 float32, from # to #, mean #
  = float64          2x4x10x10 float64, from # to #, mean #
  = its inputs differ by 0 of their largest value; # is allowed
  = from the same inputs, its result differs from that of float64 by #
  = the optimizer removed `stem.bn1`
  = with a batch of 2
  = help: report this: the result of the layer is wrong
  = in `unit`, called at n.net:4:7"""
    )


def test_rounding_that_adds_up_is_told_from_a_fault() -> None:
    found = load(NETS["convolutions"]).verify(rtol=1e-12)
    assert [c.ok for c in found.comparisons] == [False] * 6
    assert "rounding errors accumulate" in found.findings[0].help
    assert all(c.tolerance == 1e-12 for c in found.comparisons)


def test_rounding_that_a_layer_makes_grow_is_told_from_a_fault() -> None:
    """A sigmoid reads a + b - (a + b), which is 0 but for the rounding of numbers of a million."""
    net = load("input x: 40\nscale 1e5 -> sums: dense 3 bias=no -> rest: dense 2 bias=no -> sigmoid")
    a, b = np.random.default_rng(0).integers(-3, 4, (2, 40))
    arrays = {"sums.weight": np.float32([a, b, a + b]), "rest.weight": np.float32([[1, 1, -1], [1, 0, 0]])}
    weights = {"weights": lambda param: arrays[param.name], "batches": (8,)}
    found = net.verify(**weights)
    assert [(c.ok, c.widened) for c in found.comparisons] == [(True, True)] * 3
    found = net.verify(**weights, rtol=1e-4)
    assert [c.ok for c in found.comparisons] == [False] * 3
    for finding in found.findings:
        assert "at `sigmoid1`" in finding.message
        assert "rounding errors accumulate and grow" in finding.help


def test_a_difference_that_no_layer_makes_is_the_backends(monkeypatch) -> None:
    run = OnnxRun.run
    monkeypatch.setattr(OnnxRun, "run", lambda self, feeds: {name: y + 1 for name, y in run(self, feeds).items()})
    found = load("input x: 4\ndense 4").verify()
    assert [c.ok for c in found.comparisons] == [True, False, False] * 2
    assert all("no single layer does" in finding.message for finding in found.findings)


def test_what_is_not_finite_is_never_in_agreement() -> None:
    net = load("input x: 4\ndense 4 -> relu -> dense 3")

    def weights(param):
        return TrainedLike()(param) * (np.inf if param.name == "dense2.bias" else 1)

    found = net.verify(weights)
    assert not any(c.ok for c in found.comparisons)
    assert {c.difference.problem for c in found.comparisons} == {"NaN or infinite"}
    (finding,) = found.findings
    assert finding.message == "`dense2` gives NaN or infinite values, in float64 as well"
    assert "3 of 3 NaN or infinite" in finding.notes[0]
    assert found.as_json()["comparisons"][0]["absolute"] is None


def test_float16_that_overflows_is_found() -> None:
    found = load("input x: 4\ndense 4 -> relu -> affine").verify(
        lambda param: TrainedLike()(param) * (1e5 if param.name == "affine1.weight" else 1), half=True
    )
    assert {c.run for c in found.comparisons if not c.ok} == {"PyTorch float16"}
    assert found.findings[0].message == "`PyTorch float16` differs from PyTorch in float64 at `affine1`"


# ------------------------------------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("values", "truth", "expected"),
    [
        ([2.0, -4.0], [2.0, -4.0], Difference(0.0, 0.0)),
        ([2.0, -3.0], [2.0, -4.0], Difference(1.0, 0.25)),
        ([0.5], [0.0], Difference(0.5, np.inf)),
        ([0.0], [0.0], Difference(0.0, 0.0)),
        ([], [], Difference(0.0, 0.0)),
        ([np.nan], [1.0], Difference(problem="NaN or infinite")),
        ([np.inf], [np.inf], Difference(problem="NaN or infinite")),
        ([1.0, 1.0], [1.0], Difference(problem="2, not 1")),
        ([True], [False], Difference(1.0, np.inf)),
    ],
)
def test_difference_is_relative_to_the_largest_value(values, truth, expected) -> None:
    assert difference(np.array(values), np.array(truth)) == expected


def test_statistics_tell_what_is_not_finite() -> None:
    values = np.array([[1.0, 2.0, np.nan]], np.float32)
    assert statistics(values) == "1x3 float32, from 1 to 2, mean 1.5, 1 of 3 NaN or infinite"


def test_batch_norms_keep_values_from_growing() -> None:
    gate = "mul { identity ; global_avgpool -> conv 8 k1 -> sigmoid }"
    net = load(f"input x: 8x8x8\nrepeat 30 {{ skip {{ conv 8 k3 p1 -> bn -> {gate} }} }}")
    feeds = next(random_cases(net.graph, (4,), {})).feeds

    def largest(weights) -> float:
        return np.abs(TorchRun(net.graph, weights, Device("cpu")).run(feeds)["output"]).max()

    assert 1000 * largest(_drawn(net.graph, TorchRun, {})) < largest(TrainedLike())
    assert net.verify().ok


def test_random_weights_leave_nothing_trivial() -> None:
    graph = load("input x: 3x8x8\nconv 4 k3 -> bn -> affine -> relu").graph
    for param in graph.params.values():
        values = TrainedLike()(param)
        assert len(np.unique(values)) == values.size
        assert (values == TrainedLike()(param)).all()
        assert not (np.isin(values, (0, 1))).any()
        if param.name.endswith("running_var"):
            assert values.min() >= 0.5


@pytest.mark.parametrize(
    ("shape", "sizes", "expected"),
    [
        ("3xHxW", {}, [{"H": 32, "W": 40}, {"H": 40, "W": 32}]),
        ("[T, 2]", {}, [{"T": 32}]),
        ("3xHxW where H % 24 == 0, W <= 20", {}, [{"H": 48, "W": 20}]),
        ("3xHxH where H >= 100", {}, [{"H": 100}]),
        ("3xHxW", {"H": (5, 6), "W": (7,)}, [{"H": 5, "W": 7}, {"H": 6, "W": 7}]),
        ("3x8x8", {}, [{}]),
    ],
)
def test_sizes_left_open_are_chosen_or_given(shape, sizes, expected) -> None:
    graph = load(f"input x: {shape}\nrelu").graph
    cases = [*random_cases(graph, (2,), sizes)]
    assert [case.sizes for case in cases] == expected
    for case in cases:
        x = graph.inputs[0].type.shape
        assert case.feeds["x"].shape == (2, *(evaluate(dim, case.sizes) for dim in x))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"T": (4,)}, "leaves no size `T` open"),
        ({"H": (8,)}, "leaves the size `W` open"),
        ({"H": (8, 16), "W": (8, 9, 10)}, "the same number of values"),
        ({"H": (6,), "W": (8,)}, "cannot be run with H = 6"),
        ({"H": (8,), "W": (31,)}, "cannot be run with W = 31"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message) -> None:
    with pytest.raises(NetdslError, match=message) as caught:
        load(NETS["unknown sizes"]).verify(sizes=sizes)
    assert caught.value.diagnostics[0].code == "E0906"


def test_tokens_are_drawn_from_what_there_are_vectors_for() -> None:
    graph = load("input t: [100] int64\nembedding 7 2\noutput one\n@t\nembedding 5 2\noutput two").graph
    (case,) = random_cases(graph, (2,), {})
    assert sorted({*case.feeds["t"].flat}) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("dtype", "most"), [("int64", 1), ("uint8", 255), ("bool", 1)])
def test_whole_numbers_are_drawn_from_what_they_may_be(dtype, most) -> None:
    graph = load(f"input x: [1000] {dtype}\nreshape [10, 100]").graph
    (case,) = random_cases(graph, (2,), {})
    assert (case.feeds["x"].min(), case.feeds["x"].max()) == (0, most)


# ------------------------------------------------------------------------------------------------ given inputs


def test_given_inputs_are_what_is_computed(tmp_path) -> None:
    net = load("input image: 1xHxW\ninput scale: 1xHxW\nmul { @image ; @scale }")
    arrays = {name: np.full((2, 1, 3, 5), value, np.float32) for name, value in (("scale", 2), ("image", 3))}
    np.savez(tmp_path / "inputs.npz", **arrays)
    for inputs in (arrays, tmp_path / "inputs.npz"):
        found = net.verify(inputs=inputs)
        assert found.ok
        assert {(c.batch, c.sizes, c.difference.absolute) for c in found.comparisons} == {(2, "H=3,W=5", 0.0)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": (2, 3)}, "no data for `b`"),
        ({"a": (2, 3), "b": (2, 4)}, "expected 3 dimensions"),
        ({"a": (2, 3), "b": (1, 4, 2)}, "expected size 2 along axis 0 of `b`, got 1"),
        ({"a": (2, 3), "b": (2, 5, 2)}, "`n`: T = 5 breaks"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arrays, message) -> None:
    net = load("input a: 3\ninput b: [T, 2] where T % 2 == 0\nrelu")
    with pytest.raises(NetdslError, match=message) as caught:
        net.verify(inputs={name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    assert caught.value.diagnostics[0].code == "E0906"


# ------------------------------------------------------------------------------------------------ rounding that grows

SMALL_MAPS = {
    "equal values": "input x: 3x4x4\nconv 8 k4\nupsample 4 mode=bilinear\ninstance_norm\nconv 4 k1",
    "means of zero": "input x: 8x2x2\ninstance_norm\nglobal_avgpool -> flatten\nln eps=1e-12\ndense 3",
    "groups of few values": "input x: 4x1x2\ngn 2\nglobal_avgpool\ngn 1 eps=1e-14\nconv 4 k1",
}


@pytest.mark.parametrize("body", SMALL_MAPS.values(), ids=SMALL_MAPS)
def test_a_right_net_is_not_at_fault_for_what_rounding_does(body: str) -> None:
    found = load(body).verify(half=True)
    assert found.ok, str(found)


def test_the_factor_is_stated_where_it_counts() -> None:
    body = SMALL_MAPS["means of zero"]
    found = load(body).verify()
    rows = [c for c in found.comparisons if c.widened]
    assert rows
    assert f"{ROUNDING_FACTOR} times the rounding of PyTorch is allowed" in str(found)
    (pytorch,) = (c.difference.relative for c in found.comparisons if c.batch == 1 and c.run == "PyTorch")
    assert all(c.tolerance >= ROUNDING_FACTOR * pytorch for c in found.comparisons if c.batch == 1 and "onnx" in c.run)
    assert not any(c["widened"] for c in load(NETS["branches"]).verify().as_json()["comparisons"])
    assert not load(body).verify(rtol=1e-6).ok  # what is asked for is what counts


def without_eps(_layer, o, x):
    return o.op("InstanceNormalization", x, o.const([1.0] * 8), o.const([0.0] * 8), epsilon=1.0)


def shifted_padding(_layer, o, x):
    return o.op("Conv", x, o.param("weight"), o.param("bias"), kernel_shape=[3, 3], pads=[2, 1, 0, 1])


@pytest.mark.parametrize(
    ("cls", "broken", "at"),
    [(InstanceNorm, without_eps, "instance_norm1"), (Conv, shifted_padding, "conv1")],
    ids=["eps", "padding"],
)
def test_a_fault_shows_even_where_rounding_grows(cls, broken, at, monkeypatch) -> None:
    net = load("input x: 3x4x4\nconv 8 k3 p1\nmaxpool k2\ninstance_norm\nflatten\ndense 3")
    assert net.verify().ok
    monkeypatch.setattr(cls, "to_onnx", broken)
    found = net.verify()
    assert not found.ok
    assert {finding.message for finding in found.findings} == {
        f"`onnxruntime -O{level}` differs from PyTorch in float64 at `{at}`" for level in (0, 1)
    }


def test_a_fault_of_pytorch_in_float32_alone_excuses_nobody(monkeypatch) -> None:
    net = load(SMALL_MAPS["equal values"])
    run = TorchRun.run

    def rough(self, feeds):
        return {name: values + (self.dtype is None) for name, values in run(self, feeds).items()}

    monkeypatch.setattr(TorchRun, "run", rough)
    found = net.verify(batches=(1,))
    assert [c.run for c in found.comparisons if not c.ok] == ["PyTorch"]
    assert all(c.tolerance < 0.1 for c in found.comparisons)


# ------------------------------------------------------------------------------------------------ missing things


def test_a_device_that_is_not_there_is_refused(monkeypatch) -> None:
    with pytest.raises(NetdslError, match=r"E0904.*`cuda:0` is not available: the installed onnxruntime"):
        load("input x: 4\ndense 4").verify(device="cuda")
    monkeypatch.setattr("netdsl.verification.verifying.OnnxRun", lambda *_, **__: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("netdsl.verification.torch_run.TorchRun.run", lambda *_: {})
    with pytest.raises(NetdslError, match=r"E0904.*`cuda:0` is not available: the installed PyTorch"):
        load("input x: 4\ndense 4").verify(device="cuda")


def test_without_pytorch_a_remedy_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(NetdslError, match=r"E0907.*needs torch(.|\n)*netdsl\[train\]"):
        netdsl.verify("lenet5")


def test_what_pytorch_cannot_run_is_told(monkeypatch) -> None:
    monkeypatch.setattr(Dense, "to_torch", lambda _layer, t, x: t.call("torch.matmul", x, x))
    with pytest.raises(NetdslError, match=r"E0915.*PyTorch cannot run the net in float64: "):
        load("input x: 4\ndense 4").verify()


# ------------------------------------------------------------------------------------------------ the command


def command(*words, code=0):
    result = CliRunner().invoke(main, ["verify", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def test_the_command_prints_a_table() -> None:
    lines = command("lenet5").stdout.splitlines()
    assert lines[:4] == [
        "lenet5 on cpu: the largest differences from PyTorch in float64,",
        "absolute, and relative to the output's largest value",
        "",
        "output  batch  run              absolute  relative  allowed",
    ]
    assert [re.split("  +", line)[1:3] for line in lines[5:11]] == [
        [batch, run] for batch in "13" for run in ("PyTorch", "onnxruntime -O0", "onnxruntime -O1")
    ]
    assert lines[-2:] == ["", "all agree"]


def test_the_command_ends_with_1_where_backends_differ(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Tanh, "to_onnx", sigmoid)
    (tmp_path / "n.net").write_text("net n { input x: 4xT\nconv 3 k1\ntanh }")
    result = command(tmp_path / "n.net", "--batch", "2", "--size", "T=5,6", code=1)
    assert result.stdout.endswith("4 of 6 differ\n")
    assert result.stderr.count("differs from PyTorch in float64 at `tanh1`") == 2
    found = json.loads(command(tmp_path / "n.net", "--batch", "2", "--size", "T=5", "--format", "json", code=1).stdout)
    assert found["ok"] is False
    assert [c["run"] for c in found["comparisons"] if c["ok"]] == ["PyTorch"]
    assert found["comparisons"][1]["relative"] > found["comparisons"][1]["tolerance"]
    assert found["diagnostics"][0]["place"]["line"] == 3


def test_the_command_takes_weights_and_inputs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.net").write_text("net n { input x: 4\nfc: dense 3 }")
    zeros = {"fc.weight": np.zeros((3, 4), np.float32), "fc.bias": np.zeros(3, np.float32)}
    np.savez("weights.npz", **zeros)
    np.savez("inputs.npz", x=np.ones((5, 4), np.float32))
    result = command("n.net", "--weights", "weights.npz", "--inputs", "inputs.npz", "--format", "json")
    comparisons = json.loads(result.stdout)["comparisons"]
    assert {(c["batch"], c["absolute"]) for c in comparisons} == {(5, 0.0)}
    np.savez("weights.npz", **{name: array + np.float32(np.nan) for name, array in zeros.items()})
    result = command("n.net", "--weights", "weights.npz", code=1)
    assert "W0108" in result.stderr
    assert "`fc` gives NaN or infinite values" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--batch 1,0", "got `1,0`"),
        ("--size T", "expected NAME=NUMBER,NUMBER, got `T`"),
        ("--size T=a", "got `a`"),
        ("--inputs x.npy", "a file that ends in .npz"),
        ("--inputs x.npz --size T=4", "--size belongs to random inputs"),
        ("--rtol=-1", "Invalid value for '--rtol'"),
        ("--device gpu", "as device, got `gpu`"),
    ],
)
def test_wrong_usage_is_told(words, message) -> None:
    assert message in command("lenet5", *words.split(), code=2).stderr
