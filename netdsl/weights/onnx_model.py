"""The initializers of an ONNX model.

A protobuf message is a sequence of fields, so the weights can be found by skipping all other fields and mapped from
the file: the model is never in memory as a whole, and may be larger than protobuf allows.
Source: https://protobuf.dev/programming-guides/encoding, and onnx.proto for the numbers of the fields.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.numpy_helper import to_array

from netdsl.weights.checkpoint import (
    NUMBERS,
    Checkpoint,
    Tensor,
    beside,
    distinct,
    mapped,
    meaning_in,
    unreadable,
    unusable,
    view,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from netdsl.base.diagnostics import NetdslError
    from netdsl.weights.initial import Array

_PRODUCER, _GRAPH, _METADATA, _INITIALIZER, _SPARSE, _RAW_DATA = 2, 7, 14, 5, 15, 9
"""Field numbers in ModelProto, GraphProto and TensorProto."""
_CONSTANT = re.compile(r"/const(_\d+)?$")
"""The names of the initializers that netdsl writes and that are not parameters."""


def read(path: Path) -> Checkpoint:
    """Open an ONNX model: the parameters of a model that netdsl wrote, all initializers of any other.

    Raises:
        NetdslError: it is not an ONNX model, or the file with its weights is missing, too short or elsewhere (E0911).
        Exception: it is damaged, or two initializers have the same name.
    """
    data = mapped(path)
    places = [*_fields(data, 0, data.size)]
    model = {number: (start, end) for number, start, end in places}
    if _GRAPH not in model:
        raise unusable(path, "it is not an ONNX model: it has no graph", "write or download it again")
    if sum(number == _GRAPH for number, _, _ in places) > 1:
        raise ValueError("it has two graphs")
    fields = [(number, *place) for number, *place in _fields(data, *model[_GRAPH])]
    own = _PRODUCER in model and data[slice(*model[_PRODUCER])].tobytes() == b"netdsl"
    metadata = dict(_entry(data, start, end) for number, start, end in places if number == _METADATA)
    files: dict[Path, Array] = {path: data}
    protos = [_proto(data, start, end) for number, start, end in fields if number == _INITIALIZER]
    tensors = {
        name: _tensor(path, proto, raw, files)
        for name, (proto, raw) in distinct((proto.name, (proto, raw)) for proto, raw in protos).items()
        if not (own and _CONSTANT.search(name))
    }
    sparse = sum(number == _SPARSE for number, _, _ in fields)
    notes = (f"{sparse} sparse initializers are not shown",) if sparse else ()
    return Checkpoint(path, "ONNX", tensors, notes, meaning=meaning_in(path, metadata))


def _entry(data: Array, start: int, end: int) -> tuple[str, str]:
    """Return a key and its value."""
    texts = {number: data[first:last].tobytes() for number, first, last in _fields(data, start, end)}
    return texts.get(1, b"").decode(), texts.get(2, b"").decode()


def _fields(data: Array, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a message: the number of each, and the start and end of its value."""
    while start < end:
        key, start = _varint(data, start, end)
        match key & 7:
            case 0:
                stop = _varint(data, start, end)[1]
            case 1:
                stop = start + 8
            case 2:
                length, start = _varint(data, start, end)
                stop = start + length
            case 5:
                stop = start + 4
            case _:
                raise ValueError(f"there is no field at byte {start}")
        if stop > end:
            raise ValueError(f"a field ends at byte {stop}, beyond the end at byte {end}")
        yield key >> 3, start, stop
        start = stop


def _varint(data: Array, start: int, end: int) -> tuple[int, int]:
    """Read a varint, seven bits a byte and the lowest first; return it and the byte after it."""
    value = 0
    for shift, byte in enumerate(data[start : min(start + 10, end)].tolist()):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, start + shift + 1
    raise ValueError(f"there is no number at byte {start}")


def _proto(data: Array, start: int, end: int) -> tuple[TensorProto, tuple[int, int] | None]:
    """Return a tensor without its raw values, and where these begin and end."""
    pieces, raw, before = [], None, start
    for number, first, last in _fields(data, start, end):
        if number == _RAW_DATA:
            raw = (first, last)
        else:
            pieces.append(data[before:last].tobytes())
        before = last
    proto = TensorProto()
    try:
        proto.ParseFromString(b"".join(pieces))
    except Exception as error:  # protobuf's exceptions differ between its implementations
        raise ValueError(f"the tensor at byte {start} cannot be read") from error
    return proto, raw


def _tensor(path: Path, proto: TensorProto, raw: tuple[int, int] | None, files: dict[Path, Array]) -> Tensor:
    shape = tuple(proto.dims)
    if any(size < 0 for size in shape):
        raise ValueError(f"`{proto.name}` has a negative size")
    try:
        dtype = tensor_dtype_to_np_dtype(proto.data_type)
    except KeyError:
        raise ValueError(f"`{proto.name}` has the unknown element type {proto.data_type}") from None
    if dtype.name not in NUMBERS:
        return Tensor(shape, dtype.name, 0, unreadable(path, proto.name, dtype.name))
    size = prod(shape) * dtype.itemsize
    if proto.data_location == TensorProto.EXTERNAL:
        file, start, given = _external(path, proto, size, files)
    elif raw is not None:
        file, start, given = path, raw[0], raw[1] - raw[0]
    else:
        return Tensor(shape, dtype.name, size, lambda: _typed(proto))
    if given != size:
        raise ValueError(f"`{proto.name}` has {given} bytes of values, and its shape needs {size}")
    return Tensor(shape, dtype.name, size, lambda: view(files[file], start, shape, dtype.name))


def _typed(proto: TensorProto) -> Array:
    """Return the values of a tensor that stores them as a list of numbers."""
    array: Array = to_array(proto)
    return array


def _external(path: Path, proto: TensorProto, size: int, files: dict[Path, Array]) -> tuple[Path, int, int]:
    """Return the external file with a tensor's values, and the start and number of their bytes."""
    entries = distinct((entry.key, entry.value) for entry in proto.external_data)
    location = entries.get("location", "")
    file = beside(path, location)
    if file is None:
        raise _missing(path, f"`{proto.name}` has its values in `{location}`, which is not a file beside the model")
    if not file.exists():
        raise _missing(path, f"it has its weights in `{location}`, and there is no such file beside it")
    try:
        start, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError:
        raise ValueError(f"the offset or length of the values of `{proto.name}` is not a number") from None
    if file not in files:
        files[file] = mapped(file)
    if start < 0 or start + length > files[file].size:
        raise _missing(path, f"`{location}` is too short: `{proto.name}` ends at byte {start + length} of it")
    return file, start, length


def _missing(path: Path, problem: str) -> NetdslError:
    return unusable(path, problem, "a model with external data is two files: move and copy them together")
