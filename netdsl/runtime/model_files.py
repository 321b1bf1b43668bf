"""ONNX files, and the files of weights beside them, checked before anything is computed."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.files import impostor, is_standard_input, need_file, open_file, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

_RETRY = "write or download it again"


def need_model(path: Path) -> None:
    """Refuse a file that is not a model (E0905), or if it or a file of its weights cannot be read (E0901)."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise fail("E0901", f"cannot read `{path}`: onnxruntime opens only files whose names are Unicode text",
                   help="rename it, or give it as standard input, `-`") from error  # fmt: skip
    with open_file(path) as file:
        start = file.read(64)
        if path.suffix == ".net":
            raise fail(
                "E0905", f"expected a model, got the net `{path}`", help=f"`netdsl compile {path}` makes a model"
            )
        if not start:
            raise fail("E0905", f"`{path}` is empty", help=_RETRY)
        other = impostor(start)
        if start.startswith(b"PK\x03\x04"):
            other = "a zip archive, as PyTorch's checkpoints are", "`netdsl compile NET --weights` makes a model of it"
        if other:
            raise fail("E0905", f"`{path}` is {other[0]}, not an ONNX model", help=other[1])
        if is_standard_input(path):
            return  # nothing lies beside it
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(b"location") < 0:  # the key of an external file of weights
                return
    for beside in sorted({place for tensor in _tensors(read_model(path)) if (place := _location(tensor))}):
        if "\0" in beside:
            raise fail("E0905", f"`{path}` has its weights in `{beside}`, which is not a file name", help=_RETRY)
        if os.path.exists(path.parent / beside):  # noqa: PTH110 - accepts names that are too long; loading the model reports a missing file
            need_file(path.parent / beside)


def read_bytes(path: Path) -> bytes:
    """Read a model's own file, or standard input."""
    with open_file(path) as file:
        return file.read()


def read_model(path: Path, *, weights: bool = False) -> onnx.ModelProto:
    """Read a model as an onnx message.

    Args:
        path: the file, or `-`.
        weights: also read the weights in a second file.

    Raises:
        NetdslError: it cannot be read (E0901), or is not a whole model (E0905).
    """
    import onnx  # noqa: PLC0415 - a model is run without it
    from onnx.external_data_helper import load_external_data_for_model  # noqa: PLC0415 - likewise

    with reading(path, "E0905", "a whole ONNX model", _RETRY):
        model: onnx.ModelProto = onnx.ModelProto.FromString(read_bytes(path))
        _need_texts(model)
        if weights:
            load_external_data_for_model(model, str(path.parent))
        return model


def _need_texts(message: Any) -> None:
    """Refuse names that are not UTF-8, which protobuf returns as bytes (ValueError)."""
    for field, value in message.ListFields():
        several = [value] if isinstance(value, str | bytes) or hasattr(value, "ListFields") else value
        if field.type == field.TYPE_STRING and any(isinstance(text, bytes) for text in several):
            raise ValueError(f"a `{field.name}` in it is not UTF-8")
        if field.message_type is not None:
            for inner in several:
                _need_texts(inner)


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Yield all tensors in a message, including those in nested graphs."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, "ListFields") else value:
            if field.message_type.name == "TensorProto":
                yield inner
            else:
                yield from _tensors(inner)


def _location(tensor: onnx.TensorProto) -> str:
    """Return the name of the external file with a tensor's values; empty if there is none."""
    if tensor.data_location != tensor.EXTERNAL:
        return ""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
