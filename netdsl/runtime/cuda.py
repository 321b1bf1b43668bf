"""Asking the NVIDIA driver for the available GPUs."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Gpus:
    """The GPUs that a program may use.

    Attributes:
        names: their names, in the order of their ordinals.
        driver: the newest CUDA version that the driver supports, such as `13.0`.
        problem: why there are none; empty if there are some.
    """

    names: tuple[str, ...] = ()
    driver: str = ""
    problem: str = ""


def find_gpus() -> Gpus:
    """Ask the driver, which respects `CUDA_VISIBLE_DEVICES`."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return Gpus(problem=f"the NVIDIA driver is not installed ({library} is not found)")
    if status := cuda.cuInit(0):
        return Gpus(problem=f"the NVIDIA driver finds no usable GPU (cuInit returned {status})")
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(count))
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    names = tuple(_name(cuda, ordinal) for ordinal in range(count.value))
    return Gpus(names, driver, "" if names else "the NVIDIA driver shows no GPU (is CUDA_VISIBLE_DEVICES empty?)")


def _name(cuda: ctypes.CDLL, ordinal: int) -> str:
    text = ctypes.create_string_buffer(128)
    cuda.cuDeviceGetName(text, len(text), ordinal)
    return text.value.decode(errors="replace")
