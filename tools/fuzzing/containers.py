"""Damage to zip archives, such as npz files and PyTorch's checkpoints, and to the pickles in them."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from typing import TYPE_CHECKING

from fuzzing.damage import damaged, extreme
from fuzzing.lies import array_header

if TYPE_CHECKING:
    from random import Random

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NAMES = (
    "../out.npy", "/abs.npy", "a\x1b[31mb.npy", "x" * 300 + ".npy", "", ".npy", "a/b.npy", "\u202ea.npy", "a\nb.npy",
    "x.txt", "x.npy", "file.npy", "x_train.npy",
)  # fmt: skip
GLOBALS = (
    b"torch\n_neg_view", b"builtins\neval", b"os\nsystem", b"torch.storage\n_load_from_bytes",
    b"collections\nCounter", b"torch\nSize", b"torch\nabs", b"torch._utils\n_rebuild_parameter",
    b"torch._utils\n_rebuild_sparse_tensor", b"torch._utils\n_rebuild_qtensor", b"torch\n_conj", b"torch\nfloat32",
    b"torch\nempty", b"\nx", b"__main__\nNet", b"torch._utils\n_rebuild_meta_tensor_no_storage",
    b"torch\nHalfStorage", b"torch\nBoolStorage",
)  # fmt: skip


def archive(random: Random, data: bytes) -> bytes:
    """Return a zip archive with other entries, or with entries in another form."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as found:
            entries = [(info.filename, found.read(info)) for info in found.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, RuntimeError, ValueError):
        return extreme(random, data)
    if not entries:
        return extreme(random, data)
    pickles = [number for number, (name, _) in enumerate(entries) if name.endswith(".pkl")]
    place = random.choice(pickles if pickles and random.random() < 0.4 else [*range(len(entries))])
    name, content = entries[place]
    method = random.choice(METHODS)
    match random.choice(
        ["inside", "inside", "inside", "twice", "renamed", "away", "packed", "headers", "stream", "more"]
    ):
        case "inside":
            entries[place] = name, damaged(random, content, pickle_global if name.endswith(".pkl") else array_header)
        case "twice":
            entries.append((name, random.choice([content, damaged(random, content, array_header)])))
        case "renamed":
            entries[place] = random.choice(NAMES), content
        case "away":
            del entries[place]
        case "more":
            entries.append((random.choice(NAMES), random.choice([content, b"", b"x" * 100])))
        case "headers":
            return _headers(random, _packed(entries, method))
        case "stream":
            packed = _packed(entries, random.choice(METHODS[2:]))
            at = random.randrange(len(packed))
            return b"".join([packed[:at], random.randbytes(2), packed[at + 2 :]])
        case _:
            method = random.choice(METHODS[2:])
    return _packed(entries, method)


def _packed(entries: list[tuple[str, bytes]], method: int) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", method, compresslevel=1) as made:
        warnings.simplefilter("ignore")  # about two entries with the same name
        for name, content in entries:
            made.writestr(zipfile.ZipInfo(name), content, method)
    return written.getvalue()


def _headers(random: Random, data: bytes) -> bytes:
    """Write a wrong value to a header: flags, method, checksum, sizes or offsets."""
    places = [found.start() for found in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06", data)]
    at = random.choice(places) + random.choice([4, 6, 8, 10, 14, 16, 18, 20, 22, 24, 26, 28, 30, 42])
    number = random.choice([0, 1, 8, 12, 14, 99, 2**15, 2**16 - 1, 2**31, 2**32 - 1])
    size = random.choice([2, 4])
    return data[:at] + (number % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]


def pickle_global(random: Random, data: bytes) -> bytes:
    """Return a pickle that names another function or type, or has other numbers."""
    found = [*re.finditer(rb"c([\w.]+\n\w+)\n", data)]
    if not found or random.random() < 0.3:
        return damaged(random, data)
    one = random.choice(found)
    return data[: one.start(1)] + random.choice(GLOBALS) + data[one.end(1) :]
