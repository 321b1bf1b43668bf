"""Damage to ONNX models that depends on the meaning of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import TensorProto, helper

from fuzzing.damage import EXTREMES, extreme

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

NAMES = (
    "",
    "a\x1b[31mb",
    "\x1b]0;title\x07",
    "a\nb",
    "x" * 10_000,
    "\u202eab",
    "a.b",
    "..",
    "\x00",
    "__import__('os')",
    "x y",
)
METADATA = (
    "{", "[" * 100_000, "{}", "[1]", "null", '["H % 0 == 0"]', '["H >= 99999999999999999999"]', "[[]]", "\x1b[31m",
    "9" * 5000, '["a", "b"]', "[null, 3, {}]", "NaN", '{"a": ' * 50_000, "", '["W == 3", "W == 4"]',
)  # fmt: skip
LOCATIONS = ("a\0b", "../x", "/etc/passwd", "", ".", "x" * 5000, "/dev/zero", "model.onnx", "missing", "\x1b[31m")
SIZES = (-1, 0, 2**31, 2**62, 2**63 - 1, 40_000, 3, 1)


def field(random: Random, data: bytes) -> bytes:
    """Write wrong values to fields of a model."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # noqa: BLE001 - protobuf's exceptions differ between its implementations
        return extreme(random, data)
    for _ in range(random.choice([1, 1, 2])):
        random.choice(LIES)(random, model)
    return bytes(model.SerializeToString())


def text(random: Random, data: bytes) -> bytes:
    """Replace a name or another text by bytes that are not UTF-8."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # noqa: BLE001 - likewise
        return extreme(random, data)
    names = [
        value.name for value in (*model.graph.input, *model.graph.output, *model.graph.initializer, *model.graph.node)
    ]
    names += [entry.key for entry in model.metadata_props] + [entry.value for entry in model.metadata_props]
    raw = random.choice([*filter(None, names)] or ["x"]).encode()
    return data.replace(raw, (b"\xff\xfe\xc3\x28" * len(raw))[: len(raw)])


def _ports(random: Random, model: onnx.ModelProto) -> None:
    """Change inputs or outputs: no shape, no type, other sizes or types, none at all, two with one name."""
    ports = random.choice([model.graph.input, model.graph.input, model.graph.output])
    if not ports:
        return
    port = random.choice(ports)
    kind = port.type.tensor_type
    match random.randrange(8):
        case 0:
            kind.ClearField("shape")
        case 1:
            port.ClearField("type")
        case 2:
            kind.elem_type = random.choice([0, 2, 7, 8, 9, 10, 11, 14, 16, 99])
        case 3:
            del ports[:]
        case 4:
            ports.append(port)
        case 5:
            port.name = random.choice(NAMES)
        case 6:
            port.type.sequence_type.elem_type.tensor_type.elem_type = 1
        case _:
            if kind.shape.dim:
                dim = random.choice(kind.shape.dim)
                if random.random() < 0.3:
                    dim.dim_param = random.choice([*NAMES, "H", "N", "H // 0", "2 * H"])
                else:
                    dim.dim_value = random.choice(SIZES)
            if random.random() < 0.3:
                del kind.shape.dim[random.choice([0, 1]) :]


def _tensor(random: Random, model: onnx.ModelProto) -> None:
    """Change initializers: sizes, types, values, locations, names."""
    if not model.graph.initializer:
        return
    tensor = random.choice(model.graph.initializer)
    match random.randrange(8):
        case 0 if tensor.dims:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(SIZES)
        case 1:
            tensor.data_type = random.choice([0, 2, 6, 7, 8, 9, 10, 16, 17, 23, 99])
        case 2:
            tensor.raw_data = tensor.raw_data[: random.randrange(len(tensor.raw_data) + 1)]
        case 3:
            tensor.name = random.choice(NAMES)
        case 4:
            model.graph.initializer.append(tensor)
        case 5:
            model.graph.initializer.remove(tensor)
        case 6:
            tensor.float_data.extend([1.0, 2.0])
        case _:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.ClearField("raw_data")
            del tensor.external_data[:]
            for key, value in (
                ("location", random.choice(LOCATIONS)),
                ("offset", str(random.choice(EXTREMES))),
                ("length", "-1"),
            ):
                if random.random() < 0.8:
                    tensor.external_data.add(key=key, value=value)


def _place(random: Random, model: onnx.ModelProto) -> None:
    """Change the location of external data."""
    tensors = [tensor for tensor in model.graph.initializer if tensor.external_data]
    if tensors:
        entry = random.choice(random.choice(tensors).external_data)
        entry.value = random.choice([*LOCATIONS, *map(str, SIZES), "1e3", "x"])


def _node(random: Random, model: onnx.ModelProto) -> None:
    """Change nodes: operators, domains, attributes, inputs, order."""
    if not model.graph.node:
        return
    node = random.choice(model.graph.node)
    match random.randrange(8):
        case 0:
            node.op_type = random.choice(["Conv", "MatMul", "Loop", "If", "Identity", "Nope", "", "Resize", "\x1b[31m"])
        case 1:
            node.domain = random.choice(["ai.onnx.ml", "com.microsoft", "x", "\x1b[31m"])
        case 2:
            key = random.choice(["pads", "kernel_shape", "axis", "group", "x"])
            node.attribute.append(helper.make_attribute(key, random.choice([[-1, 2**40], [2**62], 0, 2**62, "a", 0.5])))
        case 3:
            for attribute in node.attribute:
                if attribute.ints:
                    attribute.ints[0] = random.choice([0, -1, 2**31, 2**62])
        case 4 if node.input:
            node.input[random.randrange(len(node.input))] = random.choice(["", "nowhere", node.output[0]])
        case 5:
            model.graph.node.remove(node)
        case 6:
            node.name = random.choice(NAMES)
        case _:
            node.output[0] = random.choice(NAMES)


def _metadata(random: Random, model: onnx.ModelProto) -> None:
    """Change the metadata that netdsl writes to a model."""
    for entry in model.metadata_props:
        if random.random() < 0.5:
            entry.value = random.choice(METADATA)
    if random.random() < 0.5 and model.metadata_props:
        model.metadata_props.add(key=random.choice(model.metadata_props).key, value=random.choice(METADATA))
    if random.random() < 0.2:
        model.metadata_props.add(key=random.choice(NAMES), value=random.choice(NAMES))
    for node in model.graph.node:
        for entry in node.metadata_props:
            if random.random() < 0.2:
                entry.value = random.choice(METADATA + NAMES)


def _whole(random: Random, model: onnx.ModelProto) -> None:
    """Change the model itself: versions, producer, an empty graph."""
    match random.randrange(6):
        case 0:
            model.ir_version = random.choice([0, 3, 99, 2**62, -1])
        case 1 if model.opset_import:
            model.opset_import[0].version = random.choice([0, 7, 99, -1, 2**40])
        case 2:
            del model.opset_import[:]
        case 3:
            model.ClearField("graph")
        case 4:
            model.producer_name = random.choice(["netdsl", "pytorch", *NAMES])
        case _:
            model.graph.name = random.choice(NAMES)


LIES: tuple[Callable[[Random, Any], None], ...] = (
    _ports,
    _ports,
    _tensor,
    _tensor,
    _place,
    _node,
    _metadata,
    _metadata,
    _whole,
)
