"""One door for files that are read.

What is no file is refused at once, what a file promises is held against what it has, and whatever a library raises is
an error that names the file.
"""

from __future__ import annotations

import ast
import gzip
import io
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from PIL import Image
from shelf import NET, here, problem, run, shelf  # noqa: F401 - the fixtures are taken by their names

import netdsl
from netdsl.base.files import need_unpacked, read_file, reading
from netdsl.cli import main
from netdsl.data.arrays import read_npy, read_npz
from netdsl.data.reading import read_data
from netdsl.runtime import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes and devices")

ROOT = Path(netdsl.__file__).parent


# ------------------------------------------------------------------------------------------- what is no file

COMMANDS = [
    "check {}.net", "summary {}.net", "compile {}.net", "check {}.net:a", "bench {}.net",
    "run {}.onnx x.npy", "bench {}.onnx", "inspect {}.onnx i.png -o p.html",
    "test {}.onnx --split train --data data.npz",
    "plot filters {}.onnx", "plot activations {}.onnx i.png", "plot classes {}.onnx i.png",
    "plot confusion {}.onnx --split train --data data.npz",
    "run a.onnx {}.npy", "run a.onnx {}.npz", "run a.onnx {}.png", "run a.onnx image={}.npy", "run a.onnx x.npy {}.tif",
    "inspect a.onnx {}.png", "plot classes a.onnx {}.png", "plot activations a.onnx {}.npy",
    "test a.onnx --data {}.npz", "test a.onnx --data {}.csv", "plot curves {}.csv",
]  # fmt: skip


ONE_AFTER_ANOTHER = """
import sys
from netdsl.cli import main
for line in sys.stdin:
    try:
        main(line.split())
    except SystemExit as end:
        print("CODE", end.code, flush=True)
"""


def special(name, kind):
    """Something under a name that can be read for ever, or never."""
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "device":
        Path(name).symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_no_file_is_refused_wherever_a_file_can_stand(kind):
    for ending in ("net", "onnx", "npy", "npz", "png", "tif", "csv"):
        special(f"f.{ending}", kind)
    lines = "\n".join(command.format("f") for command in COMMANDS)
    environment = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run([sys.executable, "-c", ONE_AFTER_ANOTHER], input=lines, text=True, capture_output=True,
                          timeout=100, check=True, env=environment)  # fmt: skip
    codes = [line for line in done.stdout.splitlines() if line.startswith("CODE")]
    assert codes == ["CODE 1"] * len(COMMANDS), done.stderr
    assert done.stderr.count("error[E0901]: cannot read `f.") == len(COMMANDS), done.stderr
    assert done.stderr.count("expected a file, got a") == len(COMMANDS)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_weights_beside_a_model_must_be_a_file(kind):
    Path("e.onnx.data").unlink()
    special("e.onnx.data", kind)
    assert "`e.onnx.data`" in problem("E0901", lambda: Session("e.onnx"))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"])
def test_files_of_a_data_set_must_be_files(name):
    Path("d").mkdir()
    special(f"d/{name}", "pipe")
    special(f"d/{name.replace('images-idx3', 'labels-idx1')}", "pipe")
    assert name in problem("E0901", lambda: read_data("d"))


def test_images_of_a_folder_must_be_files():
    Path("d/cat").mkdir(parents=True)
    special("d/cat/a.png", "pipe")
    assert "d/cat/a.png" in run("test", "a.onnx", "--data", "d", "--split", "train", code=1)


def test_a_name_that_no_file_can_have():
    for call in (lambda: read_file("a\0b", 10), lambda: Session("a\0b.onnx"), lambda: netdsl.load("a\0b.net")):
        assert "null" in problem("E0901", call)
    assert "null" in problem("E0902", lambda: netdsl.load("a.net").to_onnx("a\0b.onnx"))


# ------------------------------------------------------------------------------------------- standard input


def test_standard_input_wherever_a_file_is_read():
    def content(name):
        return Path(name).read_bytes()

    assert "no errors" in run("check", "-", given=content("a.net"))
    run("compile", "-", "-o", "b.onnx", given=content("a.net"))
    plain = run("run", "a.onnx", "x.npy").partition(":")[2]
    assert run("run", "b.onnx", "x.npy").partition(":")[2] == plain
    for given, args in {
        "x.npy": ["a.onnx", "-"],
        "x.npz": ["a.onnx", "-"],
        "i.png": ["a.onnx", "image=-"],
        "a.onnx": ["-", "x.npy"],
    }.items():
        assert run("run", *args, given=content(given)).partition(":")[2] == plain
    for given in ("a.onnx", "a.net"):
        assert "nodes" in run("bench", "-", "--runs", 1, given=content(given))
    run("inspect", "-", "x.npy", "-o", "p.html", given=content("a.onnx"))
    run("plot", "curves", "-", given=b"epoch,train_loss\n1,2\n")


def test_standard_input_that_is_nothing_of_the_kind():
    assert "E0906" in run("run", "a.onnx", "-", given=b"", code=1)
    assert "E0905" in run("run", "-", "x.npy", given=b"", code=1)
    assert "E1001" in run("test", "a.onnx", "--data", "-", code=1)
    assert "E0902" in run("inspect", "a.onnx", "x.npy", "-o", "-", code=1)


def test_standard_input_has_a_bound(monkeypatch):
    monkeypatch.setattr("netdsl.base.files.MAX_STANDARD_INPUT_BYTES", 10)
    assert "more than 10 bytes" in run("check", "-", given=b" " * 11, code=1)


# ------------------------------------------------------------------------------------------- sizes


def npy(header, data=b"", version=(1, 0)):
    """A `.npy` file with this text as its head."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + data


def head(shape, descr="'<f4'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


HEADS = {
    "cut": npy(head("(1, 1, 8, 8)"))[:40],
    "no data": npy(head("(1, 1, 8, 8)")),
    "more than any memory": npy(head(f"({10**30},)"), bytes(64)),
    "more than an integer": npy(head(f"({2**62}, 0, 8)"), bytes(64)),
    "large": npy(head("(100000, 100000)"), bytes(64)),
    "negative": npy(head("(-3,)"), bytes(64)),
    "negative twice": npy(head("(-2, -2)"), bytes(64)),
    "brackets": npy("(" * 9000),
    "no dictionary": npy("7"),
    "objects": npy(head("(2,)", "'|O'"), bytes(64)),
    "records": npy(head("(2,)", "[('a', '<f4'), ('b', '<i4')]"), bytes(64)),
    "long texts": npy(head("(1,)", f"'<U{2**30}'"), bytes(64)),
    "no type": npy(head("(1,)", "'nonesuch'"), bytes(64)),
    "another version": npy(head("(1,)"), bytes(64), (9, 9)),
    "empty": b"",
}


@pytest.fixture
def little_memory():
    """A process that may take a gigabyte more than it has."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs to know the memory of its process")
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("case", HEADS)
def test_heads_of_arrays(case):
    Path("bad.npy").write_bytes(HEADS[case])
    assert "`bad.npy`" in run("run", "a.onnx", "bad.npy", code=1).replace("`image`", "`bad.npy`")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile("bad.npz", "w", method) as archive:
            archive.writestr("x.npy", HEADS[case])
            archive.writestr("y.npy", HEADS[case])
        assert "E1002" in run("test", "a.onnx", "--data", "bad.npz", code=1)


@pytest.mark.usefixtures("little_memory")
def test_archives_that_unpack_to_far_more():
    for count, shape in ((1, (2**28 + 2**24,)), (17, (2**24,))):
        with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            zeros = bytes(2**24)
            for number in range(count):
                with archive.open(f"x{number}.npy", "w", force_zip64=True) as entry:
                    entry.write(npy(head(shape, "'|u1'")))
                    for _ in range(shape[0] // 2**24):
                        entry.write(zeros)
        assert "unpacks from" in problem("E1002", lambda: read_npz(Path("bomb.npz"), "E1002"))


@pytest.mark.usefixtures("little_memory")
def test_a_gzip_file_that_unpacks_to_far_more():
    Path("d").mkdir()
    shape = struct.pack(">III", 2**15, 2**7, 2**7)
    with gzip.open("d/train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x03" + shape + bytes(2**20))
    Path("d/train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 0))
    assert "unpacks from" in problem("E1002", lambda: read_data("d"))


def test_data_that_are_packed_well_are_read():
    need_unpacked("x", 2**20, 100 * 2**20, "E1002", "")
    need_unpacked("x", 10, 2**28, "E1002", "")
    np.savez_compressed("x.npz", image=np.zeros((5000, 1, 8, 8), np.float32))
    assert read_npz(Path("x.npz"), "E0906")["image"].shape == (5000, 1, 8, 8)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_archives_that_numpy_does_not_write(method):
    with zipfile.ZipFile("p.npz", "w", method) as archive:
        archive.writestr("image.npy", Path("x.npy").read_bytes())
    for command in ("run a.onnx p.npz", "test a.onnx --data p.npz", "compile a.net --weights p.npz"):
        assert "`image` is compressed in a way that numpy does not write" in run(*command.split(), code=1)


def test_two_arrays_of_one_name_are_not_read_as_one():
    for names in (("x.npy", "x.npy"), ("x", "x.npy")):
        with zipfile.ZipFile("two.npz", "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of what is meant here
            for name in names:
                archive.writestr(name, Path("x.npy").read_bytes())
        assert "two entries are called `x`" in problem("E0906", lambda: read_npz(Path("two.npz"), "E0906"))


def test_endings_in_large_letters_are_the_same_endings():
    Path("X.NPY").write_bytes(Path("x.npy").read_bytes())
    run("run", "a.onnx", "X.NPY", "-o", "O.NPZ")
    assert list(read_npz(Path("O.NPZ"), "E0906")) == ["output"]
    run("run", "a.onnx", "X.NPY", "-o", "O.NPY")
    assert read_npy(Path("O.NPY"), "E0906").shape == (1, 10)


def test_what_is_called_npy_and_is_an_archive():
    Path("z.npy").write_bytes(Path("x.npz").read_bytes())
    assert "`z.npy`" in problem("E0906", lambda: read_npy(Path("z.npy"), "E0906"))


@pytest.mark.usefixtures("little_memory")
def test_a_small_file_takes_little_memory_whatever_its_bound():
    assert read_file("a.net", 2**40) == Path("a.net").read_bytes()
    assert read_file("a.net", len(NET)) == NET.encode()
    Path("two.bin").write_bytes(bytes(2**20 + 1))
    assert len(read_file("two.bin", 2**20 + 1)) == 2**20 + 1
    for most in (0, 1, 2**20):
        assert f"at most {most:,} bytes" in problem("E0901", lambda most=most: read_file("two.bin", most))


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_of_a_table_end_as_any_program_ends_them(end):
    rows = ["a,b,label", "1,2,cat", "3,4,dog", "5,6"]
    Path("t.csv").write_bytes(end.join(rows).encode())
    assert "t.csv:4:1" in problem("E1002", lambda: read_data("t.csv"))
    Path("t.csv").write_bytes(end.join(rows[:3]).encode())
    assert read_data("t.csv").train.inputs.tolist() == [[1, 2], [3, 4]]


@pytest.mark.usefixtures("little_memory")
def test_a_table_of_ten_million_columns():
    Path("wide.csv").write_bytes(b"0," * 10**7 + b"1\n")
    assert "at most 1,048,576 columns" in problem("E1002", lambda: read_data("wide.csv"))
    Path("quoted.csv").write_bytes((b'"\n",' + b"0," * 10**5) * 20 + b"1\n")
    assert "at most 1,048,576 columns" in problem("E1002", lambda: read_data("quoted.csv"))


def model(path, shape, outputs=("y",), dtype=TensorProto.FLOAT, metadata=None):
    """An ONNX file that gives its input, or its mean."""
    given = helper.make_tensor_value_info("image", dtype, shape)
    results = [helper.make_tensor_value_info(name, dtype, None) for name in outputs]
    nodes = [helper.make_node("ReduceMean" if name == "mean" else "Identity", ["image"], [name],
                              **({"keepdims": 0} if name == "mean" else {})) for name in outputs]  # fmt: skip
    proto = helper.make_model(helper.make_graph(nodes, "g", [given], results),
                              ir_version=8, opset_imports=[helper.make_opsetid("", 17)])  # fmt: skip
    for key, value in (metadata or {}).items():
        proto.metadata_props.add(key=key, value=value)
    Path(path).write_bytes(proto.SerializeToString())


@pytest.mark.usefixtures("little_memory")
def test_an_input_that_is_larger_than_memory():
    model("m.onnx", [1, 3, 40000, 40000])
    Image.new("RGB", (9, 9)).save("c.png")
    for command in ("bench m.onnx --runs 1", "run m.onnx c.png", "inspect m.onnx c.png", "plot classes m.onnx c.png"):
        assert "error[E0906]" in run(*command.split(), code=1)
    model("open.onnx", ["N", 3, "H", "W"])
    assert "error[E0906]" in run("bench", "open.onnx", "--size", "H=40000", "--size", "W=40000", code=1)
    assert "error[E0906]" in run("run", "open.onnx", "c.png", "--size", "H=40000", "--size", "W=40000", code=1)


@pytest.mark.usefixtures("little_memory")
def test_a_long_strip_is_not_scaled_as_a_whole():
    Image.new("L", (1, 1_000_000), 77).save("long.png")
    model("m.onnx", [1, 1, 224, 224])
    assert "from 0.302 to 0.302" in run("run", "m.onnx", "long.png")


# ------------------------------------------------------------------------------------------- models

STRANGE = {
    "no outputs": ({"outputs": ()}, "E0905"),
    "no shape": ({"shape": None}, "E0906"),
    "a scalar": ({"shape": []}, "E0906"),
    "texts": ({"dtype": TensorProto.STRING}, "E0906"),
    "two outputs of one name": ({"outputs": ("y", "y")}, "E0905"),
    "a scalar as output": ({"outputs": ("mean",)}, "E0906"),
    "labels that are no JSON": ({"metadata": {"netdsl.labels": "cat, dog"}}, "E0905"),
    "labels that are no list": ({"metadata": {"netdsl.labels": '{"0": "cat"}'}}, "E0905"),
    "labels that are no texts": ({"metadata": {"netdsl.labels": "[1, [2]]"}}, "E0905"),
    "labels that are a number": ({"metadata": {"netdsl.labels": "7"}}, "E0905"),
    "labels of brackets": ({"metadata": {"netdsl.labels": "[" * 100_000}}, "E0905"),
    "constraints of brackets": ({"metadata": {"netdsl.constraints": "[" * 100_000}}, "E0905"),
    "constraints that are no list": ({"metadata": {"netdsl.constraints": "null"}}, "E0905"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_models_that_are_strange(case):
    changes, code = STRANGE[case]
    model("m.onnx", **{"shape": [1, 1, 8, 8]} | changes)
    commands = ["run m.onnx x.npy", "inspect m.onnx x.npy", "plot activations m.onnx x.npy"]
    if case != "a scalar as output":
        commands += ["bench m.onnx --runs 1", "test m.onnx --split train --data data.npz"]
    for command in commands:
        said = run(*command.split(), code=1)
        assert f"error[{code}]" in said, command
        assert "`m.onnx`" in said


def test_metadata_of_macs_that_are_no_number():
    for text, counted in (("64", True), ("²", False), ("9" * 5000, False), ("-1", False), ("", False)):
        model("m.onnx", [1, 1, 8, 8], metadata={"netdsl.macs": text})
        assert ("arithmetic" in run("bench", "m.onnx", "--runs", 1)) == counted


@pytest.mark.parametrize("where", [b"image", b"mine"])
def test_texts_in_a_model_that_are_no_utf8(where):
    model("m.onnx", [1, 1, 8, 8], metadata={"netdsl.labels": "mine"})
    Path("m.onnx").write_bytes(Path("m.onnx").read_bytes().replace(where, b"\xff" * len(where)))
    assert "error[E0905]" in run("run", "m.onnx", "x.npy", code=1)


@pytest.mark.skipif(sys.platform == "darwin", reason="there, all names of files are text")
def test_names_of_files_that_are_no_text():
    odd = os.fsdecode(b"a\xff\x1b[31m")
    Path(f"{odd}.net").write_text(NET)
    run("compile", f"{odd}.net", "-o", "b.onnx")
    run("run", "b.onnx", "x.npy")
    assert "error[E0902]" in run("compile", "a.net", "-o", f"{odd}.onnx", "--external-data", code=1)
    assert not Path(f"{odd}.onnx").exists()
    run("compile", "a.net", "-o", f"{odd}.onnx")
    assert "whose names are Unicode text" in run("run", f"{odd}.onnx", "x.npy", code=1)
    assert "softmax" in run("run", "-", "x.npy", given=Path(f"{odd}.onnx").read_bytes())


@pytest.mark.skipif(sys.platform == "darwin", reason="there, all names of files are text")
def test_classes_are_called_what_a_model_can_keep():
    for name in (b"cat", b"do\xffg"):
        folder = Path("d", os.fsdecode(name))
        folder.mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "0.png")
    assert "no Unicode text" in problem("E0112", lambda: read_data("d"))
    np.savez("d.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.arange(4) % 2, names=np.array(["cat", "\ud800"]))
    assert "no Unicode text" in problem("E0112", lambda: read_data("d.npz"))
    text = NET.replace("train {", 'labels ["\ud800"]; train {')
    assert "<string>:4:" in problem("E0112", lambda: netdsl.loads(text))


# ------------------------------------------------------------------------------------------- damage


def damaged(data, random):
    """The bytes with a few of them changed, cut out or added."""
    data = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(min(len(data), random.choice((64, 10**9)))) if data else 0
        kind = random.randrange(4)
        if kind == 0:
            del data[at : random.choice((at + 1, at + 8, len(data)))]
        elif kind == 1:
            data[at:at] = random.randbytes(random.randrange(1, 9))
        elif kind == 2 and data:
            data[at] ^= 1 << random.randrange(8)
        else:
            data[at : at + 4] = random.choice((b"\xff\xff\xff\xff", bytes(4), b"-999", b"((((", b"\n\n\r\n"))
    return bytes(data)


def made(name):
    """A file of each kind."""
    buffer = io.BytesIO()
    if name == "d/train-images-idx3-ubyte.gz":
        return gzip.compress(b"\0\0\x08\x03" + struct.pack(">III", 3, 8, 8) + bytes(192))
    if name.endswith(".csv"):
        return b'a,"b",label\n1,2,cat\n3,4.5,dog\n' if name == "t.csv" else b"epoch,train_loss\n1,0.5\n2,0.25\n"
    if (known := Path(name)).exists():
        return known.read_bytes()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 8), np.uint8)).save(buffer, name.partition(".")[2])
    return buffer.getvalue()


def readers():
    """Whole commands by the file that they read."""
    for name in ("x.npy", "x.npz", "p.png", "p.tiff", "p.jpeg", "p.gif", "p.bmp", "p.webp", "p.ppm", "p.tga"):
        yield name, ["run", "a.onnx", name]
    for name in ("t.csv", "data.npz"):
        yield name, ["test", "a.onnx", "--split", "train", "--data", name]
    yield "d/train-images-idx3-ubyte.gz", ["test", "a.onnx", "--split", "train", "--data", "d"]
    yield "metrics.csv", ["plot", "curves", "metrics.csv"]
    yield "a.onnx", ["inspect", "a.onnx", "x.npy", "-o", "out.html"]


@pytest.mark.parametrize(("name", "args"), list(readers()), ids=[name for name, _ in readers()])
def test_damaged_files_are_errors_that_name_them(name, args):
    whole = made(name)
    Path("d").mkdir()
    Path("d/train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 3) + bytes(3))
    Path(name).write_bytes(whole)
    refused = 0
    draw = random.Random(name)  # noqa: S311 - no secret
    for _ in range(25):
        Path(name).write_bytes(damaged(whole, draw))
        result = CliRunner().invoke(main, args)
        assert result.exit_code in (0, 1), result.output
        assert result.exit_code == 0 or name in result.output or "`image`" in result.output, result.output
        refused += result.exit_code
    assert refused


def test_what_a_library_raises_names_the_file():
    def raising(error):
        with reading("x.npy", "E0906", "a whole array"):
            raise error

    for error in (ValueError("odd"), RecursionError("deep"), KeyError("k"), AssertionError(), OSError("no number")):
        assert "`x.npy` is not a whole array" in problem("E0906", lambda error=error: raising(error))
    assert "cannot read `x.npy`" in problem("E0901", lambda: raising(OSError(5, "Input/output error")))
    with pytest.raises(MemoryError, match=r"reading `x\.npy`"):
        raising(MemoryError())
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt())


# ------------------------------------------------------------------------------------------- the rule itself

FUNCTIONS = {"open", "ZipFile", "GzipFile", "BZ2File", "LZMAFile", "TarFile", "safe_open", "load_file"}
OF_PATHS = {"read_text", "read_bytes"}
OF_MODULES = {
    "np": {"load", "memmap", "fromfile", "loadtxt", "genfromtxt"}, "numpy": {"load", "memmap", "fromfile"},
    "torch": {"load"}, "onnx": {"load", "load_model"}, "Image": {"open"}, "io": {"open"}, "codecs": {"open"},
    "gzip": {"open"}, "bz2": {"open"}, "lzma": {"open"}, "tarfile": {"open"}, "zipfile": {"ZipFile"},
}  # fmt: skip
DOOR = "base/files.py"
OWN_DOOR = "weights"
"""A room whose readers come to the door by themselves."""


def opens(call):
    """Whether a call opens a file to read it."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in FUNCTIONS
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if function.attr in OF_PATHS or function.attr in OF_MODULES.get(owner, ()):
        return True
    modes = [argument.value for argument in call.args[:1] if isinstance(argument, ast.Constant)]
    reads = not call.args or any(isinstance(mode, str) and mode and set(mode) <= set("rbt+") for mode in modes)
    return function.attr == "open" and owner != "self" and reads


def unguarded(node, inside=False):
    """The calls that open files, outside of blocks that `reading` guards."""
    if isinstance(node, ast.With):
        inside = inside or any(isinstance(item.context_expr, ast.Call) and isinstance(item.context_expr.func, ast.Name)
                               and item.context_expr.func.id == "reading" for item in node.items)  # fmt: skip
    if isinstance(node, ast.Call) and not inside and opens(node):
        yield ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from unguarded(child, inside)


def test_files_are_opened_at_the_door_alone():
    found = {
        str(path.relative_to(ROOT)): calls
        for path in sorted(ROOT.rglob("*.py"))
        if path != ROOT / DOOR
        and path.relative_to(ROOT).parts[0] != OWN_DOOR
        and (calls := list(unguarded(ast.parse(path.read_text()))))
    }
    assert found == {}


def test_the_rule_sees_what_it_forbids():
    for text in ("open(p)", "Path(p).open()", "p.open('rb')", "p.open(encoding='utf-8')", "p.read_text()", "np.load(p)",
                 "(d / 'x').read_bytes()", "torch.load(p)", "Image.open(p)", "gzip.open(p)", "ZipFile(p)",
                 "onnx.load(p)", "with other(p):\n  np.load(p)"):  # fmt: skip
        assert list(unguarded(ast.parse(text))), text
    for text in ("with reading(p, c, w):\n  np.load(p)", "hidden.open('xb')", "names.open(scope, '[')", "f.read()"):
        assert not list(unguarded(ast.parse(text))), text
