"""Sessions refuse what they cannot do, with the reason; files become what a model takes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from formulas import FORMULAS, UNKNOWN
from hypothesis import given
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.ir.dim import evaluate
from netdsl.ir.meaning import Gives
from netdsl.runtime import Device, Port, Session, devices, session
from netdsl.runtime.bench import Plan, bench
from netdsl.runtime.cuda import Gpus, find_gpus
from netdsl.runtime.feeds import batches, rank, save_arrays
from netdsl.runtime.preparation import Preparation, load_picture
from netdsl.runtime.sizes import computed


def write_model(path, shape=("N", 3, 8, 8), dtype=TensorProto.FLOAT, weight=None, **metadata):
    """A model that gives back its input `image`, plus 1 or plus a weight, as `output`."""
    ports = [helper.make_tensor_value_info(name, dtype, shape) for name in ("image", "output")]
    weight = np.ones(1) if weight is None else weight
    array = numpy_helper.from_array(weight.astype(helper.tensor_dtype_to_np_dtype(dtype)), "w")
    graph = helper.make_graph([helper.make_node("Add", ["image", "w"], ["output"])], "g", ports[:1], ports[1:], [array])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 14)])
    for key, value in metadata.items():
        model.metadata_props.add(key=f"netdsl.{key}", value=json.dumps(value))
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m.onnx")


def code(error):
    return error.value.diagnostics[0].code


def everything(error):
    diagnostic = error.value.diagnostics[0]
    return " ".join([diagnostic.message, *diagnostic.notes, diagnostic.help or ""])


# ------------------------------------------------------------------------------------------------ devices


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("cpu", Device("cpu")),
        ("cuda", Device("cuda", 0)),
        ("cuda:3", Device("cuda", 3)),
        ("tensorrt:1", Device("tensorrt", 1)),
    ],
)
def test_devices(text, device):
    assert Device.parse(text) == device


@pytest.mark.parametrize("text", ["", "gpu", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "CUDA"])
def test_what_is_no_device(text):
    with pytest.raises(NetdslError) as error:
        Device.parse(text)
    assert code(error) == "E0904"


def fake_onnxruntime(
    monkeypatch, session=None, providers=("CUDAExecutionProvider", "CPUExecutionProvider"), raises=None
):
    """An onnxruntime built for CUDA, of which a session can be made or not."""

    def make(*_arguments, enable_fallback, **_others):
        assert enable_fallback == 0
        if raises is not None:
            raise raises
        return session

    fake = SimpleNamespace(
        __version__="1.18.0",
        __file__=__file__,
        InferenceSession=make,
        SessionOptions=SimpleNamespace,
        get_available_providers=lambda: list(providers),
        set_default_logger_severity=abs,
        preload_dlls=lambda: sys.stdout.write("Failed to load libcublasLt.so.12"),
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)


class Driver:
    """A driver with some GPUs, as `ctypes` shows its library."""

    def __init__(self, *names, status=0):
        self.names, self.status = names, status

    def cuInit(self, _flags):  # noqa: N802 - the driver's names
        return self.status

    def cuDriverGetVersion(self, version):  # noqa: N802 - the driver's names
        version._obj.value = 12040

    def cuDeviceGetCount(self, count):  # noqa: N802 - the driver's names
        count._obj.value = len(self.names)

    def cuDeviceGetName(self, text, _size, ordinal):  # noqa: N802 - the driver's names
        text.value = self.names[ordinal].encode()


@pytest.mark.parametrize(
    ("driver", "names", "version", "problem"),
    [
        (Driver("H200", "L4"), ("H200", "L4"), "12.4", ""),
        (Driver(), (), "12.4", "shows no GPU"),
        (Driver(status=100), (), "", "cuInit returned 100"),
    ],
)
def test_the_driver_is_asked(monkeypatch, driver, names, version, problem):
    monkeypatch.setattr("ctypes.CDLL", lambda _name: driver)
    gpus = find_gpus()
    assert (gpus.names, gpus.driver) == (names, version)
    assert problem in gpus.problem
    assert bool(gpus.problem) is bool(problem)


def test_no_driver(monkeypatch):
    def fail(_name):
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", fail)
    assert "not installed" in find_gpus().problem


def test_a_build_without_the_provider_is_refused(monkeypatch, model):
    fake_onnxruntime(monkeypatch, providers=("CPUExecutionProvider",))
    with pytest.raises(NetdslError) as error:
        Session(model, "cuda")
    assert code(error) == "E0904"
    assert "built without it" in everything(error)
    assert "netdsl[gpu]" in everything(error)


def test_the_installed_build_is_asked(model):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers() and not find_gpus().problem:
        assert Session(model, "cuda").device == Device("cuda", 0)
        return
    with pytest.raises(NetdslError) as error:
        Session(model, "cuda")
    assert code(error) == "E0904"


def test_a_machine_without_a_driver_is_refused(monkeypatch, model):
    fake_onnxruntime(monkeypatch)
    monkeypatch.setattr(devices, "find_gpus", lambda: Gpus(problem="the NVIDIA driver is not installed"))
    with pytest.raises(NetdslError) as error:
        Session(model, "cuda")
    assert code(error) == "E0904"
    assert "driver is not installed" in everything(error)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, model):
    fake_onnxruntime(monkeypatch)
    monkeypatch.setattr(devices, "find_gpus", lambda: Gpus(("H200", "H200"), "13.0"))
    with pytest.raises(NetdslError) as error:
        Session(model, "cuda:2")
    assert code(error) == "E0904"
    assert "there is no GPU 2" in everything(error)
    assert "`cuda:1` is H200" in everything(error)


def test_a_silent_fallback_is_refused(monkeypatch, model, capfd):
    """Onnxruntime gives a session for the CPU when the provider's library does not load."""
    fake_onnxruntime(monkeypatch, SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"]))
    monkeypatch.setattr(devices, "find_gpus", lambda: Gpus(("H200",), "13.0"))
    with pytest.raises(NetdslError) as error:
        Session(model, "cuda")
    assert code(error) == "E0904"
    assert capfd.readouterr().out == ""  # what preload_dlls prints is not for the user's pipe


def test_a_library_that_does_not_load_is_named(tmp_path):
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"not a library")
    fake = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    reason = devices.not_loading(fake, Device("cuda"))
    assert reason is not None
    assert "libonnxruntime_providers_cuda.so" in reason


def test_a_provider_that_raises_is_a_missing_device(monkeypatch, model):
    fake_onnxruntime(monkeypatch, raises=RuntimeError("CUDA failure 100: no CUDA-capable device is detected"))
    monkeypatch.setattr(devices, "find_gpus", lambda: Gpus(("H200",), "13.0"))
    with pytest.raises(NetdslError) as error:
        Session(model, "cuda")
    assert code(error) == "E0904"
    assert "no CUDA-capable device" in everything(error)


def test_without_onnxruntime(monkeypatch, model):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NetdslError) as error:
        Session(model)
    assert code(error) == "E0907"
    assert "pip install" in everything(error)


# ------------------------------------------------------------------------------------------------ models


def truncated(path):
    path.write_bytes(path.read_bytes()[:-40])


def newer(path):
    proto = onnx.load(path)
    proto.ir_version = 99
    path.write_bytes(proto.SerializeToString())


def unknown_operator(path):
    proto = onnx.load(path)
    proto.graph.node[0].op_type = "Nonesuch"
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(
    ("spoil", "due", "words"),
    [
        (truncated, "E0905", "cut short"),
        (newer, "E0905", "newer than onnxruntime"),
        (unknown_operator, "E0905", "Nonesuch"),
        (lambda path: path.write_bytes(b""), "E0905", "empty"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "E0905", "git lfs pull"),
        (lambda path: path.write_bytes(b"PK\x03\x04rest"), "E0905", "zip archive"),
        (lambda path: path.write_bytes(b"<html>404</html>"), "E0905", "web page"),
        (lambda path: path.write_bytes(b"hello"), "E0905", "not a whole ONNX model"),
        (lambda path: path.unlink(), "E0901", "no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "E0901", "is a directory"),
    ],
)
def test_what_is_no_model(model, spoil, due, words):
    spoil(model)
    with pytest.raises(NetdslError) as error:
        Session(model)
    assert code(error) == due
    assert words in everything(error)


def test_a_source_is_no_model(tmp_path):
    file = tmp_path / "a.net"
    file.write_text("net a { input x: 8; dense 4 }")
    with pytest.raises(NetdslError, match="netdsl compile"):
        Session(file)


@pytest.mark.parametrize("spoil", [os.remove, lambda path: path.write_bytes(b"123")])
def test_weights_beside_the_model_must_be_there(tmp_path, spoil):
    path = write_model(tmp_path / "m.onnx", ("N", 64, 8, 8), weight=np.ones((64, 8, 8)))
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    Session(path)
    spoil(tmp_path / "m.onnx.data")
    with pytest.raises(NetdslError) as error:
        Session(path)
    assert code(error) == "E0905"
    assert "m.onnx.data" in everything(error) or "External initializer: w" in everything(error)
    assert "beside it" in everything(error)


PLACE = "/onnxruntime_src/core/graph/model.cc:256 onnxruntime::Model::Model(Proto&&, const std::function<void(int)>&)"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : No graph (none).", "No graph (none)."),
        (
            f"[ONNXRuntimeError] : 1 : FAIL : Load failed:{PLACE} Unsupported IR version",
            "Load failed:Unsupported IR version",
        ),
        ("Error: utils.cc:461 GetExtData External data (x) is missing", "Error: External data (x) is missing"),
    ],
)
def test_places_in_another_program_s_source_are_left_out(raw, told):
    assert session._reason(RuntimeError(raw)) == told


# ------------------------------------------------------------------------------------------------ inputs


def test_run(model):
    session = Session(model)
    assert session.inputs == (Port("image", ("N", 3, 8, 8), "float32"),)
    image = np.zeros((2, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(session.run({"image": image})["output"], image + 1)


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "no data for `image`"),
        ({"image": np.zeros((1, 3, 8, 8), np.float32), "other": np.zeros(1)}, "no input `other`"),
        ({"image": np.zeros((1, 3, 8, 9), np.float32)}, "expected size 8 along axis 3 of `image`, got 9"),
        ({"image": np.zeros((3, 8, 8), np.float32)}, "expected 4 dimensions for `image`, got 3"),
        ({"image": np.zeros((1, 3, 8, 8))}, "expected float32 for `image`, got float64"),
    ],
)
def test_arrays_that_do_not_fit(model, feeds, words):
    with pytest.raises(NetdslError) as error:
        Session(model).run(feeds)
    assert code(error) == "E0906"
    assert words in everything(error)
    assert "the model takes `image`: float32 [N, 3, 8, 8]" in everything(error)


def test_sizes_called_alike_must_be_equal(tmp_path):
    session = Session(write_model(tmp_path / "m.onnx", ("N", 1, "H", "H")))
    session.run({"image": np.zeros((1, 1, 4, 4), np.float32)})
    with pytest.raises(NetdslError, match=r"expected size 4 along .* got 5"):
        session.run({"image": np.zeros((1, 1, 4, 5), np.float32)})


def test_sizes_without_a_name_are_told_apart(tmp_path):
    path = write_model(tmp_path / "m.onnx", (None, 3, None, None))
    session = Session(path)
    assert session.inputs[0].shape == ("image.0", 3, "image.2", "image.3")
    session.run({"image": np.zeros((2, 3, 4, 5), np.float32)})
    assert bench(path, "cpu", Plan(2, {"image.2": 4, "image.3": 5}, runs=1)).batch == 2


def test_what_onnxruntime_refuses_names_the_constraints(tmp_path):
    path = write_model(tmp_path / "m.onnx", ("N", "C"), weight=np.ones(4), constraints=["C % 2 == 0"])
    with pytest.raises(NetdslError, match="onnxruntime cannot run this") as error:
        Session(path).run({"image": np.zeros((1, 2), np.float32)})
    assert code(error) == "E0906"
    assert "where C % 2 == 0" in everything(error)


@pytest.fixture
def coarse(tmp_path):
    constraints = ["H % 32 == 0", "H >= 64", "W % 32 == 0", "W <= 512"]
    return write_model(tmp_path / "m.onnx", ("N", 1, "H", "W"), constraints=constraints)


@pytest.mark.parametrize(
    ("height", "width", "words"),
    [
        (100, 64, ["H = 100 breaks `H % 32 == 0`:", "the nearest are H = 96 or 128;", "`netdsl run --size H=128`"]),
        (64, 100, ["W = 100 breaks `W % 32 == 0`:", "W = 96 or 128;", "`netdsl run --size W=128`"]),
        (32, 64, ["H = 32 breaks `H >= 64`:", "the nearest are H = 64;"]),
        (64, 544, ["W = 544 breaks `W <= 512`:", "the nearest are W = 512;"]),
        (
            7,
            600,
            [
                "H = 7 breaks `H % 32 == 0` and H = 7 breaks `H >= 64` and W = 600 breaks",
                "H = 64, W = 512; `netdsl run --size H=64 --size W=512`",
                "the model takes `image`: float32 [N, 1, H, W]",
                "where H % 32 == 0, H >= 64, W % 32 == 0, W <= 512",
            ],
        ),
    ],
)
def test_sizes_that_the_net_is_not_for_are_refused(coarse, height, width, words):
    with pytest.raises(NetdslError) as error:
        Session(coarse).run({"image": np.zeros((1, 1, height, width), np.float32)})
    assert code(error) == "E0906"
    for word in words:
        assert word.removesuffix(":") in everything(error)


def test_sizes_that_the_net_is_for_run(coarse):
    for height, width in ((64, 32), (96, 512)):
        result = Session(coarse).run({"image": np.zeros((2, 1, height, width), np.float32)})
        assert result["output"].shape == (2, 1, height, width)


def test_bench_keeps_the_constraints(coarse):
    with pytest.raises(NetdslError, match="H = 100 breaks `H % 32 == 0`"):
        bench(coarse, "cpu", Plan(sizes={"H": 100, "W": 64}, runs=1))
    with pytest.raises(NetdslError, match="there is no open size `K`"):
        bench(coarse, "cpu", Plan(sizes={"K": 100}, runs=1))


def write_pair(path, sizes, **metadata):
    """A model of two inputs, `a` and `b`, that gives back both."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]) for name, size in sizes.items()]
    outputs = [helper.make_tensor_value_info(f"{name}2", TensorProto.FLOAT, ["N", None]) for name in sizes]
    nodes = [helper.make_node("Identity", [name], [f"{name}2"]) for name in sizes]
    graph = helper.make_graph(nodes, "g", ports, outputs)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 14)])
    for key, value in metadata.items():
        model.metadata_props.add(key=f"netdsl.{key}", value=value)
    onnx.save(model, path)
    return path


def test_sizes_that_follow_from_others_are_held(tmp_path):
    sizes = {"a": "T", "b": "2*floor((T+1)/2)"}
    session = Session(write_pair(tmp_path / "m.onnx", sizes, version="1"))
    session.run({"a": np.zeros((1, 3), np.float32), "b": np.zeros((1, 4), np.float32)})
    with pytest.raises(NetdslError, match=r"expected size 2\*floor\(\(T\+1\)/2\) = 4, got 5"):
        session.run({"a": np.zeros((1, 3), np.float32), "b": np.zeros((1, 5), np.float32)})
    assert bench(tmp_path / "m.onnx", "cpu", Plan(sizes={"T": 5}, runs=1)).batch == 1
    foreign = Session(write_pair(tmp_path / "f.onnx", sizes))
    foreign.run({"a": np.zeros((1, 3), np.float32), "b": np.zeros((1, 5), np.float32)})


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("3", 3), ("T", 7), ("-T+9", 2), ("2*T*T", 98), ("T/7", 1), ("T/2", None), ("floor(T/2)", 3), ("H", None),
        ("T.x", None), ("T**T", None), ("a b", None), ("", None), ("T/0", None), ("(" * 5000, None), ("f(T)", None),
    ],
)  # fmt: skip
def test_formulas_of_sizes(formula, value):
    assert computed(formula, {"T": 7}) == value


@given(FORMULAS)
def test_every_size_that_netdsl_writes_can_be_computed(formula):
    sizes = {"H": 13, "W": 7, "T": 36}
    dim = formula(UNKNOWN)
    assert computed(str(dim), sizes) == evaluate(dim, sizes)


@pytest.mark.parametrize("broken", ["H % 2", ["H > 3"], [3], 7])
def test_constraints_that_cannot_be_read(tmp_path, broken):
    path = write_model(tmp_path / "m.onnx", constraints=broken)
    with pytest.raises(NetdslError, match="damaged metadata") as error:
        Session(path)
    assert code(error) == "E0905"


def all_batches(session, *files, preparation=None):
    return list(batches(session, [str(file) for file in files], preparation or Preparation()))


def test_arrays_come_with_and_without_the_batch(model, tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((3, 8, 8)))
    np.save(tmp_path / "two.npy", np.zeros((2, 3, 8, 8), np.float16))
    made = all_batches(Session(model), tmp_path / "one.npy", tmp_path / "two.npy")
    assert [batch.feeds["image"].shape for batch in made] == [(1, 3, 8, 8), (2, 3, 8, 8)]
    assert {batch.feeds["image"].dtype.name for batch in made} == {"float32"}


def test_several_inputs_go_by_name(tmp_path):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", ports[:2], ports[2:])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 14)]), tmp_path / "m.onnx")
    session = Session(tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.float32([1, 2]))
    np.savez(tmp_path / "both.npz", a=np.float32([[1, 2]]), b=np.float32([[1, 2]]))
    x = tmp_path / "x.npy"
    for files in ((f"a={x}", f"b={x}"), (tmp_path / "both.npz",)):
        (batch,) = all_batches(session, *files)
        np.testing.assert_array_equal(session.run(batch.feeds)["c"], [[2, 4]])
    with pytest.raises(NetdslError, match="expected `INPUT=FILE`"):
        all_batches(session, x)


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.zeros((3, 8, 8), np.uint8), None), (np.zeros((3, 8, 8), complex), "complex128")],
)
def test_element_types_are_changed_where_nothing_is_lost(model, tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    if words is None:
        assert len(all_batches(Session(model), tmp_path / "x.npy")) == 1
        return
    with pytest.raises(NetdslError, match=words):
        all_batches(Session(model), tmp_path / "x.npy")


def pickled(path):
    np.save(path, np.array([{}], object), allow_pickle=True)


def huge(path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 1000000), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n")


@pytest.mark.parametrize(
    "spoil", [pickled, huge, lambda path: path.write_bytes(b"\x93NUMPY"), lambda path: path.write_bytes(b"")]
)
def test_broken_arrays(model, tmp_path, spoil):
    spoil(tmp_path / "x.npy")
    with pytest.raises((NetdslError, MemoryError)) as error:
        all_batches(Session(model), tmp_path / "x.npy")
    if isinstance(error.value, NetdslError):
        assert code(error) == "E0906"


def test_a_file_that_is_not_there(model, tmp_path):
    for name in ("x.npy", "x.png"):
        with pytest.raises(NetdslError) as error:
            all_batches(Session(model), tmp_path / name)
        assert code(error) == "E0901"


# ------------------------------------------------------------------------------------------------ images


COLOUR = Port("image", ("N", 3, 4, 4), "float32")
SIX = {"H": 6, "W": 6}
GREY = Port("image", ("N", 1, 4, 4), "float32")


def test_a_fitting_image_is_only_scaled(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    array = load_picture(tmp_path / "x.png", COLOUR, Preparation())
    np.testing.assert_allclose(array, pixels.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_mean_and_deviation(tmp_path):
    Image.new("RGB", (4, 4), (255, 51, 0)).save(tmp_path / "x.png")
    array = load_picture(tmp_path / "x.png", COLOUR, Preparation(mean=(0.5, 0.2, 0.0), std=(0.5, 1.0, 2.0)))
    np.testing.assert_allclose(array[:, 0, 0], [1, 0, 0], atol=1e-6)
    with pytest.raises(NetdslError) as error:
        load_picture(tmp_path / "x.png", COLOUR, Preparation(mean=(0.5, 0.5)))
    assert code(error) == "E0906"


def test_an_image_is_covered_and_cropped_to_the_middle(tmp_path):
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, 4:12] = 255  # the middle square
    Image.fromarray(pixels).save(tmp_path / "x.png")
    array = load_picture(tmp_path / "x.png", GREY, Preparation())
    assert array.shape == (1, 4, 4)
    assert array[:, :, 1:3].min() == 1


def test_open_sizes_keep_the_image(tmp_path):
    Image.new("L", (7, 5)).save(tmp_path / "x.png")
    port = Port("image", ("N", 1, "H", "W"), "float32")
    assert load_picture(tmp_path / "x.png", port, Preparation()).shape == (1, 5, 7)
    assert load_picture(tmp_path / "x.png", port, Preparation(sizes={"H": 10})).shape == (1, 10, 7)
    assert load_picture(tmp_path / "x.png", port, Preparation(sizes={"H": 4, "W": 8})).shape == (1, 4, 8)


def test_arrays_are_not_scaled(tmp_path):
    session = Session(write_model(tmp_path / "m.onnx", ("N", 1, "H", "W")))
    np.save(tmp_path / "x.npy", np.zeros((1, 6, 5), np.float32))
    np.savez(tmp_path / "x.npz", image=np.zeros((2, 1, 6, 5), np.float32))
    for file in ("x.npy", "x.npz"):
        assert all_batches(session, tmp_path / file, preparation=Preparation(sizes={"H": 6}))
        with pytest.raises(NetdslError, match="expected `image` with W = 6, got an array with 5"):
            all_batches(session, tmp_path / file, preparation=Preparation(sizes=SIX))


def test_images_of_a_fixed_batch_must_be_of_one_size(tmp_path):
    for side in (4, 5):
        Image.new("L", (side, side)).save(tmp_path / f"{side}.png")
    session = Session(write_model(tmp_path / "m.onnx", (2, 1, "H", "W")))
    with pytest.raises(NetdslError, match="1x4x4 and 1x5x5"):
        all_batches(session, tmp_path / "4.png", tmp_path / "5.png")
    (batch,) = all_batches(session, tmp_path / "4.png", tmp_path / "5.png", preparation=Preparation(sizes=SIX))
    assert batch.feeds["image"].shape == (2, 1, 6, 6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_images_of_every_mode(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "x.tiff")
    for port, channels in ((COLOUR, 3), (GREY, 1)):
        assert load_picture(tmp_path / "x.tiff", port, Preparation()).shape == (channels, 4, 4)


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "x.png")
    array = load_picture(tmp_path / "x.png", GREY, Preparation())
    np.testing.assert_allclose(array, 0.5, atol=1 / 255)


def test_bytes_stay_bytes(tmp_path):
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "x.png")
    array = load_picture(tmp_path / "x.png", Port("image", ("N", 3, 4, 4), "uint8"), Preparation())
    assert array.dtype == np.uint8
    assert array[:, 0, 0].tolist() == [1, 2, 3]


def test_the_camera_s_orientation_is_heeded(tmp_path):
    image = Image.new("L", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "x.jpg", exif=exif)
    port = Port("image", ("N", 1, "H", "W"), "float32")
    assert load_picture(tmp_path / "x.jpg", port, Preparation()).shape == (1, 8, 4)


def cut(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def bomb(path):
    Image.new("1", (20_000, 20_000)).save(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(cut, "damaged image"), (bomb, "pixels"), (lambda path: path.write_bytes(b"text"), "not an image")],
)
def test_broken_images(tmp_path, spoil, words):
    spoil(tmp_path / "x.png")
    with pytest.raises(NetdslError) as error:
        load_picture(tmp_path / "x.png", COLOUR, Preparation())
    assert code(error) == "E0906"
    assert words in everything(error)


@pytest.mark.parametrize("port", [Port("x", ("N", 784), "float32"), Port("x", ("N", 2, 4, 4), "float32"),
                                  Port("x", ("N", 3, 4, 4), "int64")])  # fmt: skip
def test_inputs_that_take_no_image(tmp_path, port):
    with pytest.raises(NetdslError) as error:
        load_picture(tmp_path / "x.png", port, Preparation())
    assert code(error) == "E0906"


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(NetdslError) as error:
        load_picture(tmp_path / "x.png", COLOUR, Preparation())
    assert code(error) == "E0907"


def test_a_fixed_batch_takes_so_many_images(tmp_path):
    session = Session(write_model(tmp_path / "m.onnx", (2, 3, 8, 8)))
    for name in "abcd":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    files = [tmp_path / f"{name}.png" for name in "abcd"]
    made = all_batches(session, *files)
    assert [batch.feeds["image"].shape[0] for batch in made] == [2, 2]
    with pytest.raises(NetdslError, match="expected batches of 2 samples, got 1 at the end"):
        all_batches(session, *files[:3])


# ------------------------------------------------------------------------------------------------ results


def test_logits_are_ranked_by_their_softmax():
    ranking = rank(np.float32([0, 2, 1]), ("a", "b", "c"), 2)
    assert ranking.meaning == "softmax of the logits"
    assert [name for name, _ in ranking.classes] == ["b", "c"]
    assert ranking.classes[0][1] == pytest.approx(np.e**2 / (1 + np.e + np.e**2))


@pytest.mark.parametrize(
    ("gives", "scores", "meaning", "shown"),
    [
        (Gives.PROBABILITIES, [0.25, 0.75], "probability", [0.25, 0.75]),
        (Gives.LOG_PROBABILITIES, [np.log(0.25), np.log(0.75)], "probability", [0.25, 0.75]),
        (Gives.LOGITS, [0.25, 0.75], "softmax of the logits", torch.tensor([0.25, 0.75]).softmax(0)),
        (Gives.LOGITS, [-1.0, 3e38], "softmax of the logits", [0, 1]),
        (Gives.YES_PROBABILITIES, [0.9, 0.8], "probability of each", [0.9, 0.8]),
        (Gives.YES_PROBABILITIES, [0.9], "probability of each", [0.1, 0.9]),
        (Gives.YES_LOGITS, [2.0, -9.0], "sigmoid of the logits", torch.tensor([2.0, -9.0]).sigmoid()),
        (Gives.YES_LOGITS, [2.0], "sigmoid of the logits", torch.tensor([-2.0, 2.0]).sigmoid()),
        (Gives.SCORES, [float("nan"), 2.0], "score", [float("nan"), 2.0]),
        (Gives.DISTANCES, [3.0, 2.0], "distance", [3.0, 2.0]),
    ],
)
def test_what_scores_mean_is_never_guessed_from_them(gives, scores, meaning, shown):
    ranking = rank(np.float32(scores), (), 5, gives)
    assert ranking.meaning == meaning
    np.testing.assert_allclose([dict(ranking.classes)[name] for name in "01"], np.float32(shown), rtol=1e-6)


def test_values_are_not_ranked_and_of_distances_the_least_is_first():
    assert rank(np.float32([0.2, 0.9]), (), 5, Gives.VALUES) is None
    assert rank(np.zeros((3, 4), np.float32), (), 5, Gives.LOGITS) is None
    ranking = rank(np.float32([3, 1, 2]), ("a", "b", "c"), 2, Gives.DISTANCES)
    assert [name for name, _ in ranking.classes] == ["b", "c"]


def test_labels_travel_in_the_model(tmp_path):
    session = Session(write_model(tmp_path / "m.onnx", ("N", 2), labels=["cat", "dög"]))
    assert session.labels == ("cat", "dög")


def test_outputs_are_written(tmp_path):
    array = np.arange(3.0)
    save_arrays(tmp_path / "x.npy", {"y": array})
    save_arrays(tmp_path / "x.npz", {"y": array, "file": array + 1})
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), array)
    with np.load(tmp_path / "x.npz") as arrays:
        np.testing.assert_array_equal(arrays["file"], array + 1)
    with pytest.raises(NetdslError, match="one array"):
        save_arrays(tmp_path / "x.npy", {"y": array, "z": array})


# ------------------------------------------------------------------------------------------------ measuring


@pytest.mark.parametrize("binding", [False, True])
def test_bench(tmp_path, binding):
    path = write_model(tmp_path / "m.onnx", ("N", 3, "H", 8), macs=1000)
    timing = bench(path, "cpu", Plan(4, {"H": 8}, runs=5, warmup=1, binding=binding))
    assert (timing.batch, len(timing.seconds), timing.nodes) == (4, 5, {"cpu": 1})
    assert timing.flops == pytest.approx(2 * 1000 * 4 / timing.percentile(50))
    assert timing.percentile(50) <= timing.percentile(90) <= timing.percentile(99)
    assert not list(Path.cwd().glob("profile*.json"))


def test_bench_of_a_net():
    net = netdsl.loads("net n { input x: 3xHx4; conv 2 k1 }")
    timing = net.bench(plan=Plan(2, {"H": 8}, runs=3, warmup=0))
    assert (timing.batch, len(timing.seconds), timing.macs) == (2, 3, 2 * 3 * 8 * 4)
    with pytest.raises(NetdslError, match="--size H=224"):
        net.bench()


def test_bench_needs_every_size(tmp_path):
    path = write_model(tmp_path / "m.onnx", ("N", 3, "H", "W"))
    with pytest.raises(NetdslError, match="--size W=") as error:
        bench(path, "cpu", Plan(sizes={"H": 8}))
    assert code(error) == "E0906"


def test_bench_keeps_a_fixed_batch(tmp_path):
    path = write_model(tmp_path / "m.onnx", (2, 3, 8, 8))
    assert bench(path, "cpu", Plan(runs=1, warmup=0)).batch == 2
    with pytest.raises(NetdslError, match="fixed batch size 2, got 4"):
        bench(path, "cpu", Plan(4))
