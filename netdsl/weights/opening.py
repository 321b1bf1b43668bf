"""Opening a checkpoint of any kind."""

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
"""The module that reads files of each ending, imported when there is one to read; and what such a file is."""
INDEX = ".index.json"
"""How the name of an index of shards ends."""
_AGAIN = "write or download it again"


def open_checkpoint(path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
    """Open a file of weights; the ending of its name tells what it is, as in `READERS`.

    Arrays are read when they are asked for. PyTorch's files are never trusted: what needs more of pickle than weights
    do is refused before any of it is run.

    Args:
        path: the file, the index of a checkpoint in shards, or the folder that holds one index.
        key: the dotted keys under which the weights lie in the file (`ema.state_dict`; `.` for the outermost), or a
            beginning of names up to a dot; None where there is but one place.

    Raises:
        NetdslError: the file cannot be read (E0901), is no whole checkpoint of its kind (E0911), needs a package that
            is not installed (E0907), has nothing under the key, or weights in several places and no key (E0918).
    """
    return only(open_whole(path), key)


def open_whole(path: str | os.PathLike[str]) -> Checkpoint:
    """Open a file of weights with all that it holds, whatever the place.

    Raises:
        NetdslError: as `open_checkpoint` does for the file.
    """
    path = Path(path)
    if path.is_dir():
        path = _index(path)
    if path.suffix not in READERS and path.is_file() | (str(path) == "-"):
        raise unusable(path, "its ending is not that of a checkpoint", f"the endings are {', '.join(READERS)}")
    try:
        with open_file(path) as file:
            start = file.read(64)
    except NetdslError as error:
        raise NetdslError(replace(error.diagnostics[0], help="give the path of a checkpoint")) from error
    if not start:
        raise unusable(path, "it is empty", _AGAIN)
    if other := impostor(start):
        raise unusable(path, f"it is {other[0]}, not a checkpoint", other[1])
    module, what = READERS[path.suffix]
    reader = import_module(f"netdsl.weights.{module}")
    with reading(path, "E0911", what, _AGAIN):
        checkpoint: Checkpoint = reader.read(path)
    tensors = {name: replace(tensor, read=partial(_array, path, what, name, tensor))
               for name, tensor in checkpoint.tensors.items()}  # fmt: skip
    return replace(checkpoint, tensors=tensors)


def _array(path: Path, what: str, name: str, tensor: Tensor) -> Array:
    """Read a tensor; damage within it is found here."""
    with reading(path, "E0911", what, _AGAIN):
        array = tensor.read()
    if array.shape != tensor.shape or array.dtype.name != tensor.dtype:
        raise unusable(path, f"`{name}` has not the values that its shape and type ask for", _AGAIN)
    return array


def _index(folder: Path) -> Path:
    """The index of shards in a folder."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(INDEX))
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"it holds {len(found)} indexes of shards: {', '.join(f'`{path.name}`' for path in found)}"
        raise unusable(folder, problem, f"give the path of one: `{found[0]}`")
    files = sorted(path for path in folder.iterdir() if path.suffix in READERS and path.suffix != ".json")
    remedy = f"give the path of a file in it: `{files[0]}`" if files else "give the path of a checkpoint"
    raise fail("E0901", f"cannot read `{folder}`: it is a directory, and holds no index of shards", help=remedy)
