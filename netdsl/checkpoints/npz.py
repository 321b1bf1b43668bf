"""numpy's npz: a zip archive of arrays."""

from __future__ import annotations

import json
import zlib
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import numpy as np

from netdsl.checkpoints.checkpoint import NUMBERS, Checkpoint, Tensor, meaning_in, unreadable, unusable
from netdsl.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from netdsl.ir.meaning import Meaning
    from netdsl.weights import Array

DESCRIPTION = "netdsl.json"
"""The entry of an archive that says what net its weights are of, as text; numpy gives it as bytes."""
MOST_DESCRIPTION = 2**24


def read(path: Path) -> Checkpoint:
    """Open an npz file; pickled objects in it are refused.

    Raises:
        NetdslError: it is cut short, or holds something else than arrays of numbers (E0911); a damage within an array
            is found when it is read.
    """
    with _explained(path):
        archive = ZipFile(path)
        tensors = {}
        for name in archive.namelist():
            if name == DESCRIPTION:
                continue
            tensors[name.removesuffix(".npy")] = _tensor(path, archive, name)
        meaning = _meaning(path, archive) if DESCRIPTION in archive.namelist() else None
    return Checkpoint(path, "npz", tensors, meaning=meaning)


def write_npz(path: Path, arrays: Iterable[tuple[str, Array]], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays one after the other under their names; `numpy.savez` takes none of the name `file`.

    Args:
        path: the file.
        arrays: names and arrays.
        metadata: texts that go into an entry `netdsl.json`, which is no array.
    """
    with whole_file(path) as file, ZipFile(file, "w") as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        if metadata:
            archive.writestr(DESCRIPTION, json.dumps(metadata, ensure_ascii=False, indent=1))


def _meaning(path: Path, archive: ZipFile) -> Meaning | None:
    if archive.getinfo(DESCRIPTION).file_size > MOST_DESCRIPTION:
        raise unusable(path, f"its entry `{DESCRIPTION}` is too large", "write it again")
    try:
        said = json.loads(archive.read(DESCRIPTION))
    except RecursionError:
        said = None
    if not isinstance(said, dict):
        raise unusable(path, f"its entry `{DESCRIPTION}` is no object of texts", "write it again")
    return meaning_in(path, said)


def _tensor(path: Path, archive: ZipFile, name: str) -> Tensor:
    with archive.open(name) as member:
        first = np.lib.format.read_magic(member) == (1, 0)
        read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(member)
    if dtype.hasobject:
        raise unusable(
            path,
            f"`{name.removesuffix('.npy')}` holds Python objects, which are pickles and not read",
            "save it as an array of numbers: `numpy.savez(file, name=array.astype('float32'))`",
        )
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.name not in NUMBERS:
        return Tensor(tuple(shape), dtype.name, size, unreadable(path, name.removesuffix(".npy"), dtype.name))
    return Tensor(tuple(shape), dtype.name, size, partial(_read, path, archive, name))


def _read(path: Path, archive: ZipFile, name: str) -> Array:
    with _explained(path), archive.open(name) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What zip archives and arrays in them raise when they are damaged, as E0911."""
    try:
        yield
    except (OSError, ValueError, EOFError, TypeError, SyntaxError, RuntimeError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise unusable(path, f"it is no whole npz file: {reason}", "write it again with `numpy.savez`") from error
