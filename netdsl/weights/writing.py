"""Writing a checkpoint in another format, one tensor at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import whole_file, write_pieces
from netdsl.weights.checkpoint import NUMBERS, unusable
from netdsl.weights.npz import write_npz
from netdsl.weights.safetensors_file import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.weights.checkpoint import Checkpoint, Tensor
    from netdsl.weights.initial import Array

ENDINGS = (".safetensors", ".npz")
"""The endings of files that can be written."""
_METADATA = "__metadata__"
"""The entry of a safetensors header that is not a tensor."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the tensors of a checkpoint under the same names, as safetensors or npz by the ending of `path`.

    Element types are kept; npz has no bfloat16 and no float8, which are written as float32. The checkpoint's
    description of its net is written, too.

    Raises:
        NetdslError: a tensor has an element type that cannot be read (E0911), or the file cannot be written
            (E0902, E0903).
    """
    for name, tensor in checkpoint.tensors.items():
        if tensor.dtype not in NUMBERS:
            raise unusable(checkpoint.path, f"`{name}` has elements of the type {tensor.dtype}, which is not converted",
                           "convert it to a numpy type first")  # fmt: skip
    if path.suffix.lower() == ".npz":
        arrays = ((name, _numpys_own(tensor)) for name, tensor in checkpoint.tensors.items())
        write_npz(path, arrays, _metadata(checkpoint))
    else:
        _write_safetensors(checkpoint, path)


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    return {} if checkpoint.meaning is None else checkpoint.meaning.as_metadata()


def _write_safetensors(checkpoint: Checkpoint, path: Path) -> None:
    """Write the tensors with larger elements first, as the library does, so that all are aligned."""
    if _METADATA in checkpoint.tensors:
        raise fail("E0902", f"cannot write `{path}`: no tensor in a safetensors file can be called `{_METADATA}`",
                          help="rename it, or choose another file format")  # fmt: skip
    names = {dtype: name for name, dtype in DTYPES.items()}
    tensors = sorted(checkpoint.tensors.items(), key=lambda item: -np.dtype(item[1].dtype).itemsize)
    # Other programs require the entry `format`.
    header: dict[str, object] = {_METADATA: {"format": "pt", **_metadata(checkpoint)}}
    offset = 0
    for name, tensor in tensors:
        places = [offset, offset + tensor.bytes]
        header[name] = {"dtype": names[tensor.dtype], "shape": tensor.shape, "data_offsets": places}
        offset += tensor.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in tensors:
            array = tensor.read()
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            write_pieces(file, little.reshape(-1).view(np.uint8).data)


def _numpys_own(tensor: Tensor) -> Array:
    array = tensor.read()
    return array.astype(np.float32) if "bfloat" in tensor.dtype or "float8" in tensor.dtype else array
