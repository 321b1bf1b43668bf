"""PyTorch's checkpoints: pickled dictionaries of tensors, of which nothing but tensors is let in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

from netdsl.checkpoints.checkpoint import NUMBERS, Checkpoint, Tensor, meaning_in, unreadable, unusable
from netdsl.diagnostics import fail

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from netdsl.diagnostics import NetdslError
    from netdsl.weights import Array

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""The keys under which training scripts keep the weights beside the state of the optimizer."""

_SAVE = "save its weights alone where you trust it: `torch.save(model.state_dict(), path)`"


def read(path: Path) -> Checkpoint:
    """Open a PyTorch checkpoint, its tensors mapped from the file where PyTorch can (files since version 1.6).

    Raises:
        NetdslError: it is cut short, holds something else than weights, or would run code to be read (E0911), or
            PyTorch is not installed (E0907).
    """
    try:
        import torch  # noqa: PLC0415 - only these files need it
    except ImportError as error:
        raise fail(
            "E0907",
            f"reading `{path}` needs PyTorch: {error}",
            help="`pip install 'netdsl[train]'`, or convert the file to safetensors where PyTorch is",
        ) from error
    with path.open("rb") as file:
        start = file.read(4)
    zipped = start == b"PK\x03\x04"  # older files are a stream of pickles, which cannot be mapped
    if not zipped and not start.startswith(b"\x80"):
        raise unusable(path, "it is neither an archive nor a pickle, as PyTorch writes", "see where it is from")
    try:
        with catch_warnings():
            simplefilter("ignore")  # what it warns of is either read or refused
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes it raise what the damage leads to
        raise _explained(path, error) from error
    found, notes = _weights(path, loaded)
    tensors = {str(name): _tensor(path, str(name), value) for name, value in found.items()}
    meaning = meaning_in(path, loaded.get("netdsl")) if isinstance(loaded, Mapping) else None
    return Checkpoint(path, "PyTorch", tensors, notes, meaning)


def _weights(path: Path, loaded: object) -> tuple[dict[Any, torch.Tensor], tuple[str, ...]]:
    """The tensors of what a file holds, and where in it they were."""
    places = [(key, loaded[key]) for key in WRAPPERS if key in loaded] if isinstance(loaded, Mapping) else []
    for key, value in [*places, (None, loaded)]:
        if isinstance(value, Mapping) and (tensors := {name: v for name, v in value.items() if _is_tensor(v)}):
            return tensors, () if key is None else (f"the weights are those under `{key}` in the file",)
    held = f"a value of the type {type(loaded).__name__}"
    if isinstance(loaded, Mapping):
        held = f"a dictionary with {', '.join(f'`{key}`' for key in list(loaded)[:8]) or 'nothing in it'}"
    raise unusable(path, f"it holds no weights by name, but {held}", _SAVE)


def _is_tensor(value: object) -> bool:
    import torch  # noqa: PLC0415 - as in `read`

    return isinstance(value, torch.Tensor)


def _tensor(path: Path, name: str, tensor: torch.Tensor) -> Tensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    layout = str(tensor.layout).removeprefix("torch.")
    if dtype not in NUMBERS or layout != "strided" or tensor.device.type != "cpu":
        kind = f"{dtype}, {layout}, on {tensor.device.type}"
        return Tensor(tuple(tensor.shape), kind, 0, unreadable(path, name, kind))
    return Tensor(tuple(tensor.shape), dtype, tensor.numel() * tensor.element_size(), partial(_read, tensor, dtype))


def _read(tensor: torch.Tensor, dtype: str) -> Array:
    import torch  # noqa: PLC0415 - as in `read`

    plain = tensor.detach()
    if "bfloat" in dtype or "float8" in dtype:  # torch gives numpy no types but numpy's own
        bits = plain.contiguous().view(torch.uint8 if tensor.element_size() == 1 else torch.int16).numpy()
        return bits.view(dtype)
    array: Array = plain.numpy()
    return array


def _explained(path: Path, error: Exception) -> NetdslError:
    text = " ".join(str(error).split())
    if "TorchScript" in text:
        return unusable(path, "it is a TorchScript program, which would be run to be read", _SAVE)
    if isinstance(error, UnpicklingError) and (needed := _foreign(text)):
        return unusable(path, f"it would run `{needed}` to be read, which is not done", _SAVE,
                        ("a checkpoint of weights needs tensors and dictionaries alone",))  # fmt: skip
    problem = f"it is cut short, or holds more than weights: {_reason(text)}"
    return unusable(path, problem, f"download it again, or {_SAVE}")


def _foreign(text: str) -> str | None:
    """What a pickle needs besides tensors, out of PyTorch's message."""
    match = re.search(r"(?:Unsupported global: GLOBAL|Trying to load unsupported GLOBAL|type) ([\w.]+)", text)
    return match[1] if match else None


def _reason(text: str) -> str:
    """The telling part of PyTorch's message, without its advice to turn the protection off."""
    return text.rpartition("WeightsUnpickler error: ")[2].partition(". ")[0].partition(" Check the doc")[0][:200]
