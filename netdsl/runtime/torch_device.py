"""The devices of PyTorch, under the names that onnxruntime's have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.packages import need
from netdsl.runtime.devices import unavailable

if TYPE_CHECKING:
    import torch

    from netdsl.runtime.devices import Device


def torch_device(device: Device) -> torch.device:
    """Return the PyTorch device.

    Raises:
        NetdslError: PyTorch cannot use it (E0904).
    """
    need("torch", f"`--device {device}`")
    import torch  # noqa: PLC0415 - only who asks for torch waits for it

    if device.kind == "cpu":
        return torch.device("cpu")
    if device.kind != "cuda":
        raise unavailable(device, "PyTorch runs on `cpu` and `cuda`")
    if not torch.cuda.is_available():
        raise unavailable(device, f"the installed PyTorch {torch.__version__} finds no CUDA device")
    if device.ordinal >= torch.cuda.device_count():
        raise unavailable(device, f"PyTorch finds {torch.cuda.device_count()} CUDA devices")
    return torch.device("cuda", device.ordinal)
