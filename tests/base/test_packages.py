"""Packages that are missing, or break when they are imported: the one at fault is named, and nothing is traced back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netdsl.base.diagnostics import NetdslError
from netdsl.base.packages import import_apart, need, refused, works

TORCHVISION = 'from torch_like import register\n__version__ = "0.1.2"\nregister("nms")\n'
TORCH_LIKE = 'def register(name):\n    raise RuntimeError(f"operator torchvision::{name} does not exist")\n'


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Writes packages to a folder that comes first when something is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**texts):
        for name, text in texts.items():
            file = tmp_path / name / "__init__.py"
            file.parent.mkdir()
            file.write_text(text)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(module, what="this"):
    with pytest.raises(NetdslError) as caught:
        need(module, what)
    (found,) = caught.value.diagnostics
    assert found.code == "E0907"
    return found


def test_an_error_that_comes_of_no_import_is_no_package_s():
    with pytest.raises(ValueError, match="odd") as caught:
        int("odd")
    assert refused(caught.value) is None


def test_what_is_not_installed_is_told_with_the_command_that_installs_it(packages):
    found = refusal("nonesuch.inner", "drawing")
    assert found.message == "drawing needs nonesuch, which is not installed"
    assert "netdsl[train]" in found.help
    packages(empty="")
    assert refusal("empty.inner").message.startswith("this needs empty, and its import fails")


def test_the_package_at_fault_is_the_one_whose_import_fails_not_the_one_it_calls(packages):
    packages(lightning_like="import metrics_like\n", metrics_like="import torchvision_like\n",
             torchvision_like=TORCHVISION, torch_like=TORCH_LIKE)  # fmt: skip
    found = refusal("lightning_like", "training")
    assert found.message == (
        "training needs lightning_like, and the import of torchvision_like 0.1.2 fails: "
        "RuntimeError: operator torchvision::nms does not exist"
    )
    assert "torchvision_like" in found.notes[0]
    assert "torchvision_like" in found.help


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("import nonesuch_inside\n", "ModuleNotFoundError: No module named 'nonesuch_inside'"),
        ("from json import nonesuch\n", "ImportError: cannot import name 'nonesuch' from 'json'"),
        ("raise OSError('libcublas.so.13: cannot open shared object file')\n", "OSError: libcublas.so.13"),
        ("import json\njson.nonesuch\n", "AttributeError: module 'json' has no attribute 'nonesuch'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_whatever_an_import_raises(packages, text, reason):
    packages(broken_like=text, outer_like="import broken_like\n")
    for module in ("broken_like", "outer_like"):
        found = refusal(module)
        assert "broken_like" in found.message
        assert reason in found.message
    assert not works("broken_like")


def test_a_version_is_that_of_the_package_that_broke_and_of_no_other(packages, monkeypatch):
    packages(matplotlib="raise RuntimeError('damaged')\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)  # with its parts, which later tests would else find without it
    assert "needs matplotlib, and its import fails" in refusal("matplotlib").message  # not that of the installed one


def test_a_package_without_what_is_needed_is_told_with_its_version(packages, tmp_path):
    packages(bare_like="__version__ = '0.1'\n")
    import bare_like

    for code in ("from bare_like import Whole", "import bare_like.part", "bare_like.Whole"):
        with pytest.raises((ImportError, AttributeError)) as error:
            exec(code, {"bare_like": bare_like})  # noqa: S102 - the lines above
        (found,) = refused(error.value).diagnostics
        assert "bare_like 0.1" in found.message
        assert str(tmp_path / "bare_like") in found.notes[0]


@pytest.mark.parametrize("error", [KeyError("x"), ImportError("no"), AttributeError("no"), ZeroDivisionError()])
def test_an_error_of_no_package_is_not_one_of_a_package(error):
    assert refused(error) is None


def test_imports_apart_survive_what_kills_and_what_hangs(packages):
    packages(
        kills="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        ends="import os\nos._exit(0)\n",
        hangs="import time\ntime.sleep(60)\n",
        broken="raise RuntimeError('no')\n",
        loud="print('x' * 100_000)\n",
        fine="",
    )
    found = import_apart(["fine", "kills", "loud", "ends", "broken", "nonesuch"])
    assert {name: problem and problem.reason for name, problem in found.items()} == {
        "fine": None, "loud": None, "kills": "it kills the process by SIGKILL",
        "ends": "it ends the process with exit code 0", "broken": "RuntimeError: no",
        "nonesuch": "ModuleNotFoundError: No module named 'nonesuch'",
    }  # fmt: skip
    assert found["nonesuch"].missing
    assert import_apart(["hangs"], seconds=1.5)["hangs"].reason == "it has not ended after 2 s"


def command(folder, *arguments):
    """A whole command, with packages in a folder that is found first."""
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    return subprocess.run([sys.executable, "-m", "netdsl", *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path}, cwd=folder)  # fmt: skip


@pytest.mark.parametrize(
    ("package", "arguments", "said"),
    [
        ("onnx", ("compile", "lenet5", "-o", "m.onnx"), "onnx, and its import fails"),
        ("onnxruntime", ("verify", "lenet5"), "onnxruntime, and its import fails"),
        ("PIL", ("run", "m.onnx", "a.png"), "PIL, and its import fails"),
        ("sklearn", ("train", "lenet5", "--data", "digits"), "sklearn, and its import fails"),
        ("numpy", ("compile", "lenet5", "-o", "n.onnx"), "numpy, and its import fails"),
    ],
)
def test_a_command_names_the_broken_package(tmp_path, package, arguments, said):
    if package == "PIL":
        assert command(tmp_path, "compile", "lenet5", "-o", "m.onnx").returncode == 0
        (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise RuntimeError('does not fit')\n")
    done = command(tmp_path, *arguments)
    assert done.returncode == 1, done.stderr
    assert "error[E0907]" in done.stderr
    assert said in done.stderr
    assert "RuntimeError: does not fit" in done.stderr
    assert "Traceback" not in done.stderr
