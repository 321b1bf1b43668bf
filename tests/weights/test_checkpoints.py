"""Files of weights: read as their own libraries wrote them, compared with a net, converted, refused when damaged."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from commands import error, run

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.weights.loading import weights_from
from netdsl.weights.opening import open_checkpoint
from netdsl.weights.writing import write_checkpoint

ROOT = Path(__file__).parents[2]
NET = """\
net small(classes = 5) {
    input image: 2x6x6
    conv 4 k3 bias=no -> bn -> relu
    flatten -> dense classes
}
"""
WITH_AUX = """\
net big {
    input x: 8
    dense 8 -> relu
    aux help: { dense 3 }
    dense 4
}
"""

pytestmark = pytest.mark.usefixtures("folder")


class Small(torch.nn.Module):
    """The same net in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(2, 4, 3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(4)
        self.dense1 = torch.nn.Linear(64, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.dense1(torch.relu(self.bn1(self.conv1(image))).flatten(1))


@pytest.fixture(scope="module")
def model():
    """A model in which every parameter matters."""
    torch.manual_seed(0)
    made = Small()
    for values in made.state_dict().values():
        if values.is_floating_point():
            values.uniform_(0.5, 1.5)
    return made.eval()


@pytest.fixture
def state(model):
    return {name: values.clone() for name, values in model.state_dict().items()}


def graph(text=NET, **arguments):
    return netdsl.loads(text, **arguments).graph


def arrays(state):
    return {name: values.numpy() for name, values in state.items()}


# ------------------------------------------------------------------------------------------------ reading


def save_onnx(state, path, **options):
    """A model of another producer: one tensor with raw bytes, the others as lists of numbers."""
    tensors = []
    for number, (name, values) in enumerate(arrays(state).items()):
        raw = number % 2 == 0
        kind = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        data = values.tobytes() if raw else values.ravel().tolist()
        tensors.append(onnx.helper.make_tensor(name, kind, values.shape, data, raw=raw))
    port = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    made = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [port], [], tensors)
    onnx.save(onnx.helper.make_model(made), path, **options)


def save_external(state, path):
    save_onnx(
        state, path, save_as_external_data=True, location="weights.bin", size_threshold=0, convert_attribute=False
    )


WAYS = {
    "safetensors": ("w.safetensors", safetensors.torch.save_file),
    "numpy": ("w.npz", lambda state, path: np.savez(path, **arrays(state))),
    "compressed": ("w.npz", lambda state, path: np.savez_compressed(path, **arrays(state))),
    "fortran": ("w.npz", lambda s, path: np.savez(path, **{k: np.asarray(v, order="F") for k, v in arrays(s).items()})),
    "big-endian": ("w.npz", lambda state, path: np.savez(path, **{k: v.astype(v.dtype.newbyteorder(">"))
                                                                  for k, v in arrays(state).items()})),
    "torch": ("w.pt", torch.save),
    "parameters": ("w.pth", lambda s, path: torch.save({k: torch.nn.Parameter(v, v.is_floating_point())
                                                         for k, v in s.items()}, path)),
    "legacy": ("w.pth", lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False)),
    "lightning": ("w.ckpt", lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path)),
    "script": ("w.bin", lambda s, path: torch.save({"model_state_dict": s, "best": torch.tensor(0.9)}, path)),
    "wrapped": ("w.pt", lambda s, path: torch.save({"optimizer": {"lr": torch.tensor(0.1)}, "model": s}, path)),
    "parallel": ("w.pt", lambda s, path: torch.save({f"module.{k}": v for k, v in s.items()}, path)),
    "compiled": ("w.pt", lambda s, path: torch.save({f"net._orig_mod.{k}": v for k, v in s.items()}, path)),
    "onnx": ("w.onnx", save_onnx),
    "onnx external": ("w.onnx", save_external),
}  # fmt: skip


def plain(key):
    """A name without what two of the ways put before it."""
    return key.removeprefix("module.").removeprefix("net._orig_mod.")


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_gives_the_model_s_results(way, model, state):
    name, save = WAYS[way]
    save(state, name)
    run("compile", "small.net", "--weights", name, "--quiet")
    image = torch.rand(3, 2, 6, 6)
    session = onnxruntime.InferenceSession("small.onnx", providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"image": image.numpy()})
    np.testing.assert_allclose(result, model(image).detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_names_shapes_and_types_are_known_before_arrays_are_read(way, state):
    name, save = WAYS[way]
    save(state, name)
    tensors = open_checkpoint(name).tensors
    want = {key: (tuple(values.shape), str(values.dtype)[6:], values.nbytes) for key, values in state.items()}
    found = {plain(key): (t.shape, t.dtype, t.bytes) for key, t in tensors.items()}
    assert found == want
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.read(), state[plain(key)].numpy())


@pytest.mark.parametrize("way", ["safetensors", "torch", "onnx external"])
def test_arrays_are_mapped_and_not_copied(way, state):
    name, save = WAYS[way]
    save(state, name)
    tensor = open_checkpoint(name).tensors["dense1.weight"]
    assert np.shares_memory(tensor.read(), tensor.read())


def test_raw_values_of_a_model_are_mapped():
    netdsl.loads(NET).to_onnx("own.onnx", level=0)
    tensor = open_checkpoint("own.onnx").tensors["dense1.weight"]
    assert np.shares_memory(tensor.read(), tensor.read())


@pytest.mark.parametrize("external", [False, True])
def test_own_models_give_back_their_parameters_and_no_constants(external):
    text = "net a { input x: 3x8x8; conv 4 k3 -> bn -> relu -> upsample 2 -> global_avgpool -> flatten -> dense 2 }"
    net = netdsl.loads(text)
    net.to_onnx("a.onnx", level=0, external=external)
    stored = {tensor.name for tensor in onnx.load("a.onnx").graph.initializer}
    assert stored > set(net.graph.params)  # there are constants
    assert set(open_checkpoint("a.onnx").tensors) == set(net.graph.params)
    net.to_onnx("b.onnx", level=0, external=external, weights="a.onnx")
    weights = weights_from("b.onnx", net.graph)
    for name, param in net.graph.params.items():
        np.testing.assert_array_equal(weights(param), netdsl.Initializer()(param), err_msg=name)


# ------------------------------------------------------------------------------------------------ element types


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_become_the_parameter_s_type(dtype, ending, state):
    converted = {name: values.to(dtype) for name, values in state.items()}
    path = Path(f"w.{ending}")
    torch.save(converted, path) if ending == "pt" else safetensors.torch.save_file(converted, path)
    weights = weights_from(path, graph())
    for name, param in graph().params.items():
        assert weights(param).dtype == np.float32
        np.testing.assert_array_equal(weights(param), converted[name].float().numpy())


@pytest.mark.parametrize(("dtype", "given"), [("float16", "float16"), ("bfloat16", "float32"), ("float64", "float64")])
def test_parameters_of_other_types_get_theirs(dtype, given):
    net = graph(f"net a {{ input x: 4 {dtype}; dense 3 }}")
    values = {"dense1.weight": np.full((3, 4), 1 / 3, np.float32), "dense1.bias": np.zeros(3, np.float32)}
    safetensors.numpy.save_file(values, "w.safetensors")
    array = weights_from("w.safetensors", net)(net.params["dense1.weight"])
    assert array.dtype == given
    np.testing.assert_array_equal(array, np.full((3, 4), 1 / 3, np.float32).astype(given))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_other_numbers_are_never_made_floats(dtype, state):
    torch.save(state | {"dense1.bias": torch.ones(5).to(dtype)}, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph())
    (note,) = found.notes
    assert re.fullmatch(rf"`dense1.bias` is {str(dtype)[6:]}\b.* in the file and float32 in the net", note)
    assert "float64, float32, float16, bfloat16" in found.help


# ------------------------------------------------------------------------------------------------ fitting


def test_a_difference_is_one_report_with_a_place(state):
    del state["bn1.bias"]
    torch.save(state | {"extra.weight": torch.zeros(3), "dense1.weight": torch.zeros(10, 64)}, "w.pt")
    _, err = run("compile", "small.net", "--weights", "w.pt", code=1)
    assert (
        err.rstrip()
        == """\
error[E0912]: `w.pt` does not fit `small`: 1 parameter missing, 1 tensor unexpected, 1 tensor of another shape or type
 --> small.net:4:16
  |
4 |     flatten -> dense classes
  |                ^^^^^^^^^^^^^ `dense1.weight` is 5x64 float32 here
  = `dense1.weight` is 10x64 in the file and 5x64 in the net
  = missing in the file: `bn1.bias`
  = not in the net: `extra.weight`
  = help: `--map OLD=NEW` renames; `--partial` takes what fits and leaves initial values in the rest"""
    )
    assert not Path("small.onnx").exists()


def test_long_lists_of_differences_are_cut():
    net = graph("net a { input x: 4; repeat 20 { dense 4 } }")
    np.savez("w.npz", **{name: np.zeros(7, np.float32) for name in list(net.params)[:25]}, last=np.zeros(1))
    found = error("E0912", weights_from, "w.npz", net)
    assert found.message.endswith("15 parameters missing, 1 tensor unexpected, 25 tensors of another shape or type")
    assert len(found.notes) == 10 + 1 + 2
    assert found.notes[10] == "... and 15 more of another shape or type"
    assert found.notes[11].count("`") == 20
    assert found.notes[11].endswith(" and 5 more")


@pytest.mark.parametrize(
    ("prefixed", "advice"),
    [(lambda name: f"module.backbone.{name}", "module.backbone.*=*"), (lambda name: name.replace("1.", "_a."), None)],
)
def test_the_remedy_names_the_map_where_it_is_a_prefix(prefixed, advice, state):
    torch.save({prefixed(name): values for name, values in state.items()}, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph())
    assert (f"`--map '{advice}'`" in found.help) is (advice is not None)
    if advice:
        run("compile", "small.net", "--weights", "w.pt", "--map", advice)


def test_a_net_may_call_a_part_as_wrappers_do(state):
    inside = "net a { input x: 2x6x6; model: { conv 4 k3 bias=no -> bn -> relu; flatten -> dense 5 } }"
    torch.save({f"model.{name}": values for name, values in state.items()}, "w.pt")
    weights_from("w.pt", graph(inside))
    torch.save({f"module.model.{name}": values for name, values in state.items()}, "w.pt")
    weights_from("w.pt", graph(inside))


def test_a_prefix_that_the_net_has_and_the_file_has_not(state):
    inside = "net a { input x: 2x6x6; body: { conv 4 k3 bias=no -> bn -> relu; flatten -> dense 5 } }"
    torch.save(state, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph(inside))
    assert "`--map '*=body.*'`" in found.help
    weights = weights_from("w.pt", graph(inside), rename={"*": "body.*"})
    np.testing.assert_array_equal(weights(graph(inside).params["body.bn1.bias"]), state["bn1.bias"])


def test_map_renames_by_the_first_rule_that_matches_a_whole_name(state):
    torch.save({name.replace("conv1", "a.conv.x").replace("bn1", "a.norm.x"): v for name, v in state.items()}, "w.pt")
    command = ["compile", "small.net", "--weights", "w.pt", "--map", "a.conv.x.*=conv1.*"]
    _, err = run(*command, "--map", "norm.x.*=bn1.*", code=1)  # a part of a name only
    assert "`norm.x.*` matches no name in `w.pt`" in err
    _, err = run(*command, "--map", "a.*=b.*", "--map", "a.norm.x.*=bn1.*", code=1)  # nothing is left for the last
    assert "`a.norm.x.*` matches no name in `w.pt`" in err
    run(*command, "--map", "a.norm.x.*=bn1.*")


def test_two_tensors_cannot_get_one_name(state):
    torch.save(state, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph(), rename={"conv1.weight": "x", "dense1.weight": "x"})
    assert "two tensors of `w.pt` are called `x`" in found.message


def test_a_map_needs_as_many_stars_on_both_sides(state):
    torch.save(state, "w.pt")
    assert "same number of `*`" in error("E0912", weights_from, "w.pt", graph(), rename={"a.*": "b"}).message


def test_partial_keeps_initial_values_and_says_which(state):
    torch.save(state | {"extra": torch.zeros(2)}, "w.pt")
    options = ["small.net", "--set", "classes=3", "--weights", "w.pt", "--seed", "4", "-O0"]
    run("compile", *options, code=1)
    _, err = run("compile", *options, "--partial")
    assert "warning[W0109]: `w.pt` fits `small` in part: 2 of 7 parameters keep initial values" in err
    assert "`dense1.weight` is 5x64 in the file and 3x64 in the net" in err
    assert "not in the net: `extra`" in err
    written = open_checkpoint("small.onnx").tensors
    net = graph(classes=3)
    initial = netdsl.Initializer(seed=4)(net.params["dense1.weight"])
    np.testing.assert_array_equal(written["dense1.weight"].read(), initial)
    np.testing.assert_array_equal(written["conv1.weight"].read(), state["conv1.weight"])
    assert run("compile", *options, "--partial", "--allow", "W0109")[1] == ""


def test_partial_needs_something_that_fits():
    np.savez("w.npz", other=np.zeros(3))
    found = error("E0912", weights_from, "w.npz", graph(), partial=True)
    assert "it is another net's" in found.help


def test_auxiliary_heads_are_needed_by_the_training_graph_alone():
    net = graph(WITH_AUX)
    whole = {name: np.zeros(param.spec.shape, np.float32) for name, param in net.params.items()}
    heads = [name for name in whole if name.startswith("help.")]
    assert len(heads) == 2
    np.savez("whole.npz", **whole)
    np.savez("bare.npz", **{name: array for name, array in whole.items() if name not in heads})
    np.savez("other.npz", **whole | {heads[0]: np.zeros((9, 9), np.float32)})
    for file in ("whole", "bare", "other"):
        weights_from(f"{file}.npz", net)
    weights_from("whole.npz", net, training=True)
    assert error("E0912", weights_from, "bare.npz", net, training=True).message.endswith("2 parameters missing")
    assert "another shape" in error("E0912", weights_from, "other.npz", net, training=True).message
    headless = graph(WITH_AUX.replace("aux help: { dense 3 }", ""))
    assert "`--partial` leaves them unread" in error("E0912", weights_from, "whole.npz", headless).help
    (warning,) = weights_from("whole.npz", headless, partial=True).warnings
    assert "2 tensors not read" in warning.message


def test_an_optimized_model_is_told_from_another_net():
    net = netdsl.loads(NET)
    net.to_onnx("optimized.onnx")
    assert "-O 0" in error("E0912", weights_from, "optimized.onnx", net.graph).help


def test_values_that_are_not_finite_are_a_warning(state):
    state["conv1.weight"][0, 0, 0, 0] = float("nan")
    state["dense1.weight"] = state["dense1.weight"].double()
    state["dense1.weight"][0, 0] = 1e300  # too large for float32
    torch.save(state, "w.pt")
    _, err = run("compile", "small.net", "--weights", "w.pt")
    assert "warning[W0108]: `w.pt` gives 2 parameters values that are NaN or infinite" in err
    assert "not finite: `conv1.weight`, `dense1.weight`" in err
    assert Path("small.onnx").exists()
    assert run("compile", "small.net", "--weights", "w.pt", "--allow", "w0108")[1] == ""
    with pytest.warns(UserWarning, match="W0108"):
        netdsl.loads(NET).to_onnx(weights="w.pt")


@pytest.mark.parametrize("position", [0, 2**18 - 1, 2**18, 700_000 - 1])
def test_one_value_among_many_that_is_not_finite_is_found(position):
    net = graph("net a { input x: 700; dense 1000 bias=no }")
    values = np.zeros((1000, 700), np.float32)
    weights = {}
    for value in (0.0, np.inf):
        values.flat[position] = value
        np.savez("w.npz", **{"dense1.weight": values})
        weights[value] = weights_from("w.npz", net)
        weights[value](net.params["dense1.weight"])
    assert weights[0.0].warnings == ()
    assert [warning.code for warning in weights[np.inf].warnings] == ["W0108"]


def test_python_takes_a_path_in_the_place_of_a_function(state):
    safetensors.torch.save_file(state, "w.safetensors")
    net = netdsl.loads(NET)
    by_path = net.to_onnx(weights=Path("w.safetensors"))
    by_function = net.to_onnx(weights=lambda param: state[param.name].numpy())
    assert by_path.SerializeToString(deterministic=True) == by_function.SerializeToString(deterministic=True)
    error("E0912", netdsl.loads(NET, classes=3).to_onnx, "x.onnx", weights="w.safetensors")
    assert not Path("x.onnx").exists()


# ------------------------------------------------------------------------------------------------ bad files


class Payload:
    """What a pickle can do to who opens it."""

    def __reduce__(self):
        return (os.mkdir, ("executed",))


def good(state):
    """The bytes of a good file of every kind."""
    found = {}
    for way in ("safetensors", "numpy", "torch", "legacy", "onnx"):
        name, save = WAYS[way]
        save(state, name)
        found[way] = name, Path(name).read_bytes()
    return found


def cut(way):
    def write(state):
        name, data = good(state)[way]
        Path(name).write_bytes(data[: len(data) * 2 // 3])
        return name

    return write


def saved(name, save):
    def write(state):
        save(state, name)
        return name

    return write


def lying(state):
    safetensors.torch.save_file(state, "w.safetensors")
    data = Path("w.safetensors").read_bytes()
    Path("w.safetensors").write_bytes(data.replace(b"[5,64]", b"[5,65]"))
    return "w.safetensors"


def damaged_npz(state):
    name, data = good(state)["numpy"]
    place = data.index(b"dense1.weight.npy") + 400
    Path(name).write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
    return name


def without_data(state):
    save_external(state, "w.onnx")
    Path("weights.bin").unlink()
    return "w.onnx"


def short_data(state):
    save_external(state, "w.onnx")
    Path("weights.bin").write_bytes(b"1234")
    return "w.onnx"


def elsewhere(_):
    tensor = onnx.TensorProto(name="conv1.weight", dims=[4, 2, 3, 3], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="../../../../../../etc/passwd")
    Path("w.onnx").write_bytes(onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor])).SerializeToString())
    return "w.onnx"


def wrong_length(_):
    tensor = onnx.TensorProto(name="conv1.weight", dims=[4, 2, 3, 3], data_type=1, raw_data=b"1234")
    Path("w.onnx").write_bytes(onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor])).SerializeToString())
    return "w.onnx"


def text(name, content):
    def write(_):
        Path(name).write_bytes(content)
        return name

    return write


def directory(_):
    Path("w.pt").mkdir()
    return "w.pt"


def pickled(payload, **options):
    return saved("w.pt", lambda state, path: torch.save(state | {"extra": payload}, path, **options))


def plain_pickle(_, path):
    Path(path).write_bytes(pickle.dumps({"w": Payload()}, protocol=2))


BAD = {
    "cut safetensors": (cut("safetensors"), "E0911", "not a whole safetensors file"),
    "header that lies": (lying, "E0911", "not a whole safetensors file: .*invalid shape"),
    "not safetensors": (text("w.safetensors", b"x" * 100), "E0911", "not a whole safetensors file"),
    "cut npz": (cut("numpy"), "E0911", "not a whole npz file: File is not a zip file"),
    "damaged npz": (damaged_npz, "E0911", "not a whole npz file: Bad CRC-32"),
    "npz of objects": (saved("w.npz", lambda _, p: np.savez(p, a=np.array([{}], object))), "E0911", "Python objects"),
    "cut torch": (cut("torch"), "E0911", "cut short"),
    "cut legacy": (cut("legacy"), "E0911", "cut short"),
    "payload": (pickled(Payload()), "E0911", "it would run `posix.mkdir`"),
    "legacy payload": (pickled(Payload(), _use_new_zipfile_serialization=False), "E0911", "would run `posix.mkdir`"),
    "pickled payload": (saved("w.bin", plain_pickle), "E0911", "would run `posix.mkdir`|holds more than weights"),
    "whole module": (saved("w.pt", lambda _, p: torch.save(torch.nn.ReLU(), p)), "E0911", "`torch.nn.modules.activat"),
    "no weights": (saved("w.pt", lambda _, p: torch.save({"epoch": 1}, p)), "E0911", "a dictionary with `epoch`"),
    "list": (saved("w.pt", lambda _, p: torch.save([torch.ones(2)], p)), "E0911", "a value of the type list"),
    "not torch": (text("w.pt", b"hello"), "E0911", "expected an archive or a pickle"),
    "cut onnx": (cut("onnx"), "E0911", "not a whole ONNX model"),
    "not onnx": (text("w.onnx", b"hello"), "E0911", "not a whole ONNX model"),
    "no graph": (text("w.onnx", b"\x08\x0a"), "E0911", "not an ONNX model: it has no graph"),
    "onnx alone": (without_data, "E0911", "has its weights in `weights.bin`, and there is no such file"),
    "short data": (short_data, "E0911", "`weights.bin` is too short"),
    "data elsewhere": (elsewhere, "E0911", "which is not a file beside the model"),
    "wrong length": (wrong_length, "E0911", "has 4 bytes of values, and its shape needs 288"),
    "directory": (directory, "E0901", "is a directory"),
    "nothing": (lambda _: "w.pt", "E0901", "no such file"),
    "empty": (text("w.safetensors", b""), "E0911", "it is empty"),
    "web page": (text("w.pt", b"<!DOCTYPE html><html>"), "E0911", "a web page"),
    "git lfs": (text("w.bin", b"version https://git-lfs.github.com/spec/v1\n"), "E0911", "a pointer of Git LFS"),
    "ending": (text("w.h5", b"hello"), "E0911", "its ending is not that of a checkpoint"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_explained_and_nothing_is_written(bad, state, folder):
    write, code, message = BAD[bad]
    name = write(state)
    before = sorted(path.name for path in folder.iterdir())
    _, err = run("compile", "small.net", "--weights", name, code=1)
    assert err.startswith(f"error[{code}]: ")
    assert f"`{name}`" in err.splitlines()[0]
    assert re.search(message, err)
    assert "  = help: " in err
    _, err = run("weights", name, "-o", "out.npz", code=1)
    assert err.startswith(f"error[{code}]: ")
    assert sorted(path.name for path in folder.iterdir()) == before  # no model, no part of one, and no `executed`


@pytest.mark.parametrize("way", ["safetensors", "numpy", "torch", "legacy", "onnx"])
def test_damage_anywhere_is_refused_or_harmless(way, state):
    name, data = good(state)[way]
    random = np.random.default_rng(0)
    step = len(data) // 40
    for start, end in pairwise(range(0, len(data), step)):
        flipped = bytearray(data)
        flipped[int(random.integers(start, end))] ^= 1 << int(random.integers(8))
        for damaged in (data[:start], bytes(flipped)):
            Path(name).write_bytes(damaged)
            assert refusal(name) in (None, "E0911"), start


def refusal(name):
    """The code with which a file is refused, if it is."""
    try:
        for tensor in open_checkpoint(name).tensors.values():
            tensor.read()
    except NetdslError as refused:
        return refused.diagnostics[0].code
    return None


def test_without_pytorch_the_way_out_is_told(state, monkeypatch):
    torch.save(state, "w.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install" in error("E0907", open_checkpoint, "w.pt").help


# ------------------------------------------------------------------------------------------------ converting


@pytest.mark.parametrize("way", WAYS)
def test_what_is_converted_to_safetensors_is_read_by_its_library(way, state):
    name, save = WAYS[way]
    save(state, name)
    run("weights", name, "-o", "out.safetensors")
    found = safetensors.torch.load_file("out.safetensors")
    assert {plain(key): values.dtype for key, values in found.items()} == {
        key: values.dtype for key, values in state.items()
    }
    for key, values in found.items():
        torch.testing.assert_close(values, state[plain(key)], rtol=0, atol=0)


def test_every_element_type_is_kept_in_safetensors_and_told_in_npz():
    dtypes = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
              "bool"]  # fmt: skip
    values = {name: np.array([[0, 1, 3]]).astype(name) for name in dtypes}
    values |= {"scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 3), np.float32)}
    foreign = {"bf": ml_dtypes.bfloat16, "f8": ml_dtypes.float8_e4m3fn, "g8": ml_dtypes.float8_e5m2}
    values |= {name: np.array([0.5, -3.0, np.nan]).astype(dtype) for name, dtype in foreign.items()}
    tensors = {name: torch.from_numpy(array) for name, array in values.items() if name not in foreign}
    tensors |= {"bf": torch.tensor([0.5, -3.0, torch.nan], dtype=torch.bfloat16)}
    tensors |= {"f8": torch.tensor([0.5, -3.0, torch.nan]).to(torch.float8_e4m3fn)}
    tensors |= {"g8": torch.tensor([0.5, -3.0, torch.nan]).to(torch.float8_e5m2)}
    torch.save(tensors, "w.pt")
    write_checkpoint(open_checkpoint("w.pt"), Path("w.safetensors"))
    for name, tensor in safetensors.torch.load_file("w.safetensors").items():
        assert tensor.dtype == tensors[name].dtype
        np.testing.assert_array_equal(tensor.double(), tensors[name].double())
    write_checkpoint(open_checkpoint("w.safetensors"), Path("w.npz"))
    with np.load("w.npz") as archive:
        assert set(archive) == set(values)
        for name, array in values.items():
            assert archive[name].dtype == ("float32" if name in foreign else array.dtype)
            np.testing.assert_array_equal(archive[name], array.astype(archive[name].dtype))


def test_what_has_no_numbers_is_not_converted():
    torch.save({"a": torch.ones(2), "b": torch.eye(3).to_sparse()}, "w.pt")
    _, err = run("weights", "w.pt", "-o", "w.npz", code=1)
    assert "`b` has elements of the type float32, sparse_coo, which is not converted" in err
    assert not Path("w.npz").exists()


# ------------------------------------------------------------------------------------------------ the command


def test_weights_lists_what_a_file_holds(state):
    del state["bn1.num_batches_tracked"]
    safetensors.torch.save_file(state | {"half\x1b[2J": torch.zeros(2, dtype=torch.bfloat16)}, "w.safetensors")
    out, _ = run("weights", "w.safetensors")
    assert [line.split() for line in out.splitlines() if line.startswith(("conv1", "dense1.b", "half"))] == [
        ["conv1.weight", "4x2x3x3", "float32", "288", "B"],
        ["dense1.bias", "5", "float32", "20", "B"],
        ["half\ufffd[2J", "2", "bfloat16", "4", "B"],  # nothing that moves the cursor
    ]
    assert out.endswith("tensors  8 (safetensors)\nvalues   415 (1.62 KiB)\n")


def test_weights_tells_how_a_file_fits(state):
    torch.save({"state_dict": state}, "w.ckpt")
    out, err = run("weights", "w.ckpt", "--net", "small.net")
    assert out.endswith(
        "note     the weights are those under `state_dict` in the file\nfit      small: 7 of 7 parameters\n"
    )
    assert err == ""
    _, err = run("weights", "w.ckpt", "--net", "small.net", "--set", "classes=6", "-o", "x.npz", code=1)
    assert err.startswith("error[E0912]: `w.ckpt` does not fit `small`: 2 tensors of another shape or type")
    assert not Path("x.npz").exists()


def test_weights_renames(state):
    torch.save({f"net.{name}": values for name, values in state.items()}, "w.pt")
    run("weights", "w.pt", "--map", "net.*=*", "--net", "small.net", "-o", "w.safetensors")
    assert set(safetensors.torch.load_file("w.safetensors")) == set(state)


def test_weights_as_json(state):
    torch.save(state, "w.pt")
    found = json.loads(run("weights", "w.pt", "--format", "json", "--net", "small.net")[0])
    assert found["tensors"][0] == {"name": "conv1.weight", "shape": [4, 2, 3, 3], "type": "float32", "bytes": 288}
    assert found["totals"] == {"tensors": 8, "elements": 414, "bytes": 1660}
    assert found["fit"] | {"diagnostics": 0} == {"net": "small", "matched": 7, "missing": [], "unexpected": [],
                                                 "wrong": [], "diagnostics": 0}  # fmt: skip
    out, _ = run("weights", "w.pt", "--format", "json", "--net", "small.net", "--set", "classes=6", code=1)
    assert json.loads(out)["fit"]["wrong"] == ["dense1.weight", "dense1.bias"]
    assert json.loads(out)["fit"]["diagnostics"][0]["code"] == "E0912"


@pytest.mark.parametrize(
    "arguments",
    [
        ["weights"],
        ["weights", "w.pt", "-o", "w.h5"],
        ["weights", "w.pt", "--set", "classes=3"],
        ["weights", "w.pt", "--training"],
        ["weights", "w.pt", "--map", "a.*=b"],
        ["weights", "w.pt", "--map", "a"],
        ["compile", "small.net", "--partial"],
        ["compile", "small.net", "--map", "a=b"],
        ["compile", "small.net", "--weights", "w.pt", "--emit", "graph"],
    ],
)
def test_wrong_usage(arguments):
    assert "Error: " in run(*arguments, code=2)[1]


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.onnx"])
def test_torch_is_imported_for_its_own_files_alone(name, state):
    {"w.safetensors": safetensors.torch.save_file, "w.npz": WAYS["numpy"][1], "w.onnx": save_onnx}[name](state, name)
    code = f"""
import sys
from netdsl.cli import main
try:
    main(["compile", "small.net", "--weights", {name!r}, "--quiet"])
except SystemExit as end:
    assert not end.code
print("torch" in sys.modules)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert Path("small.onnx").exists()
