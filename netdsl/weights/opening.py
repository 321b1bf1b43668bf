"""Opening a checkpoint in any format."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.files import impostor, open_file, reading
from netdsl.weights.checkpoint import unusable
from netdsl.weights.choosing import only

if TYPE_CHECKING:
    import os

    from netdsl.weights.checkpoint import Checkpoint, Tensor
    from netdsl.weights.initial import Array

READERS = {
    ".safetensors": ("safetensors_file", "a whole safetensors file"),
    ".npz": ("npz", "a whole npz file"),
    ".pt": ("pytorch", "a whole PyTorch checkpoint"),
    ".pth": ("pytorch", "a whole PyTorch checkpoint"),
    ".bin": ("pytorch", "a whole PyTorch checkpoint"),
    ".ckpt": ("pytorch", "a whole PyTorch checkpoint"),
    ".onnx": ("onnx_model", "a whole ONNX model"),
    ".json": ("sharded", "an index of shards"),
}
"""The module that reads each file ending, imported when it is needed; and what such a file is, for errors."""
INDEX = ".index.json"
"""The ending of the name of an index of shards."""
_RETRY = "write or download it again"


def open_checkpoint(path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
    """Open a file of weights; the ending of its name gives its format, as in `READERS`.

    Arrays are read on demand. PyTorch's files are never trusted: a pickle that needs more than weights do is refused
    before any of it runs.

    Args:
        path: the file, the index of a sharded checkpoint, or the folder that holds one index.
        key: the dotted keys that lead to the weights in the file (`ema.state_dict`; `.` for the outermost), or a
            prefix of names up to a dot; None if only one place holds weights.

    Raises:
        NetdslError: the file cannot be read (E0901), is damaged or not of its format (E0911), needs a package that is
            not installed (E0907), has nothing under the key, or weights in several places and no key (E0918).
    """
    return only(open_whole(path), key)


def open_whole(path: str | os.PathLike[str]) -> Checkpoint:
    """Open a file of weights with all sets that it holds.

    Raises:
        NetdslError: as `open_checkpoint` does for the file.
    """
    path = Path(path)
    if path.is_dir():
        path = _index(path)
    if path.suffix not in READERS and path.is_file() | (str(path) == "-"):
        raise unusable(path, "its ending is not that of a checkpoint", f"use one of {', '.join(READERS)}")
    try:
        with open_file(path) as file:
            start = file.read(64)
    except NetdslError as error:
        raise NetdslError(replace(error.diagnostics[0], help="give the path of a checkpoint")) from error
    if not start:
        raise unusable(path, "it is empty", _RETRY)
    if other := impostor(start):
        raise unusable(path, f"it is {other[0]}, not a checkpoint", other[1])
    module, what = READERS[path.suffix]
    reader = import_module(f"netdsl.weights.{module}")
    with reading(path, "E0911", what, _RETRY):
        checkpoint: Checkpoint = reader.read(path)
    tensors = {name: replace(tensor, read=partial(_array, path, what, name, tensor))
               for name, tensor in checkpoint.tensors.items()}  # fmt: skip
    return replace(checkpoint, tensors=tensors)


def _array(path: Path, what: str, name: str, tensor: Tensor) -> Array:
    """Read a tensor; damage within it is detected here."""
    with reading(path, "E0911", what, _RETRY):
        array = tensor.read()
    if array.shape != tensor.shape or array.dtype.name != tensor.dtype:
        raise unusable(path, f"the values of `{name}` do not match its shape and type", _RETRY)
    return array


def _index(folder: Path) -> Path:
    """Return the index of shards in a folder."""
    indexes = sorted(path for path in folder.iterdir() if path.name.endswith(INDEX))
    if len(indexes) == 1:
        return indexes[0]
    if indexes:
        problem = f"it holds {len(indexes)} indexes of shards: {', '.join(f'`{path.name}`' for path in indexes)}"
        raise unusable(folder, problem, f"give the path of one: `{indexes[0]}`")
    files = sorted(path for path in folder.iterdir() if path.suffix in READERS and path.suffix != ".json")
    remedy = f"give the path of a file in it: `{files[0]}`" if files else "give the path of a checkpoint"
    raise fail("E0901", f"cannot read `{folder}`: it is a directory, and holds no index of shards", help=remedy)
