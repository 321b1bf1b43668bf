"""Writing an ONNX model to a file, one weight tensor at a time.

A protobuf message is a sequence of fields, each preceded by its length, so a model can be written without ever being
in memory as a whole: the lengths follow from the parameters' shapes, and every tensor goes from its array to the file.
The bytes are those that protobuf itself would write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto

from netdsl.backends.onnx.proto import onnx_dtype, storage
from netdsl.base.diagnostics import fail
from netdsl.base.files import whole_file, write_pieces
from netdsl.base.outputs import claim, claim_place
from netdsl.weights.initial import materialize

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.backends.onnx.lower import LoweredModel
    from netdsl.ir.params import Param
    from netdsl.weights.initial import Array

MAX_MESSAGE_BYTES = 2**31 - 1
"""The largest size of a protobuf message, in bytes."""
ALIGNMENT = 4096
"""Each tensor of external data starts at a multiple of a memory page, so that it can be mapped."""

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""Field numbers in ModelProto, GraphProto and TensorProto."""


def assemble(lowered: LoweredModel, weights: Callable[[Param], Array]) -> onnx.ModelProto:
    """Return the whole model in memory; `write` needs far less memory."""
    model = onnx.ModelProto()
    model.CopyFrom(lowered.proto)
    for param in lowered.params:
        model.graph.initializer.add(raw_data=bytes(_data(param, weights)), **_described(param))
    return model


def claim_model(path: Path, *, external: bool | None = None) -> None:
    """Check that a model can be written there, before it is computed; see `netdsl.base.outputs.claim` (E0902)."""
    claim(path, "an ONNX model")
    if external:
        claim_place(_beside(path))


def _beside(path: Path) -> Path:
    """Return the path of the external weights, whose name is stored in the model."""
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise fail("E0902", f"cannot write `{path}`: a model with external data stores their file name, and this one "
                            "is not Unicode text", help="choose another name") from error  # fmt: skip
    return path.parent / f"{path.name}.data"


def write(
    lowered: LoweredModel, path: str | Path, weights: Callable[[Param], Array], *, external: bool | None = None
) -> tuple[Path, ...]:
    """Write a model; the file appears only when it is complete.

    Args:
        lowered: the model.
        path: the file.
        weights: returns the values of a parameter that is not derived, in the parameter's shape; called when they are
            needed, so that only one tensor need be in memory.
        external: write the weights to a file `NAME.data` beside the model; None does so for a model of 2 GB or more,
            which protobuf cannot hold.

    Returns:
        The files written: the model, and the weights if they are external.

    Raises:
        NetdslError: the file cannot be written or cannot hold the weights (E0902), or there is no space left (E0903).
    """
    path = Path(path)
    headers = [_header(param) for param in lowered.params]
    weight = sum(map(len, headers)) + sum(map(_bytes, lowered.params))
    model, graph = lowered.proto, lowered.proto.graph
    inside = _fields(graph, range(_INITIALIZER + 1))
    after = _fields(graph, range(_INITIALIZER + 1, 100))
    before = _fields(model, range(_GRAPH)) + _key(_GRAPH, len(inside) + weight + len(after)) + inside
    after += _fields(model, range(_GRAPH + 1, 100))
    size = len(before) + weight + len(after)
    if external is None:
        external = size > MAX_MESSAGE_BYTES
    if external:
        return _write_external(lowered, path, weights)
    if size > MAX_MESSAGE_BYTES:
        raise fail("E0902", f"`{path}` cannot hold {size} bytes: an ONNX file has at most {MAX_MESSAGE_BYTES}",
                   help="keep the weights in a second file")  # fmt: skip
    with whole_file(path) as file:
        file.write(before)
        for header, param in zip(headers, lowered.params, strict=True):
            file.write(header)
            write_pieces(file, _data(param, weights))
        file.write(after)
    return (path,)


def _write_external(lowered: LoweredModel, path: Path, weights: Callable[[Param], Array]) -> tuple[Path, ...]:
    """Write the model and its data; the data file is renamed first, since the model needs it."""
    data_path = _beside(path)
    model = onnx.ModelProto()
    model.CopyFrom(lowered.proto)
    offset = 0
    for param in lowered.params:
        length = _bytes(param)
        proto = model.graph.initializer.add(data_location=TensorProto.EXTERNAL, **_described(param))
        for key, value in (("location", data_path.name), ("offset", offset), ("length", length)):
            proto.external_data.add(key=key, value=str(value))
        offset += length + -length % ALIGNMENT
    with whole_file(path) as file:
        file.write(model.SerializeToString(deterministic=True))
        file.flush()
        os.fsync(file.fileno())
        with whole_file(data_path) as data:
            for param in lowered.params:
                write_pieces(data, _data(param, weights))
                data.write(bytes(-_bytes(param) % ALIGNMENT))
    return path, data_path


def _data(param: Param, weights: Callable[[Param], Array]) -> memoryview:
    """Return the values of a parameter as bytes, copied only if they must be converted."""
    values = materialize(param, weights)
    if values.shape != param.spec.shape:
        raise ValueError(f"expected weights of {param.name} of shape {param.spec.shape}, got {values.shape}")
    return storage(values, param.spec.dtype).reshape(-1).view(np.uint8).data


def _bytes(param: Param) -> int:
    return param.spec.elements * param.spec.dtype.bytes


def _described(param: Param) -> dict[str, Any]:
    """Return the fields of a tensor other than its values."""
    return {"name": param.name, "dims": param.spec.shape, "data_type": onnx_dtype(param.spec.dtype)}


def _header(param: Param) -> bytes:
    """Return the bytes before the values of an initializer."""
    described: bytes = TensorProto(**_described(param)).SerializeToString(deterministic=True)
    inside = described + _key(_RAW_DATA, _bytes(param))
    return _key(_INITIALIZER, len(inside) + _bytes(param)) + inside


def _fields(message: onnx.ModelProto | onnx.GraphProto, numbers: range) -> bytes:
    """Return the serialized fields with these numbers."""
    part: Any = type(message)()
    part.CopyFrom(message)
    for field in message.DESCRIPTOR.fields:
        if field.number not in numbers:
            part.ClearField(field.name)
    data: bytes = part.SerializeToString(deterministic=True)
    return data


def _key(number: int, length: int) -> bytes:
    """Return the bytes before a field of `length` bytes: its number, its wire type (2), and the length."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    """Encode a number, seven bits a byte and the lowest first; the eighth bit is set in all bytes but the last."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
