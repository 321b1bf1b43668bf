"""CIFAR-10 and CIFAR-100 in their binary format: records of labels and 3 x 32 x 32 bytes.

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and the page of the data sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import read_file
from netdsl.data.parts import Found, Part, broken
from netdsl.ir.labels import class_name

if TYPE_CHECKING:
    from pathlib import Path

_PIXELS = 3 * 32 * 32
MAX_CIFAR_BYTES = 2**28
"""A limit above the size of all these files: the largest, of CIFAR-100, has 154 million bytes."""


class CifarLayout(NamedTuple):
    """The files of a data set; the last of the label bytes is the class."""

    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int


TEN = CifarLayout(tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin", "batches.meta.txt", 1)
HUNDRED = CifarLayout(("train.bin",), "test.bin", "fine_label_names.txt", 2)


def read_cifar(folder: Path, form: CifarLayout) -> Found:
    """Read CIFAR-10 (`TEN`) or CIFAR-100 with its fine classes (`HUNDRED`).

    Raises:
        NetdslError: a file is missing (E1001), cannot be read (E0901) or is damaged (E1002).
    """
    for name in (*form.train, form.test, form.names):
        if not (folder / name).is_file():
            raise fail("E1001", f"`{folder}` has no file `{name}`", help="put all files of the data set there")
    text = read_file(folder / form.names, MAX_CIFAR_BYTES).decode("utf-8", "replace")
    labels = tuple(class_name(line.strip()) for line in text.splitlines() if line.strip())
    batches = [_records(folder / name, form) for name in form.train]
    train = Part(np.concatenate([b.inputs for b in batches]), np.concatenate([b.targets for b in batches]))
    return Found(str(folder), train, test=_records(folder / form.test, form), labels=labels)


def _records(path: Path, form: CifarLayout) -> Part:
    size = form.label_bytes + _PIXELS
    content = read_file(path, MAX_CIFAR_BYTES)
    if not content or len(content) % size:
        raise broken(path, f"must hold records of {size:,} bytes each, but holds {len(content):,} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    images = records[:, form.label_bytes :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Part(images, records[:, form.label_bytes - 1].astype(np.int64))
