"""What an installation can do: versions, providers, CUDA."""

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
"""`missing` is needed, `absent` only wanted for some commands; `broken` is there and cannot be imported."""

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
"""What is imported of each package, and what it is for."""
IMPORTED = {
    package: module.partition(".")[0]
    for package, module in (*REQUIRED.items(), *((package, module) for package, (module, _) in OPTIONAL.items()))
}
"""The package that is imported of each."""
LIBRARIES = {
    "cudart": "nvidia-cuda-runtime",
    "cublas": "nvidia-cublas",
    "cudnn": "nvidia-cudnn",
    "nvinfer": "tensorrt",
}
"""CUDA's and TensorRT's libraries, and how the packages that bring them are called."""


@dataclass(frozen=True)
class Finding:
    """One line of the list: what was looked for, how it stands, and its version or the remedy."""

    name: str
    state: State
    detail: str

    def as_json(self) -> dict[str, str]:
        """A JSON object."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything netdsl needs or can use. All packages are imported, in processes that may crash."""
    found = [Finding("python", "ok", platform.python_version()), Finding("netdsl", "ok", __version__)]
    modules = [*REQUIRED.values(), *(module for module, _ in OPTIONAL.values())]
    imported = import_apart(modules)
    for package, module in REQUIRED.items():
        found.append(_judged(package, imported[module], "missing", f"pip install {package}"))
    for package, (module, remedy) in OPTIONAL.items():
        found.append(_judged(package, imported[module], "absent", f"for {remedy}"))
    works = {finding.name for finding in found if finding.state == "ok"}
    devices = _devices() if {"onnxruntime", "onnx", "numpy"} <= works else []
    gpus = _gpu() if "numpy" in works else []
    return found + gpus + _libraries() + devices


def _judged(package: str, problem: Broken | None, missing: State, remedy: str) -> Finding:
    """How a package stands that was imported."""
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
    """The driver and the GPUs it shows."""
    from netdsl.runtime.cuda import find_gpus  # noqa: PLC0415 - its room needs numpy

    gpus = find_gpus()
    if gpus.problem:
        return [Finding("gpu", "absent", gpus.problem)]
    return [
        Finding("cuda driver", "ok", f"up to CUDA {gpus.driver}"),
        *(Finding(f"gpu {ordinal}", "ok", name) for ordinal, name in enumerate(gpus.names)),
    ]


def _libraries() -> list[Finding]:
    """The libraries that onnxruntime's GPU providers load, from the system or from pip."""
    packages = {dist.name.lower(): dist.version for dist in distributions() if dist.name}
    found = []
    for library, prefix in LIBRARIES.items():
        installed = [f"{name} {version}" for name, version in packages.items() if name.startswith(prefix)]
        place = find_library(library) or ", ".join(installed)
        found.append(Finding(f"lib{library}", "ok" if place else "absent", place or "for NVIDIA GPUs"))
    return found


def _devices() -> list[Finding]:
    """Whether a small model really runs on each kind of device; nothing else tells for certain."""
    from netdsl.runtime import PROVIDERS, Session  # noqa: PLC0415 - needs no package, its sessions do

    found = []
    with tempfile.TemporaryDirectory() as directory:
        model = _small_model(Path(directory))
        for kind in PROVIDERS:
            try:
                Session(model, kind)
            except NetdslError as error:
                problem = error.diagnostics[0]
                found.append(Finding(f"--device {kind}", "absent", problem.message))
            else:
                found.append(Finding(f"--device {kind}", "ok", "runs a model"))
    return found


def _small_model(directory: Path) -> Path:
    """The least model there is: one that gives back its input."""
    from onnx import TensorProto, helper, save  # noqa: PLC0415 - loaded when there is something to try

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "small", ports[:1], ports[1:])
    model = helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", 13)])
    path = directory / "small.onnx"
    save(model, path)
    return path
