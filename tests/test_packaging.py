"""netdsl works from a checkout, an editable install and a wheel alike, wherever it is called from."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run(*command: str | Path, at: Path) -> str:
    done = subprocess.run(command, cwd=at, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, both built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, at=ROOT)
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of a new environment with netdsl's dependencies and without netdsl.

    The dependencies are those of the running environment, lent by a `.pth` file rather than downloaded. Python reads
    no further `.pth` files in a lent folder, so an editable netdsl that lies there stays out of sight.
    """
    folder = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, at=tmp_path)
    interpreter = folder / "bin" / "python"
    site = Path(run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", at=tmp_path).strip())
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    absent = "import importlib.util; print(importlib.util.find_spec('netdsl'))"
    assert run(interpreter, "-c", absent, at=tmp_path) == "None\n"
    return interpreter


def test_a_wheel_has_everything_and_nothing_else(dist: Path) -> None:
    from zipfile import ZipFile

    (wheel,) = dist.glob("*.whl")
    with ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {path for path in (ROOT / "netdsl").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    inside = {path.relative_to(ROOT) for path in package}
    top = {path for folder in ("grammars", "nets") for path in (ROOT / folder).rglob("*") if path.is_file()}
    moved = {"netdsl" / path.relative_to(ROOT) for path in top}
    assert files == {path.as_posix() for path in inside | moved}


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_installation_compiles_a_shipped_net_from_anywhere(
    kind: str, dist: Path, python: Path, tmp_path: Path
) -> None:
    (wheel,) = dist.glob("*.whl")
    what = [wheel] if kind == "wheel" else ["--no-build-isolation", "-e", ROOT]
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", *what, at=tmp_path)
    home = run(python, "-c", "import netdsl; print(netdsl.__file__)", at=tmp_path).strip()
    assert (Path(home).parents[1] == ROOT) is (kind == "editable")

    (tmp_path / "own.net").write_text("use residual\nnet own { input image: 3x32x32; bottleneck 4 }", encoding="utf-8")
    assert "1 net: no errors" in run(python.with_name("netdsl"), "check", "own.net", at=tmp_path)
    run(python.with_name("netdsl"), "compile", "lenet5", "-o", "here.onnx", at=tmp_path)
    run(sys.executable, "-m", "netdsl", "compile", "lenet5", "-o", tmp_path / "there.onnx", at=ROOT)
    assert (tmp_path / "here.onnx").read_bytes() == (tmp_path / "there.onnx").read_bytes()


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["cpu"], *extras["train"], *extras["dev"]]
    names = {requirement.split(">=")[0] for requirement in wanted if not requirement.startswith("netdsl[")}
    assert names <= pinned
