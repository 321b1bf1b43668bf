"""The tests that need no PyTorch, on every Python found and on the oldest packages: `python tools/versions.py`.

Pythons are those of `PATH` and of pyenv; one that is absent is named. Each gets an environment below `.venv/versions`
with the newest packages that `constraints.txt` allows. The oldest Python gets one more, with the lowest versions that
`pyproject.toml` claims.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from time import monotonic

from processes import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
ENVIRONMENTS = ROOT / ".venv" / "versions"
TESTERS = {"hatchling", "hypothesis", "pytest", "pytest-xdist"}
"""What tests need beside the package and the extra `cpu`."""


def interpreter(version: str) -> Path | None:
    """The program of a Python, or None where none runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = shutil.which(f"python{version}")
    programs = [*([Path(found).resolve()] if found else []), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    return next((program for program in programs if _runs(program)), None)


def _runs(program: Path) -> bool:
    """Whether a Python starts: one of pyenv's own programs fails where its version is not chosen."""
    return subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0


def requirements(*, lowest: bool) -> list[str]:
    """What to install: the package's requirements, those of `cpu`, and those of its tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tests = [text for text in extras["dev"] if text.split(">=")[0] in TESTERS]
    wanted = [*project["dependencies"], *extras["cpu"], *tests]
    return [text.replace(">=", "==") if lowest else text for text in wanted]


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
    start = monotonic()
    inside = environment(name, python, lowest=lowest)
    command = [str(inside), "-m", "pytest", "-q", "-n", "auto", "-p", "without_torch", "-p", "no:cacheprovider"]
    path = os.pathsep.join((str(ROOT), str(ROOT / "tools")))
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, check=False)
    print(f"{name}: {(monotonic() - start) / 60:.1f} minutes", flush=True)
    return done.returncode == 0


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
