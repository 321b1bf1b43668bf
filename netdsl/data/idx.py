"""The IDX format of MNIST: one file of images and one of labels for each split, plain or gzipped.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; Fashion-MNIST, KMNIST and EMNIST use it too.
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
"""A limit above the size of all such files; a header that needs more bytes is wrong."""
_BYTES_READ_AT_ONCE = 2**20


def idx_files(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """Return the IDX files in a directory, by the prefix that names their data set, and by split and content."""
    data_sets: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file comes after its gzipped form, and replaces it
        if match := _NAME.fullmatch(path.name):
            split = "train" if match["split"] == "train" else "test"
            data_sets.setdefault(match["set"], {})[split, match["what"]] = path
    return data_sets


def read_idx(folder: Path) -> Found:
    """Read an IDX data set; EMNIST's images, which are stored transposed, are turned upright.

    Raises:
        NetdslError: files are missing or there are several data sets (E1001), or a file is damaged (E1002).
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
            raise fail("E1003", f"expected one label for each image, got {len(images):,} images in "
                                f"`{files[split, 'images']}` and {len(labels):,} in `{files[split, 'labels'].name}`",
                       help="take both files from the same data set")  # fmt: skip
        parts[split] = Part(images, labels)
    if "train" not in parts:
        raise fail("E1001", f"`{folder}` has no file `train-images-idx3-ubyte`, plain or with `.gz`",
                   help="put all files of the data set there")  # fmt: skip
    return Found(str(folder), parts["train"], test=parts.get("test"))


def read_array(path: Path, rank: int) -> Array:
    """Read the bytes of an IDX file as an array of `rank` dimensions.

    The file begins with two zeros, the element type (8 for bytes) and the number of dimensions, followed by the sizes
    as big-endian integers of four bytes.

    Raises:
        NetdslError: the file cannot be read (E0901) or is damaged (E1002).
    """
    with reading(path, "E1002", "a whole gzip file", "copy or download it again"), open_file(path) as opened:
        packed = path.suffix == ".gz"
        file = GzipFile(fileobj=opened) if packed else opened
        head = file.read(4 + 4 * rank)
        if head[:4] != bytes((0, 0, 8, rank))[: len(head)]:
            raise broken(path, f"must begin with the bytes 0 0 8 {rank}, but begins with "
                               f"{' '.join(map(str, head[:4]))}", "give the original file of this format")  # fmt: skip
        if len(head) < 4 + 4 * rank:
            raise broken(path, f"is cut short: it ends after {len(head)} bytes, within its header")
        shape = tuple(int(size) for size in np.frombuffer(head, ">u4", offset=4))
        needed, size = prod(shape), path.stat().st_size
        if needed > _MAX_IDX_BYTES:
            raise broken(path, f"has a header that needs {'x'.join(map(str, shape))} bytes")
        if packed:
            need_unpacked(path, size, needed, "E1002", "unpack it, and give the plain file")
        body = bytearray()
        while len(body) <= needed and (piece := file.read(_BYTES_READ_AT_ONCE)):
            body += piece
    if len(body) != needed:
        state = "is cut short" if len(body) < needed else "is too long"
        raise broken(path, f"{state}: its header needs {'x'.join(map(str, shape))} = {needed:,} bytes, and "
                           f"{f'{len(body):,}' if len(body) < needed else 'more'} follow")  # fmt: skip
    return np.frombuffer(body, np.uint8).reshape(shape)
