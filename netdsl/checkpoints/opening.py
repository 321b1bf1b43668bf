"""Opening a checkpoint of any kind."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.checkpoints.checkpoint import unusable
from netdsl.diagnostics import fail
from netdsl.files import impostor

if TYPE_CHECKING:
    import os

    from netdsl.checkpoints.checkpoint import Checkpoint

READERS = {
    ".safetensors": "safetensors_file",
    ".npz": "npz",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".bin": "pytorch",
    ".ckpt": "pytorch",
    ".onnx": "onnx_model",
}
"""The module that reads files of each ending; imported when there is one to read."""


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Open a file of weights; the ending of its name tells what it is, as in `READERS`.

    Arrays are read when they are asked for. PyTorch's files are never trusted: what needs more of pickle than weights
    do is refused before any of it is run.

    Raises:
        NetdslError: the file cannot be read (E0901), is no whole checkpoint of its kind (E0911), or needs a package
            that is not installed (E0907).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise fail("E0901", f"cannot read `{path}`: {(error.strerror or str(error)).lower()}",
                   help="give the path of a checkpoint") from error  # fmt: skip
    if path.suffix not in READERS:
        raise unusable(path, "its ending is not that of a checkpoint", f"the endings are {', '.join(READERS)}")
    if not start:
        raise unusable(path, "it is empty", "write or download it again")
    if other := impostor(start):
        raise unusable(path, f"it is {other[0]}, not a checkpoint", other[1])
    reader = import_module(f"netdsl.checkpoints.{READERS[path.suffix]}")
    checkpoint: Checkpoint = reader.read(path)
    return checkpoint
