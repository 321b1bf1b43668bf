"""Small valid files of every format that netdsl reads, made anew in each process."""

from __future__ import annotations

import gzip
import io
import json
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Files = dict[str, bytes]
"""The contents of files by their paths in a folder."""

NET = """net n {
    input x: 3xHxW where H >= 4, W % 2 == 0
    conv 4 k3 p1 -> bn -> relu -> global_avgpool -> flatten
    dense 3
    labels ["a", "b", "c"]
}
"""
TABLE_NET = """net n {
    input x: 4
    dense 6 -> relu -> dense 3
    train { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1 }
}
"""


@cache
def net() -> Files:
    """Return the net that the other files belong to."""
    return {"n.net": NET.encode()}


@cache
def model() -> Files:
    """Return a model of images with metadata, and a sample."""
    import netdsl

    proto = netdsl.loads(NET).to_onnx(level=0)
    return net() | {"m.onnx": proto.SerializeToString(), "x.npy": array(_random(1, 3, 8, 8))}


@cache
def foreign_model() -> Files:
    """Return a model as other programs write them: nodes have names, and values are in typed fields."""
    from onnx import TensorProto, helper

    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 3, 3], _random(4, 3, 3, 3).ravel().tolist())
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size, 8, 8]) for name, size in (("x", 3), ("y", 4))
    )
    graph = helper.make_graph(nodes, "other", [x], [y], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return {"m.onnx": proto.SerializeToString(), "x.npy": array(_random(1, 3, 8, 8))}


@cache
def external_model() -> Files:
    """Return a model with its weights in a second file, and a sample."""
    import netdsl

    with TemporaryDirectory() as folder:
        netdsl.loads(NET).to_onnx(Path(folder, "m.onnx"), level=0, external=True)
        return net() | _read(Path(folder)) | {"x.npy": array(_random(1, 3, 8, 8))}


def array(values: np.ndarray[Any, Any]) -> bytes:
    """Return the bytes of an `.npy` file."""
    written = io.BytesIO()
    np.save(written, values)
    return written.getvalue()


def archive(**arrays: np.ndarray[Any, Any]) -> bytes:
    """Return the bytes of an `.npz` file."""
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays)
    return written.getvalue()


@cache
def weights() -> Mapping[str, np.ndarray[Any, Any]]:
    """Return the parameters of `NET` by name."""
    import netdsl

    return {key: tensor.numpy() for key, tensor in netdsl.loads(NET).to_torch().state_dict().items()}


@cache
def npz_weights() -> Files:
    """Return the weights of the net as an archive of numpy."""
    return net() | {"w.npz": archive(**weights())}


@cache
def safetensors_weights() -> Files:
    """Return the weights of the net as safetensors."""
    from safetensors.numpy import save

    return net() | {"w.safetensors": save(dict(weights()), {"format": "pt"})}


@cache
def pytorch_weights(wrapper: str | None = None) -> Files:
    """Return the weights of the net as PyTorch saves them; with `wrapper`, under this key, beside other entries."""
    import torch

    written = io.BytesIO()
    state = {key: torch.from_numpy(np.array(values)) for key, values in weights().items()}
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3, "lr": [0.1]}, written)
    return net() | {"w.pt": written.getvalue()}


@cache
def legacy_weights() -> Files:
    """Return the weights of the net as PyTorch saved them before version 1.6.

    Such a file names its storages by their addresses, and has them in this order. To make the same file in every
    process, there is only one storage, and its address is replaced by zeros.
    """
    import torch

    held = {name: values for name, values in weights().items() if values.dtype == np.float32}
    whole = torch.from_numpy(np.concatenate([values.ravel() for values in held.values()]))
    ends = np.cumsum([values.size for values in held.values()])
    state = {
        name: whole[end - values.size : end].view(values.shape)
        for (name, values), end in zip(held.items(), ends.tolist(), strict=True)
    }
    written = io.BytesIO()
    torch.save(state, written, _use_new_zipfile_serialization=False)
    address = str(whole.untyped_storage()._cdata).encode()  # noqa: SLF001 - it is what PyTorch writes
    return net() | {"w.pt": written.getvalue().replace(address, b"0" * len(address))}


@cache
def sharded(kind: str) -> Files:
    """Return the weights in two files with an index, as Hugging Face has them; `kind` is `safetensors` or `pytorch`."""
    import torch
    from safetensors.numpy import save

    ending, stem = ("safetensors", "model") if kind == "safetensors" else ("bin", "pytorch_model")
    names, files, where = [*weights()], dict[str, bytes](), dict[str, str]()
    for number, part in enumerate((names[:3], names[3:]), start=1):
        file, held = f"{stem}-{number:05}-of-00002.{ending}", {name: np.array(weights()[name]) for name in part}
        written = io.BytesIO()
        if kind == "safetensors":
            written.write(save(held, {"format": "pt"}))
        else:
            torch.save({name: torch.from_numpy(values) for name, values in held.items()}, written)
        files[file] = written.getvalue()
        where |= dict.fromkeys(part, file)
    size = sum(values.nbytes for values in weights().values())
    index = json.dumps({"metadata": {"total_size": size}, "weight_map": where}, indent=2)
    return net() | files | {f"{stem}.{ending}.index.json": index.encode()}


@cache
def image(form: str, mode: str) -> bytes:
    """Return an image of noise in one of Pillow's modes."""
    from PIL import Image

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8))
    written = io.BytesIO()
    steps = ["L", mode] if mode in ("F", "I", "I;16") else [mode]
    for step in steps:
        noise = noise.convert(step)
    noise.save(written, form)
    return written.getvalue()


def pictured(form: str, *modes: str) -> tuple[Callable[[], Files], ...]:
    """Return makers of images of one format in several modes, each with a model that takes it."""
    ending = {"JPEG": "jpg", "TIFF": "tif"}.get(form, form.lower())
    return tuple(lambda mode=mode: model() | {f"x.{ending}": image(form, mode)} for mode in modes)


@cache
def image_model() -> Files:
    """Return models of images with 3 and 10 classes, and a model of numbers."""
    import netdsl

    nets = {"n.net": NET, "ten.net": "net n { input x: 3x8x8; conv 4 k3 -> relu -> flatten -> dense 10 }",
            "grey.net": "net n { input x: 1x6x6; flatten -> dense 3 }", "table.net": TABLE_NET}  # fmt: skip
    models = {
        name.replace("net", "onnx"): netdsl.loads(text).to_onnx().SerializeToString() for name, text in nets.items()
    }
    return {name: text.encode() for name, text in nets.items()} | models


@cache
def idx(ending: str = "") -> Files:
    """Return MNIST's four files, plain or gzipped, and models."""
    files = {}
    for split, count in (("train", 12), ("t10k", 6)):
        pixels, labels = _random_bytes(count * 36), bytes(i % 3 for i in range(count))
        files[f"d/{split}-images-idx3-ubyte{ending}"] = struct.pack(">IIII", 0x803, count, 6, 6) + pixels
        files[f"d/{split}-labels-idx1-ubyte{ending}"] = struct.pack(">II", 0x801, count) + labels
    return image_model() | {name: gzip.compress(data, mtime=0) if ending else data for name, data in files.items()}


@cache
def cifar(classes: int) -> Files:
    """Return CIFAR-10 or CIFAR-100 in their binary format, and models."""
    head = [[i % 10] if classes == 10 else [0, i % 10] for i in range(10)]
    batch = b"".join(bytes(labels) + _random_bytes(3072) for labels in head)
    names = "\n".join(f"class {i}" for i in range(10)).encode()
    if classes == 10:
        parts = {f"data_batch_{i}.bin": batch for i in range(1, 6)} | {
            "test_batch.bin": batch,
            "batches.meta.txt": names,
        }
    else:
        parts = {"train.bin": batch, "test.bin": batch, "fine_label_names.txt": names}
    return image_model() | {f"d/{name}": data for name, data in parts.items()}


@cache
def npz_data() -> Files:
    """Return images and classes with the names of Keras, and models."""
    x, y = np.frombuffer(_random_bytes(12 * 192), np.uint8).reshape(12, 8, 8, 3), np.arange(12) % 3
    return image_model() | {"d.npz": archive(x_train=x, y_train=y, x_test=x, y_test=y)}


@cache
def table() -> Files:
    """Return a table with a header, and models."""
    rows = [f"{i}.5,{-i},1e-3,{i % 2},{i % 3}" for i in range(15)]
    return image_model() | {"d.csv": "\n".join(["a,b,c,d,label", *rows, ""]).encode()}


@cache
def folders() -> Files:
    """Return images in a folder for each class, and models."""
    forms = [("PNG", "RGB", "png"), ("JPEG", "L", "jpg"), ("BMP", "RGB", "bmp")]
    files = {f"d/{label}/{i}.{end}": image(form, mode) for label in "abc" for i, (form, mode, end) in enumerate(forms)}
    return image_model() | files


@cache
def run() -> Files:
    """Return the folder of a run of one epoch, with its net and its data."""
    from netdsl.cli import main

    files = table()
    with TemporaryDirectory() as folder:
        for name in ("table.net", "d.csv"):
            Path(folder, name).write_bytes(files[name])
        paths = [str(Path(folder, name)) for name in ("table.net", "d.csv", "run")]
        main.main(["train", paths[0], "--data", paths[1], "-o", paths[2], "--quiet"], standalone_mode=False)
        return {name: data for name, data in _read(Path(folder)).items() if not name.endswith((".png", "best.ckpt"))}


def _read(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def random_image() -> np.ndarray[Any, Any]:
    """Return a sample for the models."""
    return _random(1, 3, 8, 8)


def _random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _random_bytes(count: int) -> bytes:
    return np.random.default_rng(count).bytes(count)
