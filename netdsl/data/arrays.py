"""Arrays in numpy's files, `.npy` and `.npz`. The size in a header is compared with the file before it is read."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias
from zipfile import ZipFile

import numpy as np

from netdsl.base.files import is_standard_input, need_unpacked, open_file, reading
from netdsl.weights.npz import entries, head

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

Array: TypeAlias = np.ndarray[Any, Any]

NPY, NPZ = ".npy", ".npz"
_REMEDY = "write it with `numpy.save`, or several with `numpy.savez`, without objects"
_STARTS = {b"\x93NUMPY": NPY, b"PK\x03\x04": NPZ, b"PK\x05\x06": NPZ}


def form_of(path: Path) -> str:
    """Return the ending of a file's name in lower case; for standard input, the one that fits its first bytes."""
    if not is_standard_input(path):
        return path.suffix.lower()
    with open_file(path) as file:
        start = file.read(6)
    return next((form for known, form in _STARTS.items() if start.startswith(known)), "")


def read_npy(path: Path, code: str) -> Array:
    """Read the array in a `.npy` file; pickled objects are refused.

    Args:
        path: the file, or `-`.
        code: the error code if the file is damaged.

    Raises:
        NetdslError: the file cannot be read (E0901), or is damaged (`code`).
    """
    with reading(path, code, "a whole file of one array", _REMEDY), open_file(path) as file:
        room = file.seek(0, 2)
        file.seek(0)
        _need_room(file, room)
        return _array(file)


def read_npz(path: Path, code: str) -> dict[str, Array]:
    """Read the arrays in a `.npz` archive by name; pickled objects are refused, and two arrays with one name.

    Args:
        path: the file, or `-`.
        code: the error code if the file is damaged.

    Raises:
        NetdslError: the file cannot be read (E0901), or is damaged (`code`).
    """
    with reading(path, code, "a whole archive of arrays", _REMEDY), open_file(path) as file, ZipFile(file) as archive:
        size = file.seek(0, 2)
        members = entries(archive, size)
        total = 0
        for member in members.values():
            with archive.open(member) as entry:
                total += _need_room(entry, member.file_size)
        need_unpacked(path, size, total, code, "write it with `numpy.savez`, which does not compress")
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as entry:
                arrays[name] = _array(entry)
        return arrays


def _need_room(file: IO[bytes], room: int) -> int:
    """Return the bytes of the array in a file of `room` bytes; raise ValueError if the file is shorter."""
    shape, dtype, there = head(file, room)
    needed = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    if needed > there and not dtype.hasobject:
        raise ValueError(f"its shape {shape} of {dtype.name} needs {needed:,} bytes, and it has {there:,}")
    return needed


def _array(file: IO[bytes]) -> Array:
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array
