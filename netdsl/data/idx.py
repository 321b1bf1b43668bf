"""MNIST's form: one file of images and one of labels for each split, plain or gzipped.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; Fashion-MNIST, KMNIST and EMNIST have it too.
"""

from __future__ import annotations

import re
from gzip import GzipFile
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import need_unpacked, open_file, reading
from netdsl.data.parts import Array, Found, Part, broken

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(?P<set>.*?)-?(?P<split>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?")
_MAX_IDX_BYTES = 2**34
"""More bytes than any such file has; a header that asks for more is wrong."""
_BYTES_READ_AT_ONCE = 2**20


def idx_files(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """The files of this form in a directory, by the data set that their names begin with, split and content."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # of a file and its gzipped form, the plain one comes last
        if match := _NAME.fullmatch(path.name):
            split = "train" if match["split"] == "train" else "test"
            found.setdefault(match["set"], {})[split, match["what"]] = path
    return found


def read_idx(folder: Path) -> Found:
    """A data set of MNIST's form; the images of EMNIST, which lie on their side in its files, are turned upright.

    Raises:
        NetdslError: files are missing or several sets are there (E1001), or a file is broken (E1002).
    """
    sets = idx_files(folder)
    if len(sets) > 1:
        raise fail(
            "E1001",
            f"`{folder}` holds {len(sets)} data sets: {', '.join(f'`{name}`' for name in sorted(sets))}",
            help="give each a directory of its own",
        )
    ((name, files),) = sets.items()
    parts = {}
    for split in dict.fromkeys(split for split, _ in files):
        for what in ("images", "labels"):
            if (split, what) not in files:
                there = ", ".join(f"`{path.name}`" for path in sorted(files.values()))
                raise fail("E1001", f"`{folder}` has no file with the {what} of the {split} split: there are {there}",
                           help="put all files of the data set there")  # fmt: skip
        images = read_array(files[split, "images"], 3)
        if name.startswith("emnist"):
            images = images.transpose(0, 2, 1)
        labels = read_array(files[split, "labels"], 1).astype(np.int64)
        if len(images) != len(labels):
            raise fail("E1003", f"there must be one label for each image, and `{files[split, 'images']}` has "
                                f"{len(images):,} images, `{files[split, 'labels'].name}` {len(labels):,} labels",
                       help="take both files from the same data set")  # fmt: skip
        parts[split] = Part(images, labels)
    if "train" not in parts:
        raise fail("E1001", f"`{folder}` has no file `train-images-idx3-ubyte` or the same with `.gz`",
                   help="put all files of the data set there")  # fmt: skip
    return Found(str(folder), parts["train"], test=parts.get("test"))


def read_array(path: Path, rank: int) -> Array:
    """The bytes of an IDX file as an array of `rank` dimensions.

    The file begins with two zeros, the element type (8 for bytes) and the number of dimensions, and then has their
    sizes as big-endian integers of four bytes.

    Raises:
        NetdslError: the file cannot be read (E0901) or is broken (E1002).
    """
    with reading(path, "E1002", "a whole gzip file", "copy or download it again"), open_file(path) as opened:
        packed = path.suffix == ".gz"
        file = GzipFile(fileobj=opened) if packed else opened
        head = file.read(4 + 4 * rank)
        if head[:4] != bytes((0, 0, 8, rank))[: len(head)]:
            raise broken(path, f"must begin with the bytes 0 0 8 {rank}, and begins with "
                               f"{' '.join(map(str, head[:4]))}", "give the file of that form itself")  # fmt: skip
        if len(head) < 4 + 4 * rank:
            raise broken(path, f"is cut short: it ends after {len(head)} bytes, within its head")
        shape = tuple(int(size) for size in np.frombuffer(head, ">u4", offset=4))
        due, size = prod(shape), path.stat().st_size
        if due > _MAX_IDX_BYTES:
            raise broken(path, f"has a head that asks for {'x'.join(map(str, shape))} bytes")
        if packed:
            need_unpacked(path, size, due, "E1002", "unpack it, and give the plain file")
        body = bytearray()
        while len(body) <= due and (piece := file.read(_BYTES_READ_AT_ONCE)):
            body += piece
    if len(body) != due:
        state = "is cut short" if len(body) < due else "has bytes to spare"
        raise broken(path, f"{state}: its head promises {'x'.join(map(str, shape))} = {due:,} bytes, and "
                           f"{f'{len(body):,}' if len(body) < due else 'more'} follow")  # fmt: skip
    return np.frombuffer(body, np.uint8).reshape(shape)
