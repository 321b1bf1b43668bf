"""Reading a data set by name: finding its format and calling the reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.base.files import is_standard_input
from netdsl.data.archives import read_npz
from netdsl.data.cifar import HUNDRED, TEN, read_cifar
from netdsl.data.digits import read_digits
from netdsl.data.folders import class_folders, read_folders
from netdsl.data.idx import idx_files, read_idx
from netdsl.data.tables import read_table

if TYPE_CHECKING:
    from netdsl.data.parts import Found

LOOKED_FOR = (
    "IDX files as of MNIST (`train-images-idx3-ubyte`, plain or `.gz`), files of CIFAR-10 (`data_batch_1.bin`) or "
    "CIFAR-100 (`train.bin`), or a subdirectory of images for each class"
)


def read_data(spec: str | Path) -> Found:
    """Read `digits`, a `.npz` or `.csv` file, or a directory, whose files determine its format.

    Raises:
        NetdslError: there is no data set (E1001), or it cannot be used.
    """
    if spec == "digits":
        return read_digits()
    path = Path(spec)
    if is_standard_input(path):
        raise fail("E1001", "expected a file or a directory of data, got `-`: data are not read from standard input",
                   help="write them to a file that ends in `.npz` or `.csv`")  # fmt: skip
    if not path.exists():
        raise fail("E1001", f"there is no file or directory `{path}`",
                   help="give a directory, an `.npz` or `.csv` file, or `digits`; nothing is downloaded")  # fmt: skip
    try:
        if path.is_dir():
            return _read_directory(path)
    except OSError as error:
        raise fail("E0901", f"cannot read `{path}`: {(error.strerror or str(error)).lower()}") from error
    readers = {".npz": read_npz, ".csv": read_table}
    if path.suffix not in readers:
        raise fail(
            "E1001", f"expected an `.npz` or `.csv` file, got `{path}`", help="data of other formats are directories"
        )
    return readers[path.suffix](path)


def _read_directory(path: Path) -> Found:
    if idx_files(path):
        return read_idx(path)
    if (path / TEN.train[0]).is_file():
        return read_cifar(path, TEN)
    if (path / HUNDRED.train[0]).is_file():
        return read_cifar(path, HUNDRED)
    if class_folders(path):
        return read_folders(path)
    there = sorted(entry.name for entry in path.iterdir())
    shown = ", ".join(f"`{name}`" for name in there[:4]) or "nothing"
    raise fail(
        "E1001",
        f"`{path}` holds {shown}{', ...' if len(there) > 4 else ''}, and no data",
        notes=(f"looked for: {LOOKED_FOR}",),
        help="take the binary version of CIFAR" if "batches.meta" in there or "meta" in there else "unpack them there",
    )
