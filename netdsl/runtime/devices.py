"""Devices: their names, and whether onnxruntime can really use them."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.runtime.cuda import find_gpus

if TYPE_CHECKING:
    from netdsl.base.diagnostics import NetdslError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


@dataclass(frozen=True)
class Device:
    """A device that runs a model: `cpu`, or `cuda` or `tensorrt` with the ordinal of a GPU."""

    kind: str
    ordinal: int = 0

    @staticmethod
    def parse(text: str) -> Device:
        """Parse `cpu`, `cuda`, `cuda:1`, `tensorrt` or `tensorrt:1`.

        Raises:
            NetdslError: it is none of these (E0904).
        """
        match = re.fullmatch(r"cpu|(cuda|tensorrt)(:[0-9]{1,4})?", text)
        if match is None:
            raise fail("E0904", f"expected `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N` as device, got `{text}`")
        kind, _, ordinal = text.partition(":")
        return Device(kind, int(ordinal or 0))

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"{self.kind}:{self.ordinal}"


def providers(device: Device, *, tf32: bool, cuda_graph: bool) -> list[Any]:
    """Return onnxruntime's providers for a device, with their options; see `Session` for these."""
    ordinal = {"device_id": str(device.ordinal)}
    cuda = (PROVIDERS["cuda"], ordinal | {"use_tf32": str(int(tf32)), "enable_cuda_graph": str(int(cuda_graph))})
    tensorrt = (PROVIDERS["tensorrt"], ordinal | {"trt_cuda_graph_enable": str(int(cuda_graph))})
    return {"cpu": [], "cuda": [cuda], "tensorrt": [tensorrt, cuda]}[device.kind] + [PROVIDERS["cpu"]]


def need_device(ort: Any, device: Device) -> None:
    """Refuse a device that onnxruntime would silently replace (E0904)."""
    if device.kind == "cpu":
        return
    if PROVIDERS[device.kind] not in ort.get_available_providers():
        raise unavailable(
            device,
            f"the installed onnxruntime {ort.__version__} is built without it",
            help="`pip uninstall onnxruntime`, then `pip install 'netdsl[gpu]'`: the two packages "
            "overwrite each other's files",
        )
    gpus = find_gpus()
    if gpus.problem:
        raise unavailable(device, gpus.problem)
    if device.ordinal >= len(gpus.names):
        listed = ", ".join(f"`{device.kind}:{ordinal}` is {name}" for ordinal, name in enumerate(gpus.names))
        raise unavailable(device, f"there is no GPU {device.ordinal}", help=listed)
    if hasattr(ort, "preload_dlls"):  # since 1.21: finds the CUDA libraries that pip installed
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def not_loading(ort: Any, device: Device) -> str | None:
    """Return why a provider's library does not load; loading it directly names the missing library."""
    directory = Path(ort.__file__).parent / "capi"
    for path in sorted(directory.glob(f"*onnxruntime_providers_{device.kind}.*")):
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            return f"its library does not load: {error}"
    return None


def unavailable(device: Device, problem: str, help: str | None = None) -> NetdslError:  # noqa: A002 - as in Diagnostic
    """Return E0904 for a device."""
    return fail(
        "E0904",
        f"`{device}` is not available: {problem}",
        help=help or "`netdsl doctor` shows what is installed; `--device cpu` needs nothing more",
    )
