"""Files that nets are ejected to: they stand alone, are as ruff would have them, and hold and compute what ours do."""

from __future__ import annotations

import random
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from eject_cases import CASES
from ejected import hollow, keys, module_in, same_computation
from models import feeds
from programs import Writer
from trained import trained
from zoo_lines import net_lines, python_lines

import netdsl
from netdsl.api import Network
from netdsl.base.diagnostics import NetdslError
from netdsl.cli import main
from netdsl.compiler import check_text
from netdsl.ir.types import DType
from netdsl.reference.zoo import entries

NETS = {entry.name: entry for entry in entries()}
SMALL = [name for name, entry in NETS.items() if isinstance(entry.macs, int) and entry.macs < 5e7]
"""Nets that are run, too."""
MAX_LINES = {"resnet50": 120}
"""How many lines a net may have."""


def zeros(param):
    dtype = "float32" if param.spec.dtype is DType.BFLOAT16 else param.spec.dtype.value
    return np.zeros(param.spec.shape, dtype)


def ruff(source, *command):
    """What ruff says of a file, with its own defaults."""
    line = [sys.executable, "-m", "ruff", *command, "--isolated", "-"]
    done = subprocess.run(line, input=source, capture_output=True, text=True, check=False)
    return done.stdout


def tidy(source):
    assert ruff(source, "format", "--stdin-filename=net.py") == source
    complaints = ruff(source, "check", "--select=E,F,I,UP,B,N,SIM,RUF", "--output-format=concise")
    assert complaints == "All checks passed!\n"


def the_same(source, net):
    """The module in a file has the keys and shapes of ours, and does the same in both modes."""
    module, ours = module_in(source, net.name), hollow(net)
    assert keys(module) == keys(ours)
    for training in (True, False):
        assert same_computation(module.train(training), ours.train(training))


def same_numbers(source, net, sizes):
    """With the same weights both compute the same."""
    module = module_in(source, net.name, "cpu")
    ours = net.to_torch(trained)
    module.load_state_dict(ours.state_dict())
    types = {node.name: node.type.dtype.value for node in net.graph.inputs}
    inputs = [torch.tensor(array.astype(types[name])) for name, array in feeds(net.graph, 2, sizes).items()]
    with torch.no_grad():
        torch.testing.assert_close(module.eval()(*inputs), ours.eval()(*inputs), rtol=0, atol=0)


@pytest.mark.parametrize("name", NETS)
def test_every_net_of_the_zoo(name):
    net = netdsl.load(name)
    source = net.to_torch_source()
    tidy(source)
    assert len(net_lines(name)) * 3 <= len(python_lines(source))
    the_same(source, net)
    if name in SMALL:
        same_numbers(source, net, {})


@pytest.mark.parametrize("name", MAX_LINES)
def test_a_file_is_short(name):
    assert len(netdsl.load(name).to_torch_source().splitlines()) <= MAX_LINES[name]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch on its own slow path
@pytest.mark.parametrize("seed", range(50))
def test_random_programs(seed):
    program = Writer(random.Random(seed).randbytes(500)).program()  # noqa: S311 - no secrets
    net = Network(check_text(program.text, net="main"))
    source = net.to_torch_source()
    tidy(source)
    the_same(source, net)
    same_numbers(source, net, program.runs[0])


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_nets_that_are_seldom_written_so(text):
    net = netdsl.loads(dedent(text).strip(), net="n")
    source = net.to_torch_source()
    tidy(source)
    the_same(source, net)
    same_numbers(source, net, {"H": 8, "W": 12})


def test_a_file_needs_no_netdsl(tmp_path):
    (tmp_path / "googlenet_aux.py").write_text(netdsl.load("googlenet_aux").to_torch_source())
    program = """
import sys
sys.modules["netdsl"] = None  # an import of it fails
import torch
from googlenet_aux import GooglenetAux
module = GooglenetAux(classes=7)
print({name: tuple(value.shape) for name, value in module(torch.zeros(2, 3, 224, 224)).items()})
print(tuple(module.eval()(torch.zeros(1, 3, 224, 224)).shape))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{'output': (2, 7), 'aux1': (2, 7), 'aux2': (2, 7)}", "(1, 7)"]


# ------------------------------------------------------------------------------------------------ the command


def run(*arguments):
    return CliRunner().invoke(main, ["compile", *arguments], standalone_mode=True)


def test_the_command_writes_a_file(tmp_path):
    path = tmp_path / "net.py"
    result = run("lenet5", "--to", "pytorch", "--set", "classes=3", "-o", str(path))
    assert result.exit_code == 0
    assert "lines" in result.output
    assert path.read_text() == netdsl.load("lenet5", classes=3).to_torch_source()


def test_the_command_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("lenet5", "--to", "pytorch", "-o", "-")
    assert result.stdout == netdsl.load("lenet5").to_torch_source()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [["--opset", "17"], ["-O", "0"], ["--batch", "1"], ["--seed", "1"], ["--training"]])
def test_options_of_models_are_refused(option):
    result = run("lenet5", "--to", "pytorch", *option)
    assert result.exit_code == 2
    assert f"{option[0]} belongs to ONNX" in result.output


def test_a_source_is_not_overwritten(tmp_path):
    path = tmp_path / "a.net"
    path.write_text("net a { input x: 3\n dense 2 }")
    assert run(str(path), "--to", "pytorch", "-o", str(path)).exit_code == 1
    assert path.read_text().startswith("net a")


@pytest.mark.parametrize("label", ["forward", "lambda"])
def test_names_that_modules_cannot_have(label):
    with pytest.raises(NetdslError, match="E0910"):
        netdsl.loads(f"net n {{ input x: 3\n {label}: dense 2 }}").to_torch_source()
