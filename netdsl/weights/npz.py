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
"""The entry of an archive that describes the net, as text; numpy returns it as bytes."""
MAX_DESCRIPTION_BYTES = 2**24
"""The largest size of the description, in bytes."""
MAX_ENTRY_NAME_BYTES = 2**16 - 1
"""The longest name of an entry, in bytes."""
VERSIONS = ((1, 0), (2, 0), (3, 0))
"""The versions of the header that numpy writes before the values of an array."""
MAX_COMPRESSION, MAX_HEADER_BYTES = 1032, 2**16
"""The largest expansion factor of deflate, and the bytes by which a small entry may exceed it."""


def read(path: Path) -> Checkpoint:
    """Open an npz file; pickled objects are refused.

    Raises:
        NetdslError: it holds something other than arrays of numbers (E0911).
        Exception: it is damaged; damage within an array is detected when that array is read.
    """
    size = path.stat().st_size
    archive = ZipFile(path)
    arrays = entries(archive, size)
    described = arrays.pop(DESCRIPTION, None) is not None
    tensors = {name: _tensor(path, archive, name, info) for name, info in arrays.items()}
    return Checkpoint(path, "npz", tensors, meaning=_meaning(path, archive) if described else None)


def entries(archive: ZipFile, size: int) -> dict[str, ZipInfo]:
    """Return the entries of an npz file of `size` bytes, by the names of their arrays.

    Raises:
        ValueError: two entries have the same name, or one is compressed in a way that numpy does not use, or is larger
            than the file can hold.
    """
    by_name = distinct((info.filename.removesuffix(".npy"), info) for info in archive.infolist())
    for name, info in by_name.items():
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # other methods may expand a few bytes to gigabytes
            raise ValueError(f"`{name}` is compressed in a way that numpy does not write")
        if info.compress_size > size or info.file_size > MAX_COMPRESSION * info.compress_size + MAX_HEADER_BYTES:
            raise ValueError(f"`{name}` has {info.file_size:,} bytes, more than the file can hold")
    return by_name


def head(file: IO[bytes], room: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape and element type of an array in an entry of `room` bytes, and the bytes after its header.

    Raises:
        ValueError: the header has an unknown version or exceeds the entry. numpy raises other exceptions.
    """
    version = np.lib.format.read_magic(file)
    if version not in VERSIONS:
        raise ValueError(f"its header has the unknown version {'.'.join(map(str, version))}")
    first, at = version == (1, 0), file.tell()
    length = int.from_bytes(file.read(2 if first else 4), "little")
    if length > room:
        raise ValueError(f"its header needs {length:,} bytes, and it has {room:,}")
    file.seek(at)
    read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    return shape, dtype, room - file.tell()


def write_npz(path: Path, arrays: Iterable[tuple[str, Array]], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays under their names; unlike `numpy.savez`, this accepts the name `file`.

    Args:
        path: the file.
        arrays: names and arrays.
        metadata: texts for an entry `netdsl.json`, which is not an array.

    Raises:
        NetdslError: the file cannot be written (E0902, E0903), or a name is not possible in npz (E0902).
    """
    with whole_file(path) as file, ZipFile(file, "w") as archive:
        for name, array in arrays:
            if name == DESCRIPTION or "\0" in name or len(f"{name}.npy".encode()) > MAX_ENTRY_NAME_BYTES:
                raise fail("E0902", f"cannot write `{path}`: no array in an npz file can be called `{name}`",
                                  help="rename it, or choose another file format")  # fmt: skip
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        if metadata:
            archive.writestr(DESCRIPTION, json.dumps(metadata, ensure_ascii=False, indent=1))


def _meaning(path: Path, archive: ZipFile) -> Meaning | None:
    if archive.getinfo(DESCRIPTION).file_size > MAX_DESCRIPTION_BYTES:
        raise unusable(path, f"its entry `{DESCRIPTION}` is too large", "write it again")
    texts = json.loads(archive.read(DESCRIPTION))
    if not isinstance(texts, dict):
        raise unusable(path, f"its entry `{DESCRIPTION}` is not a JSON object of texts", "write it again")
    return meaning_in(path, texts)


def _tensor(path: Path, archive: ZipFile, name: str, info: ZipInfo) -> Tensor:
    with archive.open(info) as member:
        shape, dtype, given = head(member, info.file_size)
    if dtype.hasobject:
        raise unusable(
            path,
            f"`{name}` holds Python objects, which are pickled and not read",
            "save it as an array of numbers: `numpy.savez(file, name=array.astype('float32'))`",
        )
    expected = prod(shape) * dtype.itemsize
    if given != expected:
        raise ValueError(f"`{name}` has {given:,} bytes of values, and its shape needs {expected:,}")
    if dtype.name not in NUMBERS:
        return Tensor(shape, dtype.name, expected, unreadable(path, name, dtype.name))
    return Tensor(shape, dtype.name, expected, partial(_read, archive, info))


def _read(archive: ZipFile, info: ZipInfo) -> Array:
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array
