"""Arrays in numpy's files: `.npy` and `.npz`. What a file promises is held against what it has before it is read."""

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
    """The ending of a file's name in small letters; what standard input holds is told from how it begins."""
    if not is_standard_input(path):
        return path.suffix.lower()
    with open_file(path) as file:
        start = file.read(6)
    return next((form for known, form in _STARTS.items() if start.startswith(known)), "")


def read_npy(path: Path, code: str) -> Array:
    """The array in a `.npy` file; pickled objects are refused.

    Args:
        path: the file, or `-`.
        code: the diagnostic's code where it is damaged.

    Raises:
        NetdslError: the file cannot be read (E0901), or holds something else (`code`).
    """
    with reading(path, code, "a whole file of one array", _REMEDY), open_file(path) as file:
        room = file.seek(0, 2)
        file.seek(0)
        _need_room(file, room)
        return _array(file)


def read_npz(path: Path, code: str) -> dict[str, Array]:
    """The arrays in a `.npz` archive by name; pickled objects are refused, and so are two arrays of one name.

    Args:
        path: the file, or `-`.
        code: the diagnostic's code where it is damaged.

    Raises:
        NetdslError: the file cannot be read (E0901), or holds something else (`code`).
    """
    with reading(path, code, "a whole archive of arrays", _REMEDY), open_file(path) as file, ZipFile(file) as archive:
        size = file.seek(0, 2)
        members = entries(archive, size)
        promised = 0
        for member in members.values():
            with archive.open(member) as entry:
                promised += _need_room(entry, member.file_size)
        need_unpacked(path, size, promised, code, "write it with `numpy.savez`, which does not compress")
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as entry:
                arrays[name] = _array(entry)
        return arrays


def _need_room(file: IO[bytes], room: int) -> int:
    """The bytes that the array in a file of `room` bytes takes; ValueError where it has not so many."""
    shape, dtype, there = head(file, room)
    due = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    if due > there and not dtype.hasobject:
        raise ValueError(f"its shape {shape} of {dtype.name} asks for {due:,} bytes, and it has {there:,}")
    return due


def _array(file: IO[bytes]) -> Array:
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array
