"""The one place that imports optional packages, and explains why one cannot be imported.

A package may be missing, but it may also be installed and fail to import: because another package that it imports
does not fit it, because a file of it is damaged, or because a system library is missing. The error then names the
package at fault, which may differ from the one that was requested.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import NetdslError, fail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RUN = "`pip install 'netdsl[cpu]'`, or `pip install 'netdsl[gpu]'` for NVIDIA GPUs"
IMAGES = "`pip install 'netdsl[cpu]'`"
TRAIN = "`pip install 'netdsl[train]'`"
REMEDIES = {"onnxruntime": RUN, "PIL": IMAGES}
"""The command that installs each package; `TRAIN` for all others."""
OWN = "netdsl"
AROUND_TORCH = ("torch", "torchmetrics", "pytorch_lightning", "kornia")
"""Packages that import PyTorch, which takes long."""
SCRIPT = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from netdsl.base.packages import report
report(sys.argv[2:])
"""
"""A program that imports modules with the search path of this process."""


@dataclass(frozen=True)
class Broken:
    """Why a package cannot be imported.

    Attributes:
        package: the package at fault, by its import name.
        version: its installed version, if that is known.
        place: the folder or file it is in; empty where it is not installed.
        reason: the exception as one line.
        missing: whether the package is not installed at all.
    """

    package: str
    version: str
    place: str
    reason: str
    missing: bool = False

    @property
    def name(self) -> str:
        """The package with its version."""
        return f"{self.package} {self.version}".rstrip()


def need(module: str, what: str) -> Any:
    """Import an optional module.

    Args:
        module: its import name.
        what: what needs it, such as "drawing".

    Raises:
        NetdslError: the module, or another one that it imports, is not installed or fails to import (E0907).
    """
    try:
        return import_module(module)
    except (MemoryError, NetdslError):
        raise
    except (Exception, SystemExit) as error:
        raise _refused(module, what, fault(error, module)) from error


def works(module: str) -> bool:
    """Whether an optional module can be imported."""
    try:
        need(module, "")
    except NetdslError:
        return False
    return True


def refused(error: BaseException) -> NetdslError | None:
    """The error for an exception that the import of a package raised (E0907); None for any other exception."""
    found = fault(error)
    if found.package in ("", OWN):
        return None
    return _refused(found.package, "this", found)


def import_apart(modules: Sequence[str], seconds: float = 120) -> dict[str, Broken | None]:
    """Import modules in separate processes, so that a crash or a hang in one does not end this process.

    Each of two processes imports its modules in order, so that what they share is imported once; after a module that
    fails, a new process continues.

    Args:
        modules: their names; neighbours that depend on each other are imported fastest.
        seconds: the time limit of one process.

    Returns:
        What is wrong with each module; None where it was imported.
    """
    heavy = [module for module in modules if module in AROUND_TORCH]
    others = [module for module in modules if module not in AROUND_TORCH]
    with ThreadPoolExecutor(2) as pool:
        heavier, lighter = pool.map(lambda row: _imported(row, seconds), (heavy, others))
    return {**heavier, **lighter}


def _imported(modules: Sequence[str], seconds: float) -> dict[str, Broken | None]:
    """Import modules in processes one after the other, and report what is wrong with each."""
    found: dict[str, Broken | None] = {}
    while left := [module for module in modules if module not in found]:
        command = [sys.executable, "-P", "-c", SCRIPT, json.dumps(sys.path), *left]
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter, and our own list
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
            )
            output, end = done.stdout, _ended(done.returncode)
        except subprocess.TimeoutExpired as error:
            output, end = error.stdout or b"", f"it has not ended after {seconds:.0f} s"
        for line in output.decode(errors="replace").splitlines():
            module, problem = json.loads(line)
            found[module] = None if problem is None else Broken(**problem)
        culprit = next((module for module in left if module not in found), None)
        if culprit is not None and all(found[module] is None for module in left if module in found):
            package = culprit.partition(".")[0]
            found[culprit] = Broken(package, _version(package, "", {}), "", end)
    return found


def _ended(code: int) -> str:
    """Describe how a process ended that reported nothing."""
    if code >= 0:
        return f"it ends the process with exit code {code}"
    try:
        return f"it kills the process by {signal.Signals(-code).name}"
    except ValueError:
        return f"it kills the process by signal {-code}"


def report(modules: Sequence[str]) -> None:
    """Import modules until one fails, and write one line of JSON for each to stdout."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # discards what packages print
    for module in modules:
        problem = None
        try:
            import_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a package may raise anything
            problem = fault(error, module)
        lines.write(json.dumps([module, problem and asdict(problem)]) + "\n")
        lines.flush()
        if problem is not None:
            break
    os._exit(0)  # skips what packages do at the end of a process


def fault(error: BaseException, module: str = "") -> Broken:
    """Find the package at fault for an exception, and the reason.

    It is the package of the innermost module that was being imported when the exception was raised: packages that it
    calls have already been imported.

    Args:
        error: the exception.
        module: the module that was to be imported; may be empty.
    """
    requested = module.partition(".")[0]
    places: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for frame, _ in walk_tb(error.__traceback__):
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and top not in sys.stdlib_module_names and top not in ("", "__main__"):
            places.pop(top, None)
            places[top] = frame.f_code.co_filename, frame.f_globals
    reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".removesuffix(": ")
    absent = str(error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    others = [top for top in places if top != OWN]
    if absent and not others and absent not in sys.stdlib_module_names and sys.modules.get(absent) is None:
        return Broken(absent, "", "", reason, missing=absent != OWN)
    if isinstance(error, SyntaxError) and error.filename is not None:
        top = _owner(Path(error.filename))
        if top:
            return Broken(top, _version(top, error.filename, {}), _folder(top, error.filename), reason)
    lacking = "" if others else _lacking(error)
    package = others[-1] if others else lacking or requested
    if not package:
        return Broken("", "", "", reason)
    if lacking:
        own = vars(sys.modules[lacking])
        places[lacking] = str(own.get("__file__") or ""), own
    file, names = places.get(package, ("", {}))
    return Broken(package, _version(package, file, names), _folder(package, file), reason)


def _lacking(error: BaseException) -> str:
    """The package, or file of its name, that lacks something netdsl needs because it is another version; or empty.

    Such a package imports without an exception of its own.
    """
    match error:
        case ImportError(name=str(name)):
            top = name.partition(".")[0]
        case AttributeError(obj=ModuleType(__name__=name)):
            top = name.partition(".")[0]
        case _:
            return ""
    return "" if top == OWN or top in sys.stdlib_module_names or sys.modules.get(top) is None else top


def _refused(module: str, what: str, broken: Broken) -> NetdslError:
    requested = module.partition(".")[0]
    remedy = REMEDIES.get(requested, TRAIN)
    if broken.missing:
        through = (
            f"{requested}, which needs {broken.package}, and that"
            if broken.package != requested
            else f"{requested}, which"
        )
        return fail("E0907", f"{what} needs {through} is not installed", help=remedy)
    via = (
        f"{requested}, and the import of {broken.name}"
        if broken.package != requested
        else f"{broken.name}, and its import"
    )
    return fail(
        "E0907",
        f"{what} needs {via} fails: {broken.reason}",
        notes=(f"{broken.package} is at {broken.place}",) if broken.place else (),
        help=f"install {broken.package} anew, in a version that fits the others: "
        f"`pip install --force-reinstall {_pip_name(broken.package)}`; `netdsl doctor` tries all",
    )


def _owner(file: Path) -> str:
    """The top-level package that a file belongs to; empty where that is unknown."""
    for folder in sorted(map(Path, sys.path), key=lambda folder: len(folder.parts), reverse=True):
        if folder.is_absolute() and file.is_relative_to(folder) and "lib-dynload" not in file.parts:
            top = file.relative_to(folder).parts[0].removesuffix(".py")
            if top not in sys.stdlib_module_names and top != "site-packages":
                return top
    return ""


def _folder(package: str, file: str) -> str:
    """The folder of a package, given one of its files."""
    path = Path(file)
    return str(next((parent for parent in path.parents if parent.name == package), path)) if file else ""


def _version(package: str, file: str, names: Mapping[str, Any]) -> str:
    """The version of the package that a file belongs to: of the installed distribution, else what the module states."""
    if not package:  # no package is at fault
        return ""
    try:
        installed = distribution(_pip_name(package))
        if not file or Path(file).is_relative_to(Path(str(installed.locate_file("")))):
            return installed.version
    except PackageNotFoundError:
        pass
    return str(names.get("__version__", ""))


def _pip_name(package: str) -> str:
    """The name under which `pip` installs a package, given its import name."""
    return next(iter(packages_distributions().get(package, ())), package)
