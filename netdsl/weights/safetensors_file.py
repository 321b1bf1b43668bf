"""Safetensors files: eight bytes with the length of a JSON header, the header, and the arrays.

Source: the format's description at https://github.com/huggingface/safetensors. Its library checks the file; netdsl
maps the arrays itself, because the library copies them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import safe_open

from netdsl.weights.checkpoint import Checkpoint, Tensor, distinct, mapped, meaning_in, unreadable, view

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from netdsl.weights.initial import Array

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""The element types that numpy can hold, by their names in the header."""


def read(path: Path) -> Checkpoint:
    """Open a safetensors file.

    Raises:
        Exception: it is cut short, its header is wrong, or two tensors have the same name.
    """
    with safe_open(path, framework="numpy"):
        data = mapped(path)
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes(), object_pairs_hook=distinct)
    meaning = meaning_in(path, header.pop("__metadata__", None))
    tensors = {name: _tensor(path, name, entry, data[start:]) for name, entry in header.items()}
    return Checkpoint(path, "safetensors", tensors, meaning=meaning)


def _tensor(path: Path, name: str, entry: dict[str, Any], data: Array) -> Tensor:
    first, last = entry["data_offsets"]
    shape = tuple(entry["shape"])
    dtype = DTYPES.get(entry["dtype"])
    if dtype is None:
        return Tensor(shape, entry["dtype"], last - first, unreadable(path, name, entry["dtype"]))
    return Tensor(shape, dtype, last - first, lambda: view(data, first, shape, dtype))
