"""The tests that need no PyTorch, on every Python found and on the oldest packages: `python tools/versions.py`.

Pythons are those of `PATH` and of pyenv; one that is absent is named. Each gets an environment below `.venv/versions`
with the newest packages that `constraints.txt` allows. The oldest Python gets one more, with the lowest versions that
`pyproject.toml` claims.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from processes import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
ENVIRONMENTS = ROOT / ".venv" / "versions"
BUILDERS = {"hatchling", "hypothesis", "pytest", "pytest-xdist"}
"""What tests need beside the package and the extra `cpu`."""
HEAVY = (
    *("kornia", "matplotlib", "onnxscript", "pytorch_lightning", "sklearn", "tensorboard", "torch"),
    *("netdsl.backends.torch", "netdsl.plots", "netdsl.training", "netdsl.verification"),
)
"""Modules whose importers are left out, and those that import these."""
COMMANDS = {"test_cli.py", "test_packaging.py", "test_readme.py", "test_language.py", "test_processes.py"}
"""Files of tests that start commands which need PyTorch."""


def interpreter(version: str) -> Path | None:
    """The program of a Python, or None where it is not installed."""
    found = shutil.which(f"python{version}")
    if found:
        return Path(found).resolve()
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next(iter(sorted(folder.glob(f"{version}.*/bin/python"))), None)


def light_tests() -> list[Path]:
    """The files of tests that reach none of `HEAVY` by imports."""
    own = {path.stem: path for folder in ("tests", "tools") for path in (ROOT / folder).rglob("*.py")}

    def heavy(path: Path, above: frozenset[Path] = frozenset()) -> bool:
        if path in above:
            return False
        names = _imports(path)
        if any(name == part or name.startswith(f"{part}.") for name in names for part in HEAVY):
            return True
        return any(heavy(own[top], above | {path}) for top in {name.split(".")[0] for name in names} & own.keys())

    shared = {path.parent for path in (ROOT / "tests").rglob("conftest.py") if heavy(path)}
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if shared.isdisjoint(path.parents)]
    return [path for path in files if path.name not in COMMANDS and not heavy(path)]


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def requirements(*, lowest: bool) -> list[str]:
    """What to install: the package's requirements, those of `cpu`, and those of its tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tests = [text for text in extras["dev"] if text.split(">=")[0] in BUILDERS]
    wanted = [*project["dependencies"], *extras["cpu"]]
    return [text.replace(">=", "==") if lowest else text for text in wanted] + tests


def environment(name: str, python: Path, *, lowest: bool) -> Path:
    """The interpreter of an environment, made if need be; netdsl itself is found by PYTHONPATH."""
    folder = ENVIRONMENTS / name
    inside, stamp = folder / "bin" / "python", folder / "installed"
    wanted = requirements(lowest=lowest)
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != "\n".join(wanted):
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        limits = [] if lowest else ["-c", str(ROOT / "constraints.txt")]
        subprocess.run([inside, "-m", "pip", "install", "--quiet", *limits, *wanted], check=True)
        stamp.write_text("\n".join(wanted), encoding="utf-8")
    return inside


def passes(name: str, python: Path, *, lowest: bool = False) -> bool:
    """Run the tests in one environment."""
    print(f"== {name}", flush=True)
    inside = environment(name, python, lowest=lowest)
    command = [str(inside), "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *map(str, light_tests())]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode == 0


def main() -> None:
    """Try every version; the exit code is 1 if any test fails."""
    found = {version: interpreter(version) for version in PYTHONS}
    results = {version: passes(version, python) for version, python in found.items() if python is not None}
    oldest = found[PYTHONS[0]]
    if oldest is not None:
        results["lowest"] = passes("lowest", oldest, lowest=True)
    for version, python in found.items():
        print(f"Python {version}: {'absent' if python is None else 'passed' if results[version] else 'FAILED'}")
    print(f"lowest packages: {'not tried' if oldest is None else 'passed' if results['lowest'] else 'FAILED'}")
    sys.exit(not all(results.values()))


if __name__ == "__main__":
    main()
