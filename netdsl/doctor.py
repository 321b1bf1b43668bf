"""What an installation can do: versions, providers, CUDA."""

from __future__ import annotations

import platform
import tempfile
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Literal

from netdsl.diagnostics import NetdslError
from netdsl.runtime.cuda import find_gpus
from netdsl.version import __version__

State = Literal["ok", "missing", "absent"]
"""`missing` is needed, `absent` only wanted for some commands."""

REQUIRED = ("click", "lark", "ml-dtypes", "numpy", "onnx", "safetensors")
OPTIONAL = {
    "onnxruntime": "`netdsl run` and `bench`: pip install 'netdsl[cpu]', or 'netdsl[gpu]' for NVIDIA GPUs",
    "pillow": "images for `netdsl run`: pip install 'netdsl[cpu]'",
    "matplotlib": "`netdsl plot` and `inspect`: pip install 'netdsl[train]'",
    "torch": "training: pip install 'netdsl[train]'",
}
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
    """Look at everything netdsl needs or can use; heavy packages are not imported, except onnxruntime."""
    found = [Finding("python", "ok", platform.python_version()), Finding("netdsl", "ok", __version__)]
    for package in REQUIRED:
        installed = _version(package)
        found.append(Finding(package, "ok" if installed else "missing", installed or f"pip install {package}"))
    for package, remedy in OPTIONAL.items():
        names = (package, "onnxruntime-gpu") if package == "onnxruntime" else (package,)
        installed = ", ".join(f"{name} {v}" if name != package else v for name in names if (v := _version(name)))
        found.append(Finding(package, "ok" if installed else "absent", installed or f"for {remedy}"))
    return found + _gpu() + _libraries() + _devices()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> list[Finding]:
    """The driver and the GPUs it shows."""
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
    if _version("onnxruntime") is None and _version("onnxruntime-gpu") is None:
        return []
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
