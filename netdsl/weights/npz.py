"""numpy's npz: a zip archive of arrays."""

from __future__ import annotations

import json
from functools import partial
from math import prod
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import whole_file
from netdsl.weights.checkpoint import NUMBERS, Checkpoint, Tensor, distinct, meaning_in, unreadable, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import IO, Any
    from zipfile import ZipInfo

    from netdsl.ir.meaning import Meaning
    from netdsl.weights.initial import Array

DESCRIPTION = "netdsl.json"
"""The entry of an archive that says what net its weights are of, as text; numpy gives it as bytes."""
MAX_DESCRIPTION_BYTES = 2**24
MAX_ENTRY_NAME_BYTES = 2**16 - 1
"""Bytes that the name of an entry may have."""
VERSIONS = ((1, 0), (2, 0), (3, 0))
"""The forms in which numpy writes what stands before the values of an array."""
MAX_COMPRESSION, MAX_HEADER_BYTES = 1032, 2**16
"""Deflate, which numpy writes, makes at most so many bytes of one; and what a small entry may have beside that."""


def read(path: Path) -> Checkpoint:
    """Open an npz file; pickled objects in it are refused.

    Raises:
        NetdslError: it holds something else than arrays of numbers (E0911).
        Exception: it is damaged; a damage within an array is found when it is read.
    """
    size = path.stat().st_size
    archive = ZipFile(path)
    arrays = entries(archive, size)
    told = arrays.pop(DESCRIPTION, None)
    tensors = {name: _tensor(path, archive, name, info) for name, info in arrays.items()}
    return Checkpoint(path, "npz", tensors, meaning=_meaning(path, archive) if told is not None else None)


def entries(archive: ZipFile, size: int) -> dict[str, ZipInfo]:
    """The entries of an npz file of so many bytes, by the names of their arrays.

    Raises:
        ValueError: two have one name, or one is packed as numpy does not, or promises what the file cannot hold.
    """
    found = distinct((info.filename.removesuffix(".npy"), info) for info in archive.infolist())
    for name, info in found.items():
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others may make gigabytes of a few bytes
            raise ValueError(f"`{name}` is compressed in a way that numpy does not write")
        if info.compress_size > size or info.file_size > MAX_COMPRESSION * info.compress_size + MAX_HEADER_BYTES:
            raise ValueError(f"`{name}` has {info.file_size:,} bytes, and the file cannot hold so many")
    return found


def head(file: IO[bytes], room: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape and element type of an array in a file of `room` bytes, and the bytes of values behind them.

    Raises:
        ValueError: the head is of another form, or promises more than there is. Others come out of numpy.
    """
    version = np.lib.format.read_magic(file)
    if version not in VERSIONS:
        raise ValueError(f"its head is of the unknown form {'.'.join(map(str, version))}")
    first, at = version == (1, 0), file.tell()
    promised = int.from_bytes(file.read(2 if first else 4), "little")
    if promised > room:
        raise ValueError(f"its head asks for {promised:,} bytes, and it has {room:,}")
    file.seek(at)
    read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    return shape, dtype, room - file.tell()


def write_npz(path: Path, arrays: Iterable[tuple[str, Array]], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays one after the other under their names; `numpy.savez` takes none of the name `file`.

    Args:
        path: the file.
        arrays: names and arrays.
        metadata: texts that go into an entry `netdsl.json`, which is no array.

    Raises:
        NetdslError: the file cannot be written (E0902, E0903), or no entry can have a name (E0902).
    """
    with whole_file(path) as file, ZipFile(file, "w") as archive:
        for name, array in arrays:
            if name == DESCRIPTION or "\0" in name or len(f"{name}.npy".encode()) > MAX_ENTRY_NAME_BYTES:
                raise fail("E0902", f"cannot write `{path}`: no array in an npz file can be called `{name}`",
                           help="rename it, or choose another form of file")  # fmt: skip
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        if metadata:
            archive.writestr(DESCRIPTION, json.dumps(metadata, ensure_ascii=False, indent=1))


def _meaning(path: Path, archive: ZipFile) -> Meaning | None:
    if archive.getinfo(DESCRIPTION).file_size > MAX_DESCRIPTION_BYTES:
        raise unusable(path, f"its entry `{DESCRIPTION}` is too large", "write it again")
    said = json.loads(archive.read(DESCRIPTION))
    if not isinstance(said, dict):
        raise unusable(path, f"its entry `{DESCRIPTION}` is no object of texts", "write it again")
    return meaning_in(path, said)


def _tensor(path: Path, archive: ZipFile, name: str, info: ZipInfo) -> Tensor:
    with archive.open(info) as member:
        shape, dtype, given = head(member, info.file_size)
    if dtype.hasobject:
        raise unusable(
            path,
            f"`{name}` holds Python objects, which are pickles and not read",
            "save it as an array of numbers: `numpy.savez(file, name=array.astype('float32'))`",
        )
    asked = prod(shape) * dtype.itemsize
    if given != asked:
        raise ValueError(f"`{name}` has {given:,} bytes of values, and its shape asks for {asked:,}")
    if dtype.name not in NUMBERS:
        return Tensor(shape, dtype.name, asked, unreadable(path, name, dtype.name))
    return Tensor(shape, dtype.name, asked, partial(_read, archive, info))


def _read(archive: ZipFile, info: ZipInfo) -> Array:
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array
