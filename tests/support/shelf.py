"""A working directory with one good file of each kind, for tests of what is read and written."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.cli import main

NET = """net a(classes = 10) {
    input image: 1x8x8
    flatten -> dense classes
    train { loss cross_entropy; optimizer sgd lr=0.1; epochs 1; batch 8 }
}
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Files that are as they should be, to be copied."""
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "a.net").write_text(NET)
    network = netdsl.load(str(folder / "a.net"))
    network.to_onnx(folder / "a.onnx")
    network.to_onnx(folder / "e.onnx", external=True)
    np.save(folder / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    np.savez(folder / "x.npz", image=np.zeros((1, 1, 8, 8), np.float32))
    np.savez(folder / "data.npz", x=np.zeros((40, 1, 8, 8), np.float32), y=np.arange(40) % 10)
    np.savez(folder / "w.npz", **{"dense1.weight": np.zeros((10, 64), "f"), "dense1.bias": np.zeros(10, "f")})
    Image.new("L", (8, 8)).save(folder / "i.png")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, shelf):
    """A working directory with copies of them."""
    for file in shelf.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args, code=0, given=None):
    """What a command prints, on both streams."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], input=given)
    assert result.exit_code == code, result.output
    return result.output


def problem(code, call):
    """The text of an error with this code."""
    with pytest.raises(NetdslError) as error:
        call()
    assert [d.code for d in error.value.diagnostics] == [code], str(error.value)
    return str(error.value)
