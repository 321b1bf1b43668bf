"""numpy's npz: a zip archive of arrays."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import numpy as np

from netdsl.checkpoints.checkpoint import NUMBERS, Checkpoint, Tensor, unreadable, unusable
from netdsl.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from netdsl.weights import Array


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
            tensors[name.removesuffix(".npy")] = _tensor(path, archive, name)
    return Checkpoint(path, "npz", tensors)


def write_npz(path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
    """Write arrays one after the other under their names; `numpy.savez` takes none of the name `file`."""
    with whole_file(path) as file, ZipFile(file, "w") as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


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
