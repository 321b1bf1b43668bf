"""PyTorch's checkpoints: pickled dictionaries of tensors, read without running any code in the pickle."""

from __future__ import annotations

import re
from functools import partial
from pickle import UnpicklingError
from pickletools import genops
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter
from zipfile import ZIP_STORED, ZipFile

from netdsl.base.diagnostics import NetdslError
from netdsl.base.files import open_file
from netdsl.base.packages import need
from netdsl.weights.checkpoint import (
    FLOATS,
    NUMBERS,
    Checkpoint,
    Tensor,
    distinct,
    mapped,
    meaning_in,
    unreadable,
    unusable,
)
from netdsl.weights.nesting import found_in
from netdsl.weights.stand_ins import STAND_INS, PickledArray

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from netdsl.weights.initial import Array

MAX_REPEATED_BYTES = 2**26
"""The largest size in bytes of a tensor that repeats fewer values in the file, as `expand` makes them."""
_BYTEARRAY = re.compile(rb"c(?:builtins|__builtin__)\nbytearray\n")
"""The pickle opcode for `bytearray`, which makes PyTorch allocate as much memory as the file says."""
_PICKLES = 5
"""The number of pickles before the values in a file of the older format."""
_NUMBERS = ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4")
"""The opcodes of integers in a pickle."""
_SAVE = "where you trust it, save only its weights: `torch.save(model.state_dict(), path)`"


def read(path: Path) -> Checkpoint:
    """Open a PyTorch checkpoint, its tensors mapped from the file where PyTorch can (files since version 1.6).

    Raises:
        NetdslError: it is cut short, holds something other than weights, or would run code when read (E0911), or
            PyTorch is not installed (E0907).
    """
    torch = need("torch", f"reading `{path}`")
    data = mapped(path)
    zipped = data[:4].tobytes() == b"PK\x03\x04"  # older files are a sequence of pickles, which cannot be mapped
    if not zipped and data[0] != 0x80:
        raise unusable(path, "expected an archive or a pickle, as PyTorch writes", "check where the file comes from")
    try:
        if zipped:
            _check_archive(path)
        else:
            _refuse_allocation(path, data.data)
            _check_storages(path, len(data))
        with catch_warnings(), torch.serialization.safe_globals(STAND_INS):
            simplefilter("ignore")  # what PyTorch warns of is either read or refused
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (MemoryError, NetdslError):
        raise
    except Exception as error:  # a damaged file may raise anything
        raise _explained(path, error) from error
    nested = found_in(loaded, (torch.Tensor, PickledArray))
    tensors = {name: _tensor(path, name, value) for name, value in nested.values.items()}
    sets = nested.sets(lambda name: tensors[name].dtype in FLOATS and bool(tensors[name].shape))
    if not sets:
        raise unusable(path, f"expected weights by name, got {_held(loaded)}", _SAVE)
    meaning = meaning_in(path, loaded.get("netdsl")) if isinstance(loaded, dict) else None
    return Checkpoint(path, "PyTorch", tensors, sets=sets, meaning=meaning)


def _check_archive(path: Path) -> None:
    """Refuse an archive that PyTorch would misread.

    Raises:
        NetdslError: it is a program; its entries are compressed, so that the mapped bytes would not be the values; or a
            pickle in it allocates memory (E0911).
        ValueError: two entries have the same name but for upper and lower case, which PyTorch does not distinguish.
    """
    with ZipFile(path) as archive:
        entries = distinct((info.filename.lower(), info) for info in archive.infolist())
        if any(name.endswith("/constants.pkl") for name in entries):
            raise unusable(path, "it is a TorchScript program, which would run when read", _SAVE)
        if any(info.compress_type != ZIP_STORED for info in entries.values()):
            again = "where you trust it, save it again: `torch.save(torch.load(path), path)`"
            raise unusable(path, "its entries are compressed, which PyTorch does not write", again)
        for name, info in entries.items():
            if name.endswith(".pkl"):
                _refuse_allocation(path, archive.read(info))


def _refuse_allocation(path: Path, data: bytes | memoryview) -> None:
    if _BYTEARRAY.search(data):
        raise unusable(path, "it would run `bytearray` when read, which is refused", _SAVE)


def _check_storages(path: Path, size: int) -> None:
    """Refuse a file of the older format whose pickles declare storages with more values than the file has bytes.

    PyTorch allocates a storage's memory before it reads the values; the lengths of texts are checked here, too. A
    storage has a persistent id, a tuple after a mark, in which an integer gives the number of values.
    """
    with open_file(path) as file:
        for _ in range(_PICKLES):
            number = 0
            for opcode, value, _ in genops(file):
                if opcode.name == "MARK":
                    number = 0
                elif opcode.name in _NUMBERS and isinstance(value, int):
                    number = max(number, value)
                elif opcode.name == "BINPERSID" and number > size:
                    problem = f"it declares {number:,} values in a storage, and has {size:,} bytes"
                    raise unusable(path, problem, "write or download it again")


def _held(loaded: object) -> str:
    if isinstance(loaded, dict):
        return f"a dictionary with {', '.join(f'`{key}`' for key in list(loaded)[:8]) or 'nothing in it'}"
    return f"a value of the type {type(loaded).__name__}"


def _tensor(path: Path, name: str, tensor: torch.Tensor | PickledArray) -> Tensor:
    if isinstance(tensor, PickledArray):
        numbers = tensor.numpy_dtype()
        if numbers is None:
            return Tensor((), "no number", 0, unreadable(path, name, "no number"))
        return Tensor(tuple(tensor.shape), numbers.name, len(tensor.data), tensor.read)
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_nested:  # it has no shape
        return Tensor((), f"nested {dtype}", 0, unreadable(path, name, f"nested {dtype}"))
    layout, device, shape = str(tensor.layout).removeprefix("torch."), tensor.device.type, tuple(map(int, tensor.shape))
    unusual = [layout if layout != "strided" else "", f"on {device}" if device != "cpu" else ""]
    if dtype not in NUMBERS or any(unusual):
        kind = ", ".join(filter(None, [dtype, *unusual]))
        return Tensor(shape, kind, 0, unreadable(path, name, kind))
    size = tensor.numel() * tensor.element_size()
    if size > max(MAX_REPEATED_BYTES, tensor.untyped_storage().nbytes()):
        raise unusable(path, f"`{name}` has {size:,} bytes of values, more than the file holds", _SAVE)
    return Tensor(shape, dtype, size, partial(_read, tensor, dtype))


def _read(tensor: torch.Tensor, dtype: str) -> Array:
    import torch  # noqa: PLC0415 - as in `read`

    plain = tensor.detach().resolve_neg()
    if "bfloat" in dtype or "float8" in dtype:  # torch converts only types that numpy itself has
        bits = plain.contiguous().view(torch.uint8 if tensor.element_size() == 1 else torch.int16).numpy()
        return bits.view(dtype)
    array: Array = plain.numpy()
    return array


def _explained(path: Path, error: Exception) -> NetdslError:
    text = " ".join(str(error).split())
    if isinstance(error, UnpicklingError) and (needed := _foreign(text)):
        return unusable(path, f"it would run `{needed}` when read, which is refused", _SAVE,
                        ("a checkpoint of weights needs only tensors and dictionaries",))  # fmt: skip
    problem = f"it is cut short, or holds more than weights: {_reason(text)}"
    return unusable(path, problem, f"download it again, or {_SAVE}")


def _foreign(text: str) -> str | None:
    """Return what a pickle needs besides tensors, from PyTorch's message."""
    match = re.search(r"(?:Unsupported global: GLOBAL|Trying to load unsupported GLOBAL|type) ([\w.]+)", text)
    return match[1] if match else None


def _reason(text: str) -> str:
    """Return the informative part of PyTorch's message, without its advice to turn the protection off."""
    if "weights_only" not in text.lower():
        return text[:200]
    return text.rpartition("WeightsUnpickler error: ")[2].partition(". ")[0].partition(" Check the doc")[0][:200]
