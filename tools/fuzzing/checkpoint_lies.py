"""PyTorch's checkpoints that are whole, and hold something else than weights as people have them."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


def odd(random: Random, data: bytes) -> bytes:
    """Another checkpoint altogether, in the form that the file has."""
    import torch

    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated, and still in people's files
        made = random.choice(OBJECTS)()
    torch.save(made, written, _use_new_zipfile_serialization=data[:2] == b"PK")
    return written.getvalue()


def _tensor(*shape: int) -> Any:
    import torch

    return torch.arange(24.0).view(shape or (4, 6))


def _complex() -> Any:
    import torch

    return torch.complex(_tensor(), _tensor())


def _deep(depth: int) -> Any:
    found: Any = {"w": _tensor()}
    for _ in range(depth):
        found = {"a": found}
    return found


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
    lambda: {"w": _tensor().to_sparse()},
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
"""What else may be in a checkpoint."""
