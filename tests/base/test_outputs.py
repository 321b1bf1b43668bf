"""What `-o` names is never a file that is read, and its ending does not contradict the content."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from shelf import NET, here, problem, run, shelf  # noqa: F401 - the fixtures are taken by their names

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.base.files import read_file, whole_file
from netdsl.base.outputs import CONTENTS, inputs_kept, wrong_ending
from netdsl.cli import main
from netdsl.runtime import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links")

REPLACED = [
    "compile src -o src", "compile src -o ./src", "compile src -o hard", "compile src -o soft",
    "compile src --to pytorch -o src", "compile user.net -o used", "compile a.net --weights a.onnx -o a.onnx",
    "compile a.net --weights w.npz -o wh", "compile a.net --weights data.npz --external-data -o dh",
    "weights w.npz -o w.npz", "weights w.npz -o w2.npz",
    "run a.onnx x.npy -o x.npy", "run a.onnx x.npy -o xh.npy", "run a.onnx image=x.npy -o x.npy",
    "run a.onnx x.npz -o x.npz", "run a.onnx x.npy i.npy -o i.npy", "run e.onnx x.npy -o eh.npy",
    "plot classes a.onnx i.png -o i.png", "plot confusion a.onnx --split train --data d -o d/cat/1.png",
]  # fmt: skip


LINKS = [("src", "hard"), ("w.npz", "wh"), ("w.npz", "w2.npz"), ("x.npy", "xh.npy"), ("e.onnx.data", "eh.npy"),
         ("data.npz", "dh.data")]  # fmt: skip


@pytest.mark.parametrize("command", REPLACED)
def test_no_file_that_is_read_is_replaced(command, monkeypatch):
    for name in ("src", "used"):
        Path(name).write_text(NET if name == "src" else "block b = relu\n")
    Path("user.net").write_text('use "used"\nnet u { input x: 3; b -> dense 3 }')
    Path("soft").symlink_to("src")
    Path("d/cat").mkdir(parents=True)
    for number in (1, 2):
        Path(f"d/cat/{number}.png").write_bytes(Path("i.png").read_bytes())
    Path("i.npy").write_bytes(Path("x.npy").read_bytes())
    for old, new in LINKS:
        os.link(old, new)
    before = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    monkeypatch.setattr("netdsl.runtime.Session.run", lambda *_: pytest.fail("it was computed"))
    assert "error[E0902]" in run(*command.split(), code=1)
    assert {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()} == before


def test_python_may_write_what_it_has_read_but_not_what_it_reads():
    net = netdsl.load("a.net")
    for _ in range(2):
        net.to_onnx("b.onnx", weights="a.onnx")
        net.to_onnx("a.onnx", weights="b.onnx")
    Session("a.onnx")
    net.to_onnx("a.onnx")
    assert "`a.onnx`" in problem("E0902", lambda: net.to_onnx("a.onnx", weights="a.onnx"))
    Path("src").write_text(NET)
    os.link("src", "other")
    assert "`other`" in problem("E0902", lambda: netdsl.load("./src").to_onnx("other"))
    assert Path("src").read_text() == NET


def test_python_source_is_no_input_and_has_its_ending():
    Path("src").write_text(NET)
    net = netdsl.load("./src")
    assert net.to_torch_source("m.py") == Path("m.py").read_text() == net.to_torch_source()
    assert "`src`" in problem("E0902", lambda: net.to_torch_source("src"))
    assert "must end in" in problem("E0902", lambda: net.to_torch_source("m.onnx"))
    assert Path("src").read_text() == NET
    assert not Path("m.onnx").exists()


def test_a_block_remembers_what_it_read_by_any_name():
    os.link("x.npy", "y.npy")
    with inputs_kept():
        read_file("x.npy", 10**6)
        with pytest.raises(NetdslError, match="E0902"), whole_file("y.npy"):
            pass
    with whole_file("y.npy") as file:
        file.write(b"new")
    assert Path("y.npy").read_bytes() == b"new"


ENDINGS = [
    *(f"compile a.net -o m{ending}" for ending in (".pt", ".PTH", ".npz", ".npy", ".py", ".net", ".safetensors", ".h5",
                                                   ".txt", ".json", ".ckpt", ".tflite", ".zip", ".html")),
    *(f"compile a.net --to pytorch -o m{ending}" for ending in (".onnx", ".pt", ".net", ".npz", ".c", ".json")),
    *(f"inspect a.onnx i.png -o m{ending}" for ending in (".onnx", ".png", ".py", ".npz", ".pdf")),
    *(f"run a.onnx x.npy -o m{ending}" for ending in (".onnx", ".safetensors", ".txt", "")),
    *(f"weights w.npz -o m{ending}" for ending in (".onnx", ".npy", ".pt", "")),
    *(f"plot filters a.onnx -o m{ending}" for ending in (".jpg", ".html", ".npz", ".onnx", "")),
]  # fmt: skip


@pytest.mark.parametrize("command", ENDINGS)
def test_an_ending_does_not_contradict_the_content(command):
    before = sorted(Path.cwd().rglob("*"))
    result = CliRunner().invoke(main, command.split())
    assert result.exit_code in (1, 2), result.output
    assert "must end in" in result.output
    assert sorted(Path.cwd().rglob("*")) == before


def test_endings_that_say_nothing_are_as_good():
    for name in ("model", "resnet.v2", "net-0.5", "m.ONNX"):
        netdsl.load("a.net").to_onnx(name)
        onnx.checker.check_model(onnx.load_from_string(Path(name).read_bytes()))
    assert "E0902" in problem("E0902", lambda: netdsl.load("a.net").to_onnx("m.pt"))
    for kind, endings in CONTENTS.items():
        assert not any(wrong_ending(Path(f"m{ending}"), kind, exact=True) for ending in endings)


def test_a_place_that_is_none_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr("netdsl.runtime.Session.run", lambda *_: pytest.fail("it was computed"))
    Path("folder.npy").mkdir()
    for name in ("no/x.npy", "folder.npy"):
        assert "E0902" in run("run", "a.onnx", "x.npy", "-o", name, code=1)
