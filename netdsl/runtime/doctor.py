"""A report of an installation: versions, providers, CUDA."""

from __future__ import annotations

import platform
import tempfile
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from netdsl.base.diagnostics import NetdslError
from netdsl.base.packages import IMAGES, RUN, TRAIN, import_apart
from netdsl.base.version import __version__

if TYPE_CHECKING:
    from netdsl.base.packages import Broken

State = Literal["ok", "missing", "absent", "broken"]
"""`missing` packages are required, `absent` ones optional; `broken` ones are installed but cannot be imported."""

REQUIRED = {
    "click": "click", "lark": "lark", "ml-dtypes": "ml_dtypes", "numpy": "numpy", "onnx": "onnx",
    "safetensors": "safetensors.numpy",
}  # fmt: skip
OPTIONAL = {
    "onnxruntime": ("onnxruntime", f"`netdsl run` and `bench`: {RUN}"),
    "pillow": ("PIL.Image", f"images for `netdsl run`: {IMAGES}"),
    "matplotlib": ("matplotlib.figure", f"`netdsl plot` and `inspect`: {TRAIN}"),
    "torch": ("torch", f"training: {TRAIN}"),
    "torchmetrics": ("torchmetrics", f"training: {TRAIN}"),
    "pytorch-lightning": ("pytorch_lightning", f"training: {TRAIN}"),
    "kornia": ("kornia", f"training: {TRAIN}"),
    "scikit-learn": ("sklearn.datasets", f"the data set `digits`: {TRAIN}"),
    "tensorboard": ("tensorboard", f"`netdsl train --tensorboard`: {TRAIN}"),
}
"""The module to import of each package, and its purpose."""
IMPORTED = {
    package: module.partition(".")[0]
    for package, module in (*REQUIRED.items(), *((package, module) for package, (module, _) in OPTIONAL.items()))
}
"""The top-level module of each package."""
LIBRARIES = {
    "cudart": "nvidia-cuda-runtime",
    "cublas": "nvidia-cublas",
    "cudnn": "nvidia-cudnn",
    "nvinfer": "tensorrt",
}
"""The libraries of CUDA and TensorRT, with the prefixes of the pip packages that contain them."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: a name, its state, and its version or a remedy."""

    name: str
    state: State
    detail: str

    def as_json(self) -> dict[str, str]:
        """Return a JSON object."""
        return asdict(self)


def examine() -> list[Finding]:
    """Check everything that netdsl needs or can use. Packages are imported in separate processes, which may crash."""
    findings = [Finding("python", "ok", platform.python_version()), Finding("netdsl", "ok", __version__)]
    modules = [*REQUIRED.values(), *(module for module, _ in OPTIONAL.values())]
    imported = import_apart(modules)
    for package, module in REQUIRED.items():
        findings.append(_state_of(package, imported[module], "missing", f"pip install {package}"))
    for package, (module, remedy) in OPTIONAL.items():
        findings.append(_state_of(package, imported[module], "absent", f"for {remedy}"))
    works = {finding.name for finding in findings if finding.state == "ok"}
    devices = _devices() if {"onnxruntime", "onnx", "numpy"} <= works else []
    gpus = _gpu() if "numpy" in works else []
    return findings + gpus + _libraries() + devices


def _state_of(package: str, problem: Broken | None, missing: State, remedy: str) -> Finding:
    """Return the state of a package after the attempt to import it."""
    names = (package, "onnxruntime-gpu") if package == "onnxruntime" else (package,)
    installed = ", ".join(f"{name} {v}" if name != package else v for name in names if (v := _version(name)))
    if problem is None:
        return Finding(package, "ok", installed or "imported, its version is not known")
    if problem.missing and problem.package == IMPORTED[package]:
        return Finding(package, missing, remedy)
    own = problem.package == IMPORTED[package]
    which = installed or problem.version
    at = f" at {problem.place}" if problem.place else ""
    blamed = f"the import{at} fails" if own else f"the import of {problem.name}{at} fails"
    return Finding(package, "broken", f"{which}{': ' if which else ''}{blamed}: {problem.reason}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> list[Finding]:
    """Return the driver and its GPUs."""
    from netdsl.runtime.cuda import find_gpus  # noqa: PLC0415 - its room needs numpy

    gpus = find_gpus()
    if gpus.problem:
        return [Finding("gpu", "absent", gpus.problem)]
    return [
        Finding("cuda driver", "ok", f"up to CUDA {gpus.driver}"),
        *(Finding(f"gpu {ordinal}", "ok", name) for ordinal, name in enumerate(gpus.names)),
    ]


def _libraries() -> list[Finding]:
    """Return the libraries that onnxruntime's GPU providers load, from the system or from pip."""
    packages = {dist.name.lower(): dist.version for dist in distributions() if dist.name}
    findings = []
    for library, prefix in LIBRARIES.items():
        installed = [f"{name} {version}" for name, version in packages.items() if name.startswith(prefix)]
        place = find_library(library) or ", ".join(installed)
        findings.append(Finding(f"lib{library}", "ok" if place else "absent", place or "for NVIDIA GPUs"))
    return findings


def _devices() -> list[Finding]:
    """Run a small model on each kind of device; only that shows whether the device works."""
    from netdsl.runtime import PROVIDERS, Session  # noqa: PLC0415 - needs no package, its sessions do

    findings = []
    with tempfile.TemporaryDirectory() as directory:
        model = _small_model(Path(directory))
        for kind in PROVIDERS:
            try:
                Session(model, kind)
            except NetdslError as error:
                problem = error.diagnostics[0]
                findings.append(Finding(f"--device {kind}", "absent", problem.message))
            else:
                findings.append(Finding(f"--device {kind}", "ok", "runs a model"))
    return findings


def _small_model(directory: Path) -> Path:
    """Write a minimal model, and return its path."""
    from onnx import TensorProto, helper, save  # noqa: PLC0415 - loaded when there is something to try

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "small", ports[:1], ports[1:])
    model = helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", 13)])
    path = directory / "small.onnx"
    save(model, path)
    return path
