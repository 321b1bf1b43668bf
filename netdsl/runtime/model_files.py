"""ONNX files, and those beside them that hold weights, as they are before anything is computed."""

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

_AGAIN = "write or download it again"


def need_model(path: Path) -> None:
    """Refuse what is no model by its first bytes (E0905), or cannot be read, itself or what lies beside it (E0901)."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise fail("E0901", f"cannot read `{path}`: onnxruntime opens no file whose name is no Unicode text",
                   help="rename it, or give it as standard input, `-`") from error  # fmt: skip
    with open_file(path) as file:
        start = file.read(64)
        if path.suffix == ".net":
            raise fail("E0905", f"`{path}` is a net, and a model is due", help=f"`netdsl compile {path}` makes one")
        if not start:
            raise fail("E0905", f"`{path}` is empty", help=_AGAIN)
        other = impostor(start)
        if start.startswith(b"PK\x03\x04"):
            other = "a zip archive, as PyTorch's checkpoints are", "`netdsl compile NET --weights` makes a model of it"
        if other:
            raise fail("E0905", f"`{path}` is {other[0]}, not an ONNX model", help=other[1])
        if is_standard_input(path):
            return  # what lies beside it is not looked for
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(b"location") < 0:  # the word that says where weights lie
                return
    for beside in sorted({place for tensor in _tensors(read_model(path)) if (place := _location(tensor))}):
        if "\0" in beside:
            raise fail("E0905", f"`{path}` has its weights in `{beside}`, which no file can be called", help=_AGAIN)
        if os.path.exists(path.parent / beside):  # noqa: PTH110 - a name too long exists for nobody; what is missing is told when the model is loaded
            need_file(path.parent / beside)


def read_bytes(path: Path) -> bytes:
    """A model's own file, or standard input."""
    with open_file(path) as file:
        return file.read()


def read_model(path: Path, *, weights: bool = False) -> onnx.ModelProto:
    """A model as onnx has it.

    Args:
        path: the file, or `-`.
        weights: read those of a second file, too.

    Raises:
        NetdslError: it cannot be read (E0901), or is no whole model (E0905).
    """
    import onnx  # noqa: PLC0415 - a model is run without it
    from onnx.external_data_helper import load_external_data_for_model  # noqa: PLC0415 - likewise

    with reading(path, "E0905", "a whole ONNX model", _AGAIN):
        model: onnx.ModelProto = onnx.ModelProto.FromString(read_bytes(path))
        _need_texts(model)
        if weights:
            load_external_data_for_model(model, str(path.parent))
        return model


def _need_texts(message: Any) -> None:
    """Refuse names that are no UTF-8, which protobuf gives as bytes (ValueError)."""
    for field, value in message.ListFields():
        several = [value] if isinstance(value, str | bytes) or hasattr(value, "ListFields") else value
        if field.type == field.TYPE_STRING and any(isinstance(text, bytes) for text in several):
            raise ValueError(f"a `{field.name}` in it is no UTF-8")
        if field.message_type is not None:
            for inner in several:
                _need_texts(inner)


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """All tensors in a message, in graphs within graphs, too."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, "ListFields") else value:
            if field.message_type.name == "TensorProto":
                yield inner
            else:
                yield from _tensors(inner)


def _location(tensor: onnx.TensorProto) -> str:
    """The file beside the model that holds a tensor's values; empty where the model holds them."""
    if tensor.data_location != tensor.EXTERNAL:
        return ""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
