"""Fingerprints of splits: hashes of arrays, or of the names, sizes and times of files."""

from __future__ import annotations

from hashlib import sha256
from os.path import commonpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.data.parts import Array, Part


def fingerprint(part: Part, left_out: Sequence[int] = ()) -> dict[str, Any]:
    """Return the fingerprint of a split as JSON; the location of its files does not matter.

    Args:
        part: the samples as they were read.
        left_out: the numbers of samples that cannot be used.
    """
    inputs = part.inputs
    identity = (
        {"sha256": _hash(inputs)} if isinstance(inputs, np.ndarray) else {"files": _listing([*map(Path, inputs)])}
    )
    return {"samples": len(part), **identity, "targets": _hash(part.targets), "left_out": [*left_out]}


def _listing(files: list[Path]) -> str:
    digest = sha256()
    root = commonpath([file.parent for file in files])
    for file in files:
        status = file.stat()
        digest.update(
            f"{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def _hash(array: Array) -> str:
    digest = sha256(f"{array.dtype.str} {array.shape}\n".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
