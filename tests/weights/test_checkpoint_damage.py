"""Files of weights that lie, grow, or lead elsewhere: refused in a line that names the file, in no time and memory."""

# ruff: noqa: E501 - a case in a line

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.cli import main
from netdsl.weights.loading import weights_from
from netdsl.weights.opening import open_checkpoint
from netdsl.weights.patterns import matched

NET = "net small { input x: 3; head: dense 2 }"

pytestmark = pytest.mark.usefixtures("folder")


def state():
    return {"head.weight": torch.rand(2, 3), "head.bias": torch.rand(2)}


def st(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes):
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes}


def npy(shape, data=b"", descr="'<f4'"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-len(header) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(*entries, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


def damaged(data, after):
    place = data.index(after) + len(after) + 20
    return data[:place] + b"\xff" * 20 + data[place + 20 :]


def model(*tensors):
    return onnx.ModelProto(graph=onnx.GraphProto(initializer=tensors)).SerializeToString()


def values(**fields):
    return onnx.TensorProto(**{"name": "head.bias", "dims": [2], "data_type": 1, "raw_data": bytes(8)} | fields)


def elsewhere(location, **more):
    tensor = onnx.TensorProto(name="head.bias", dims=[2], data_type=1, data_location=1)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return model(tensor)


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def packed(change):
    """A checkpoint of PyTorch whose archive was written again."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(state()))) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            change(new, info.filename, old.read(info))
    return file.getvalue()


def deflated(archive, name, data):
    archive.writestr(name, data, zipfile.ZIP_DEFLATED)


def twice(archive, name, data):
    archive.writestr(name, data)
    if name.endswith("/data/0"):
        archive.writestr(name.replace("data", "DATA"), data)


def script():
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), file)
    return file.getvalue()


class Sums(dict):
    """A class of one's own."""


TWO = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
ZEROS = bytes(4 * 10**6)
BAD = {
    "safetensors, huge beside nothing": ("w.safetensors", lambda: st(entry(shape=[0, 2**62], data_offsets=[0, 0])), "no array has"),
    "safetensors, two of one name": ("w.safetensors", lambda: st(TWO, b"1234"), "two entries are called `a`"),
    "safetensors, brackets": ("w.safetensors", lambda: st(b"[" * 100_000), "not a whole safetensors file"),
    "safetensors, no JSON": ("w.safetensors", lambda: st(b"{'a': 1}"), "not a whole safetensors file"),
    "safetensors, no UTF-8": ("w.safetensors", lambda: st(b'{"\xff\xfe": {}}'), "not a whole safetensors file"),
    "safetensors, a long header": ("w.safetensors", lambda: (2**62).to_bytes(8, "little") + b"{}", "not a whole safetensors"),
    "safetensors, axes": ("w.safetensors", lambda: st(entry(shape=[1] * 99), b"1234"), "no array has"),
    "safetensors, metadata": ("w.safetensors", lambda: st({"__metadata__": {"a": 3}}), "not a whole safetensors file"),
    "npz, a power": ("w.npz", lambda: npz(("a.npy", npy("(10**30,)"))), "not a whole npz file"),
    "npz, huge": ("w.npz", lambda: npz(("a.npy", npy(f"({10**30},)"))), "its shape needs 4,000,000,"),
    "npz, huge beside nothing": ("w.npz", lambda: npz(("a.npy", npy(f"(0, {2**62})"))), "no array has"),
    "npz, negative": ("w.npz", lambda: npz(("a.npy", npy("(-3,)", bytes(12)))), "its shape needs -12"),
    "npz, twice negative": ("w.npz", lambda: npz(("a.npy", npy("(-3, -1)", bytes(12)))), "no array has"),
    "npz, a cut header": ("w.npz", lambda: npz(("a.npy", npy("(3,)")[:40])), "not a whole npz file"),
    "npz, a cut array": ("w.npz", lambda: npz(("a.npy", npy("(3,)", bytes(8)))), "`a` has 8 bytes of values"),
    "npz, no array": ("w.npz", lambda: npz(("readme.txt", b"hello")), "not a whole npz file"),
    "npz, two of one name": ("w.npz", lambda: npz(("a.npy", npy("()", bytes(4))), ("a.npy", npy("()", bytes(4)))), "two entries"),
    "npz, with and without ending": ("w.npz", lambda: npz(("a.npy", npy("()", bytes(4))), ("a", npy("()", bytes(4)))), "two entries"),
    "npz, deep type": ("w.npz", lambda: npz(("a.npy", npy("(3,)", descr="[" * 900 + "]" * 900))), "not a whole npz file"),
    "npz, damaged LZMA": ("w.npz", lambda: damaged(npz(("a.npy", npy("(9,)", bytes(36))), method=zipfile.ZIP_LZMA), b"a.npy"),
                          "not a whole npz file"),
    "npz, damaged deflate": ("w.npz", lambda: damaged(npz(("a.npy", npy("(9,)", bytes(36))), method=zipfile.ZIP_DEFLATED), b"a.npy"),
                             "not a whole npz file"),
    "npz, gigabytes of bytes": ("w.npz", lambda: npz(("a.npy", npy("(1000000,)", ZEROS)), method=zipfile.ZIP_BZIP2),
                                "compressed in a way that numpy does not write"),
    "pt, no tensors": ("w.ckpt", lambda: saved({"a": 1}), "expected weights by name, got a dictionary with `a`"),
    "pt, huge": ("w.pt", lambda: saved(state() | {"head.bias": torch.rand(1).expand(2**40)}), "bytes of values, more than the file holds"),
    "pt, bytearray": ("w.pt", lambda: saved(state() | {"a": bytearray(9)}), "it would run `bytearray`"),
    "old pt, bytearray": ("w.pt", lambda: saved(state() | {"a": bytearray(9)}, _use_new_zipfile_serialization=False),
                          "it would run `bytearray`"),
    "pt, compressed": ("w.pt", lambda: packed(deflated), "its entries are compressed"),
    "pt, two of one name": ("w.pt", lambda: packed(twice), "two entries are called"),
    "pt, one name by two ways": ("w.pt", lambda: saved({"a": {"b": torch.rand(2)}, "a.b": torch.rand(2)}), "two entries are called `a.b`"),
    "pt, half a character": ("w.pt", lambda: saved({"a\ud800": torch.rand(2)}), "expected text as the name of a tensor"),
    "pt, TorchScript": ("w.pt", script, "it is a TorchScript program"),
    "pt, a module": ("w.pth", lambda: saved({"model": torch.nn.Linear(3, 2)}), "it would run `torch.nn.modules.linear.Linear`"),
    "pt, a class": ("w.bin", lambda: saved({"model": Sums(a=1)}), "Sums` when read, which is refused"),
    "onnx, two of one name": ("w.onnx", lambda: model(values(), values()), "two entries are called `head.bias`"),
    "onnx, two graphs": ("w.onnx", lambda: 2 * model(values()), "two graphs"),
    "onnx, no UTF-8": ("w.onnx", lambda: model(values()).replace(b"bias", b"\xff\xfeas"), r"got b'head.\xff\xfeas'"),
    "onnx, huge": ("w.onnx", lambda: model(values(dims=[2**40, 2**30])), "no array has|its shape needs"),
    "onnx, huge beside nothing": ("w.onnx", lambda: model(values(dims=[0, 2**62], raw_data=b"")), "no array has"),
    "onnx, negative": ("w.onnx", lambda: model(values(dims=[-2])), "negative"),
    "onnx, type": ("w.onnx", lambda: model(values(data_type=99)), "unknown element type 99"),
    "onnx, NUL": ("w.onnx", lambda: elsewhere("a\0b"), "which is not a file beside the model"),
    "onnx, above": ("w.onnx", lambda: elsewhere("../../../../etc/passwd"), "which is not a file beside the model"),
    "onnx, absolute": ("w.onnx", lambda: elsewhere("/etc/passwd"), "which is not a file beside the model"),
    "onnx, link": ("w.onnx", lambda: elsewhere("link"), "which is not a file beside the model"),
    "onnx, folder": ("w.onnx", lambda: elsewhere("."), "which is not a file beside the model"),
    "onnx, long name": ("w.onnx", lambda: elsewhere("x" * 5000), "which is not a file beside the model"),
    "onnx, pipe": ("w.onnx", lambda: elsewhere("pipe"), "expected a file, got a pipe"),
    "onnx, place": ("w.onnx", lambda: elsewhere("small.net", offset="x"), "is not a number"),
    "onnx, negative place": ("w.onnx", lambda: elsewhere("small.net", offset="-4"), "is too short"),
    "onnx, length": ("w.onnx", lambda: elsewhere("small.net", length="9" * 5000), "is not a number"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name", "ignore:.*torch.jit")
@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_lies_is_refused(bad):
    name, content, message = BAD[bad]
    Path("link").symlink_to("/etc/passwd")
    os.mkfifo("pipe")
    Path(name).write_bytes(content())
    start = perf_counter()
    for command in (["weights", name], ["compile", "small.net", "--weights", name], ["weights", name, "-o", "out.npz"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith("error[E09")
        assert any(part in result.stderr for part in message.split("|")), result.stderr
        assert "  = help: " in result.stderr
        assert len(result.stderr) < 8000
    assert perf_counter() - start < 3
    assert not Path("small.onnx").exists()
    assert not Path("out.npz").exists()


@pytest.mark.parametrize("path", ["pipe.pt", "/dev/zero", "-"])
def test_what_is_no_regular_file_is_not_waited_for(path):
    os.mkfifo("pipe.pt")
    result = CliRunner().invoke(main, ["compile", "small.net", "--weights", path])
    assert result.exit_code == 1
    assert "expected a file, got a pipe" in result.stderr or "its ending is not that of a checkpoint" in result.stderr


UNREAD = {
    "sparse": (torch.eye(2)[0].to_sparse, "float32, sparse_coo"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.rand(2), 0.1, 0, torch.qint8), "qint8"),
    "meta": (lambda: torch.rand(2, device="meta"), "float32, on meta"),
    "complex": (lambda: torch.rand(2, dtype=torch.complex64), "complex64"),
    "nested": (lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]), "nested float32"),
}


@pytest.mark.filterwarnings("ignore:.*(nested|quant|TypedStorage).*")
@pytest.mark.parametrize("kind", UNREAD)
def test_tensors_that_are_no_arrays_are_told_by_kind(kind):
    make, told = UNREAD[kind]
    torch.save(state() | {"head.bias": make()}, "w.pt")
    assert told in CliRunner().invoke(main, ["weights", "w.pt"]).stdout
    result = CliRunner().invoke(main, ["compile", "small.net", "--weights", "w.pt"])
    assert result.exit_code == 1
    assert "`head.bias` is" in result.stderr
    result = CliRunner().invoke(main, ["weights", "w.pt", "-o", "w.npz"])
    assert f"`head.bias` has elements of the type {told}, which is not converted" in result.stderr


def test_a_negated_view_has_its_values():
    bias = torch.rand(2)
    torch.save(state() | {"head.bias": torch._neg_view(bias)}, "w.pt")
    np.testing.assert_array_equal(open_checkpoint("w.pt").tensors["head.bias"].read(), -bias)


def test_damage_that_is_found_late_names_the_file():
    array = np.arange(20_000, dtype=np.float32)  # more than is read with the header
    array[-1] = 0.5
    data = npz(("a.npy", npy("(20000,)", array.tobytes())))
    last = array[-1:].tobytes()
    assert data.count(last) == 1
    Path("w.npz").write_bytes(data.replace(last, b"abcd"))
    tensor = open_checkpoint("w.npz").tensors["a"]
    with pytest.raises(NetdslError, match=r"`w\.npz` is not a whole npz file: Bad CRC-32"):
        tensor.read()
    result = CliRunner().invoke(main, ["weights", "w.npz", "-o", "w.safetensors"])
    assert result.exit_code == 1
    assert not Path("w.safetensors").exists()


# ------------------------------------------------------------------------------------------------ patterns


@pytest.mark.parametrize(
    ("pattern", "name", "texts"),
    [
        ("a", "a", []),
        ("a", "b", None),
        ("*", "", [""]),
        ("a*", "a", [""]),
        ("a*a", "a", None),
        ("*.weight", "a.b.weight", ["a.b"]),
        ("*.*", "a.b.c", ["a.b", "c"]),  # the first as long as possible
        ("**", "ab", ["ab", ""]),
        ("a*b*c", "aXbYbZc", ["XbY", "Z"]),
        ("a*b*c", "acb", None),
        ("h.*.[x]", "h.3.[x]", ["3"]),  # nothing but `*` has a meaning
        ("*\n*", "a\nb", ["a", "b"]),
    ],
)
def test_what_stars_stand_for(pattern, name, texts):
    assert matched(pattern, name) == texts


def test_patterns_match_as_the_greedy_regular_expression_does():
    random = np.random.default_rng(0)
    for _ in range(3000):
        name = "".join(random.choice(list("ab."), random.integers(0, 9)))
        pattern = "".join(random.choice(list("ab.**"), random.integers(0, 7)))
        want = re.fullmatch("(.*)".join(map(re.escape, pattern.split("*"))), name)
        assert matched(pattern, name) == (None if want is None else list(want.groups())), (pattern, name)


@pytest.mark.parametrize("piece", ["*a", "*aab", "a*"])
def test_a_pattern_of_many_stars_takes_no_time(piece):
    name = "a" * 10_000
    safetensors.torch.save_file({name: torch.rand(2), **state()}, "w.safetensors")
    pattern = piece * 3000 + "b"
    start = perf_counter()
    with pytest.raises(NetdslError, match="matches no name"):
        weights_from("w.safetensors", netdsl.loads(NET).graph, rename={pattern: pattern})
    assert perf_counter() - start < 1
