"""Valid PyTorch checkpoints with unusual contents."""

from __future__ import annotations

import io
import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


def odd(random: Random, data: bytes) -> bytes:
    """Return another checkpoint, in the format of the file."""
    import torch

    written, zipped = io.BytesIO(), data[:2] == b"PK"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about deprecated types that still occur in files
        made = random.choice(OBJECTS if zipped else [one for one in OBJECTS if one is not _sparse])()
    torch.save(made, written, _use_new_zipfile_serialization=zipped)
    # Legacy files name a storage by its address, which differs between processes: replace it by zeros.
    return re.sub(rb"(X.\0\0\0)(\d{12,16})(?!\d)", lambda found: found[1] + b"0" * len(found[2]), written.getvalue())


@cache
def _storage() -> Any:
    import torch

    return torch.arange(24.0)


def _tensor(*shape: int) -> Any:
    return _storage().view(shape or (4, 6))


def _complex() -> Any:
    import torch

    return torch.complex(_tensor(), _tensor())


def _deep(depth: int) -> Any:
    found: Any = {"w": _tensor()}
    for _ in range(depth):
        found = {"a": found}
    return found


def _sparse() -> Any:
    """Return a tensor with two storages: indices and values."""
    return {"w": _tensor().to_sparse()}


def _quantized() -> Any:
    import torch

    return torch.quantize_per_tensor(_tensor(), 0.1, 3, torch.quint8)


def _parameter() -> Any:
    import torch

    return torch.nn.Parameter(_tensor())


OBJECTS: tuple[Callable[[], Any], ...] = (
    lambda: {"a": 1},
    list,
    lambda: None,
    lambda: "text",
    _tensor,
    lambda: [_tensor()],
    lambda: {1: _tensor(), ("a",): _tensor()},
    lambda: {"state_dict": {"a": 1}, "epoch": "x"},
    lambda: {"model": {"model": {"net": {"w": _tensor()}}}, "ema": {"w": _tensor()}},
    lambda: {"w": _complex().conj().imag},  # PyTorch keeps it as a view that is negative
    lambda: {"w": _complex().conj()},
    _sparse,
    lambda: {"w": _quantized()},
    lambda: {"w": _tensor().to("meta")},
    lambda: {"w": _parameter()},
    lambda: {"w": _tensor(24)[:1].expand(2**40)},
    lambda: {"w": _tensor()[:0].expand(0, 6)},
    lambda: {"w": _tensor().t(), "v": _tensor()[1:, ::2]},
    lambda: {"a\x1b[31mb": _tensor(), "a\nb": _tensor(), "": _tensor(), "x" * 10_000: _tensor()},
    lambda: _deep(50),
    lambda: {f"w{number}": _tensor() for number in range(2000)},
    lambda: {"pytorch-lightning_version": "9.9", "state_dict": {}, "loops": 3, "optimizer_states": [{}]},
)
"""Makers of the contents of a checkpoint."""
