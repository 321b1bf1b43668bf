"""Checkpoints as people have them: under keys, in shards, with wrappers' names, tied twice, and behind norms."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import weakref
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from commands import error, run
from torch import nn
from torch.nn.utils import parametrizations, prune

import netdsl
from netdsl.weights import pytorch
from netdsl.weights.loading import weights_from
from netdsl.weights.opening import open_checkpoint
from netdsl.weights.writing import write_checkpoint

NET = "net small { input x: 3; conv1: dense 4 -> relu -> head: dense 2 }"
PARTS = "net parts { input x: 3; encoder: { conv1: dense 4 -> relu }; decoder: { head: dense 2 } }"

pytestmark = pytest.mark.usefixtures("folder")


def state(seed=0):
    torch.manual_seed(seed)
    shapes = {"conv1.weight": (4, 3), "conv1.bias": (4,), "head.weight": (2, 4), "head.bias": (2,)}
    return {name: torch.rand(shape) for name, shape in shapes.items()}


def prefixed(prefix, values):
    return {prefix + name: value for name, value in values.items()}


def graph(text=NET, **arguments):
    return netdsl.loads(text, **arguments).graph


def loaded(path, text=NET, **options):
    """All parameters of a net out of a file."""
    net = graph(text)
    weights = weights_from(path, net, **options)
    return {name: weights(param) for name, param in net.params.items()}


def same(found, want):
    assert set(found) == set(want)
    for name, values in want.items():
        np.testing.assert_array_equal(found[name], values.numpy(), err_msg=name)


# ------------------------------------------------------------------------------------------------ keys

PLACES = {
    "net": lambda s: {"net": s},
    "ema": lambda s: {"ema": s, "step": 7},
    "model_ema": lambda s: {"model_ema": s},
    "student": lambda s: {"student": s, "centre": torch.rand(1, 9)},
    "network_weights": lambda s: {"network_weights": s, "current_epoch": 3},
    "ema.state_dict": lambda s: {"ema": {"state_dict": s, "decay": 0.99}},
    "a.b.c.d": lambda s: {"a": {"b": {"c": {"d": s}}}},
    "models.1": lambda s: {"models": [None, s]},
    "state_dict": lambda s: {"meta": {"epoch": 3, "config": "x = 1", "CLASSES": ("a", "b")}, "state_dict": s,
                             "optimizer": {"state": {0: {"exp_avg": torch.rand(4, 3)}}, "param_groups": [{"lr": 0.1}]}},
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1), "path": pathlib.PurePosixPath("x"),
                        "best": np.float64(0.5), "last_optimizer_state": {"state": {0: {"exp_avg": torch.rand(3)}}}},
    "module": lambda s: {"module": s, "mean": np.array([0.5, 0.25]), "rng": torch.get_rng_state(),
                         "counts": defaultdict(list, a=[1]), "order": OrderedDict(a=1)},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", [False, True])
def test_weights_are_found_under_any_key(place, key):
    torch.save(PLACES[place](state()), "w.pt")
    same(loaded("w.pt", key=place if key else None), state())
    _, err = run("compile", "small.net", "--weights", "w.pt")
    assert err == f"w.pt: the weights are those under `{place}` in the file\n"
    assert list(open_checkpoint("w.pt").tensors) == list(state())


@pytest.mark.parametrize("command", ["compile", "weights", "verify"])
def test_of_several_that_fit_all_are_named_and_key_chooses(command):
    torch.save({"state_dict": state(0), "ema": {"state_dict": state(1)}, "state_dict_ema": state(2)}, "w.ckpt")
    commands = {
        "compile": ["compile", "small.net", "--weights", "w.ckpt", "-O0"],
        "weights": ["weights", "w.ckpt", "--net", "small.net"],
        "verify": ["verify", "small.net", "--weights", "w.ckpt"],
    }
    _, err = run(*commands[command], code=1)
    assert err.startswith("error[E0918]: `w.ckpt` holds weights that fit `small` in 3 places\n")
    for place in ("state_dict", "ema.state_dict", "state_dict_ema"):
        assert f"  = `{place}`: 4 tensors, 26 values\n" in err
    assert "  = help: `--key state_dict` takes those under `state_dict`" in err
    out, err = run(*commands[command], "--key", "ema.state_dict")
    others = "which has others under `state_dict`, `state_dict_ema`"
    assert f"the weights are those under `ema.state_dict` in the file, {others}\n" in out + err
    _, err = run(*commands[command], "--key", "emma", code=1)
    assert "error[E0918]: `w.ckpt` holds no weights under `emma`" in err
    if command == "compile":
        same({name: tensor.read() for name, tensor in open_checkpoint("small.onnx").tensors.items()}, state(1))


def test_training_takes_a_key():
    rows = np.random.default_rng(0).random((32, 3)).astype(np.float32)
    np.savez("data.npz", x=rows, y=rows[:, 0] > 0.5)
    torch.save({"a": state(0), "b": state(1)}, "w.ckpt")
    text = NET.replace(" }", "; train { loss cross_entropy; epochs 1; batch 8 } }")
    Path("small.net").write_text(text, encoding="utf-8")
    command = ["train", "small.net", "--data", "data.npz", "--from", "w.ckpt", "--freeze", "*.weight"]
    assert "error[E0918]" in run(*command, code=1)[1]
    assert "w.ckpt: the weights are those under `b` in the file" in run(*command, "--key", "b")[1]
    written = open_checkpoint("runs/small/weights.safetensors").tensors
    for name in ("conv1.weight", "head.weight"):
        np.testing.assert_array_equal(written[name].read(), state(1)[name])
    run("train", "small.net", "--data", "data.npz", "--key", "b", code=2)


def test_python_takes_a_key():
    torch.save({"ema": state(1), "net": state(2)}, "w.pt")
    net = netdsl.loads(NET)
    error("E0918", net.to_onnx, weights="w.pt")
    model = net.to_onnx(weights="w.pt", key="net", level=0)
    raw = {tensor.name: tensor.raw_data for tensor in model.graph.initializer}
    assert raw["head.bias"] == state(2)["head.bias"].numpy().tobytes()
    torch.testing.assert_close(dict(net.to_torch("w.pt", key="ema").state_dict()), state(1), rtol=0, atol=0)
    with pytest.raises(TypeError, match="belongs to a checkpoint"):
        net.to_onnx(key="net")


def test_only_what_fits_is_taken_where_others_do_not():
    torch.save({"discriminator": {"a.weight": torch.rand(4, 3), "a.bias": torch.rand(4)}, "generator": state()}, "w.pt")
    same(loaded("w.pt"), state())
    assert "in 2 places" in error("E0918", open_checkpoint, "w.pt").message
    assert set(open_checkpoint("w.pt", "discriminator").tensors) == {"a.weight", "a.bias"}


def test_what_is_under_no_key_is_chosen_by_a_dot():
    torch.save({**state(0), "ema": state(1)}, "w.pt")
    found = error("E0918", weights_from, "w.pt", graph())
    assert "under no key (`.`): 4 tensors, 26 values" in found.notes
    same(loaded("w.pt", key="."), state(0))
    same(loaded("w.pt", key="ema"), state(1))


def test_a_file_without_dictionaries_has_its_names_for_keys():
    values = {**prefixed("student.", state(0)), **prefixed("teacher.net.", state(1))}
    safetensors.torch.save_file(values, "w.safetensors")
    torch.save({"state_dict": values}, "w.ckpt")
    same(loaded("w.safetensors", key="student"), state(0))
    same(loaded("w.safetensors", key="teacher"), state(1))
    same(loaded("w.ckpt", key="state_dict.teacher.net"), state(1))
    assert "no weights under `teach`" in error("E0918", weights_from, "w.safetensors", graph(), key="teach").message


def test_dictionaries_may_be_the_parts_of_a_net():
    parts = {"encoder": {"conv1.weight": state()["conv1.weight"], "conv1.bias": state()["conv1.bias"]},
             "decoder": {"head": {"weight": state()["head.weight"], "bias": state()["head.bias"]}}}  # fmt: skip
    want = {("encoder." if "conv1" in name else "decoder.") + name: value for name, value in state().items()}
    torch.save({"epoch": 1, "nets": parts, "other": {"x.weight": torch.rand(2, 2)}}, "w.pt")
    same(loaded("w.pt", PARTS), want)
    same(loaded("w.pt", PARTS, key="nets"), want)


def test_partial_asks_where_several_places_fit_in_part():
    torch.save({"a": state(0), "b": state(1), "c": {"x.weight": torch.rand(2, 2)}}, "w.pt")
    three = graph(NET.replace("dense 2", "dense 3"))
    assert "in 2 places" in error("E0918", weights_from, "w.pt", three, partial=True).message
    weights = weights_from("w.pt", three, partial=True, key="b")
    np.testing.assert_array_equal(weights(three.params["conv1.bias"]), state(1)["conv1.bias"])


def test_numpy_s_arrays_in_a_pickle_are_read():
    arrays = {name: value.numpy() for name, value in state().items()}
    arrays["head.weight"] = np.asfortranarray(arrays["head.weight"]).astype(">f4")
    torch.save({"epoch": np.int64(3), "params": arrays}, "w.pt")
    same(loaded("w.pt"), state())
    torch.save({"params": arrays | {"names": np.array(["a"])}}, "w.pt")
    assert "not in the net: `names`" in error("E0912", weights_from, "w.pt", graph()).notes


def test_dictionaries_that_hold_themselves_and_many_others_end():
    loop = {"w": state()}
    loop["again"] = loop
    torch.save(loop, "w.pt")
    same(loaded("w.pt"), state())
    deep = state()
    for _ in range(200):
        deep = {"k": deep}
    torch.save(deep, "w.pt")
    assert "more than 32 deep" in error("E0911", open_checkpoint, "w.pt").message
    twice = state()
    for _ in range(25):
        twice = {"a": twice, "b": twice}
    torch.save(twice, "w.pt")
    same(loaded("w.pt"), state())


# ------------------------------------------------------------------------------------------------ shards


def shard(ending="safetensors", save=safetensors.torch.save_file, where="sharded"):
    """A checkpoint in two shards; gives the path of its index."""
    Path(where).mkdir()
    stem = "model" if ending == "safetensors" else "pytorch_model"
    files = {name: f"{stem}-0000{1 + (number >= 2)}-of-00002.{ending}" for number, name in enumerate(state())}
    for file in set(files.values()):
        save({name: value for name, value in state().items() if files[name] == file}, f"{where}/{file}")
    index = Path(where, f"{stem}.{ending}.index.json")
    index.write_text(json.dumps({"metadata": {"total_size": 104}, "weight_map": files}), encoding="utf-8")
    return index


SHARDS = {
    "safetensors": ("safetensors", safetensors.torch.save_file),
    "bin": ("bin", torch.save),
    "old bin": ("bin", lambda values, path: torch.save(values, path, _use_new_zipfile_serialization=False)),
}


@pytest.mark.parametrize("way", SHARDS)
def test_shards_are_read_by_their_index_or_folder(way):
    index = shard(*SHARDS[way])
    same(loaded(index), state())
    same(loaded(index.parent), state())
    out, _ = run("weights", "sharded", "--net", "small.net", "-o", "whole.safetensors")
    assert "tensors  4 (" in out
    assert " in 2 files)" in out
    same(loaded("whole.safetensors"), state())
    assert list(open_checkpoint("sharded").tensors) == list(state())


def test_one_shard_is_in_memory_at_a_time(monkeypatch):
    index = shard(*SHARDS["old bin"])
    storages = []
    real = pytorch.read

    def counted(path):
        assert not any(storage() is not None for storage in storages), "a shard before this is still there"
        checkpoint = real(path)
        # the bytes of each tensor, which older files have in memory
        storages.extend(weakref.ref(tensor.read.args[0]) for tensor in checkpoint.tensors.values())
        return checkpoint

    monkeypatch.setattr(pytorch, "read", counted)
    net = graph()
    weights = weights_from(index, net)
    for name, param in net.params.items():
        np.testing.assert_array_equal(weights(param), state()[name].numpy())
    assert len(storages) == 2 * 4  # once for the names, and once for the values


def lacking(index):
    next(iter(index.parent.glob("*00002-of*"))).unlink()


def emptied(index):
    file = next(iter(index.parent.glob("*00002-of*")))
    safetensors.torch.save_file({"head.weight": state()["head.weight"]}, file)


def rewritten(change):
    def write(index):
        content = json.loads(index.read_text(encoding="utf-8"))
        index.write_text(json.dumps(change(content)), encoding="utf-8")

    return write


def moved(to):
    return rewritten(lambda content: content | {"weight_map": dict.fromkeys(content["weight_map"], to)})


def text(content):
    return lambda index: index.write_bytes(content)


def linked(index):
    file = next(iter(index.parent.glob("*00002-of*")))
    file.rename("elsewhere.safetensors")
    file.symlink_to(Path("elsewhere.safetensors").absolute())


def circle(index):
    file = next(iter(index.parent.glob("*00002-of*")))
    file.unlink()
    file.symlink_to(file.name)


def piped(index):
    file = next(iter(index.parent.glob("*00002-of*")))
    file.unlink()
    os.mkfifo(file)


BROKEN = {
    "missing": (lacking, "E0911", "it names `model-00002-of-00002.safetensors`, and there is no such file beside it"),
    "lacks a tensor": (emptied, "E0911", "it places `head.bias` in `model-00002-of-00002.safetensors`"),
    "above": (moved("../x.safetensors"), "E0911", "which is not a file of weights beside it"),
    "absolute": (moved("/etc/passwd"), "E0911", "which is not a file of weights beside it"),
    "itself": (moved("model.safetensors.index.json"), "E0911", "which is not a file of weights beside it"),
    "nul": (moved("a\0b"), "E0911", "which is not a file of weights beside it"),
    "folder": (moved("."), "E0911", "which is not a file of weights beside it"),
    "other ending": (moved("x.txt"), "E0911", "no such file"),
    "link": (linked, "E0911", "which is not a file of weights beside it"),
    "circle": (circle, "E0911", "which is not a file of weights beside it"),
    "pipe": (piped, "E0901", "expected a file, got a pipe"),
    "number": (moved(3), "E0911", "weight_map"),
    "list": (rewritten(lambda _: []), "E0911", "weight_map"),
    "no map": (rewritten(lambda _: {"weight_map": {}}), "E0911", "weight_map"),
    "no json": (text(b"weight_map"), "E0911", "is not an index of shards"),
    "brackets": (text(b"[" * 100_000), "E0911", "is not an index of shards"),
    "bytes": (text(b"\xff\xfe\xfd"), "E0911", "is not an index of shards"),
    "twice": (text(b'{"weight_map": {"a": "b.npz", "a": "c.npz"}}'), "E0911", "two entries are called `a`"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_index_is_explained(broken):
    damage, code, message = BROKEN[broken]
    damage(shard())
    for command in (["weights", "sharded"], ["compile", "small.net", "--weights", "sharded"]):
        _, err = run(*command, code=1)
        assert err.startswith(f"error[{code}]: ")
        assert message in err
    assert not Path("small.onnx").exists()


def test_shards_in_a_cache_of_links_are_read():
    index = shard(where="blobs")
    Path("snapshot").mkdir()
    for file in index.parent.iterdir():
        Path("snapshot", file.name).symlink_to(Path("..", "blobs", file.name))
    same(loaded("snapshot"), state())


def test_a_folder_of_two_indexes_or_none():
    index = shard()
    other = index.with_name("pytorch_model.bin.index.json")
    other.write_bytes(index.read_bytes())
    assert "2 indexes of shards" in error("E0911", open_checkpoint, "sharded").message
    index.unlink(), other.unlink()
    found = error("E0901", open_checkpoint, "sharded")
    assert found.help == "give the path of a file in it: `sharded/model-00001-of-00002.safetensors`"


def test_tensors_that_the_index_does_not_name_are_told():
    index = shard()
    content = json.loads(index.read_text(encoding="utf-8"))
    del content["weight_map"]["head.bias"]
    index.write_text(json.dumps(content), encoding="utf-8")
    assert open_checkpoint(index).notes == (
        "its files hold 1 tensors that the index does not name, which are not read",
    )


# ------------------------------------------------------------------------------------------------ names

NAMES = {
    "parallel": lambda name: f"module.{name}",
    "compiled parts": lambda name: name.replace("conv1.", "conv1._orig_mod.").replace("head.", "head.module."),
    "compiled, parallel, Lightning": lambda name: f"model.module._orig_mod.{name}",
    "Lightning of a compiled net": lambda name: f"net._orig_mod.{name}",
    "sharded": lambda name: f"_fsdp_wrapped_module.{name.replace('.', '._fsdp_wrapped_module.')}",
    "deep": lambda name: f"_forward_module.{name.replace('.', '._checkpoint_wrapped_module.module.')}",
}


@pytest.mark.parametrize("way", NAMES)
def test_what_wrappers_put_into_names_is_left_out(way):
    torch.save({NAMES[way](name): value for name, value in state().items()}, "w.pt")
    same(loaded("w.pt"), state())


def test_an_average_of_models_is_read():
    net = netdsl.loads(NET).to_torch()
    torch.save(torch.optim.swa_utils.AveragedModel(net).state_dict(), "w.pt")
    same(loaded("w.pt"), net.state_dict())


def test_two_names_that_become_one_are_an_error():
    torch.save(state() | {"head.module.bias": torch.rand(2)}, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph())
    assert found.message == "two tensors of `w.pt` are both `head.bias`: `head.bias` and `head.module.bias`"


def test_a_net_s_own_module_keeps_its_name():
    inside = "net a { input x: 3; module: { conv1: dense 4 -> relu }; head: dense 2 }"
    values = {("module." if "conv1" in name else "") + name: value for name, value in state().items()}
    torch.save(values, "w.pt")
    same(loaded("w.pt", inside), values)
    torch.save(prefixed("module.", values), "w.pt")  # in parallel
    same(loaded("w.pt", inside), values)
    torch.save(state(), "w.pt")
    assert "`module.conv1.weight`" in str(error("E0912", weights_from, "w.pt", graph(inside)).notes)


def test_a_report_calls_tensors_as_the_file_does():
    torch.save(prefixed("module.", state() | {"extra.weight": torch.rand(2, 2)}), "w.pt")
    found = error("E0912", weights_from, "w.pt", graph())
    assert found.notes == ("not in the net: `module.extra.weight`",)
    same(loaded("w.pt", rename={"module.*": "*"}, partial=True), state())


# ------------------------------------------------------------------------------------------------ tied weights

TIED = """net lm { input tokens: [T] int64 where T <= 9
    wte: embedding 7 4 -> dense 4
    lm_head: reuse wte -> transpose (1, 0) }"""


def tied(**more):
    torch.manual_seed(3)
    return {"wte.weight": torch.rand(7, 4), "dense1.weight": torch.rand(4, 4), "dense1.bias": torch.rand(4), **more}


@pytest.mark.parametrize("name", ["lm_head.weight", "decoder.proj.weight"])
def test_tied_weights_may_be_there_twice_when_they_are_equal(name):
    torch.save(tied() | {name: tied()["wte.weight"].clone()}, "w.pt")
    same(loaded("w.pt", TIED), tied())
    weights = weights_from("w.pt", graph(TIED))
    assert weights.fit.taken == (f"equal to a parameter of the net under another name: `{name}`",)


def test_tied_weights_that_differ_are_an_error():
    torch.save(tied() | {"lm_head.weight": tied()["wte.weight"] + 1}, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph(TIED))
    assert "`lm_head.weight` differs from `wte.weight`, which the net applies in its place" in found.notes
    almost = tied()["wte.weight"].clone()
    almost[-1, -1] += 1e-3
    torch.save(tied() | {"decoder.weight": almost}, "w.pt")
    assert "not in the net: `decoder.weight`" in error("E0912", weights_from, "w.pt", graph(TIED)).notes


def test_a_tied_weight_may_have_the_other_name():
    values = tied()
    torch.save({("lm_head.weight" if name == "wte.weight" else name): value for name, value in values.items()}, "w.pt")
    same(loaded("w.pt", TIED), values)


def test_equal_values_of_no_meaning_are_no_tie():
    torch.save(state() | {"extra.bias": state()["head.bias"]}, "w.pt")
    error("E0912", weights_from, "w.pt", graph())
    zeros = state() | {"head.weight": torch.zeros(2, 4)}
    torch.save(zeros | {"extra.weight": torch.zeros(2, 4)}, "w.pt")
    error("E0912", weights_from, "w.pt", graph())


# ------------------------------------------------------------------------------------------------ norms

LAYERS = {
    "linear": ("input x: 5; a: dense 4", lambda: nn.Linear(5, 4)),
    "conv1d": ("input x: 4x9; a: conv 6 k3", lambda: nn.Conv1d(4, 6, 3)),
    "conv2d": ("input x: 4x9x9; a: conv 4 k3", lambda: nn.Conv2d(4, 4, 3)),
    "groups": ("input x: 4x9x9; a: conv 4 k3 g=2", lambda: nn.Conv2d(4, 4, 3, groups=2)),
    "one channel": ("input x: 1x9x9; a: conv 1 k3", lambda: nn.Conv2d(1, 1, 3)),
    "deconv1d": ("input x: 3x9; a: deconv 5 k4", lambda: nn.ConvTranspose1d(3, 5, 4)),
    "deconv2d": ("input x: 4x6x6; a: deconv 4 k3", lambda: nn.ConvTranspose2d(4, 4, 3)),
}
NORMS = {
    "weight norm, old": (nn.utils.weight_norm, [0, 1, None]),
    "weight norm, new": (parametrizations.weight_norm, [0, 1, None]),
    "spectral norm, old": (nn.utils.spectral_norm, [None, 0, 1]),  # None is the layer's usual axis
    "spectral norm, new": (parametrizations.spectral_norm, [None, 0, 1]),
}
CASES = [
    (layer, norm, dim, steps)
    for layer in LAYERS
    for norm, (_, dims) in NORMS.items()
    for dim in dims
    # before the first step the vectors are random, and say nothing of an axis that is not the usual one
    for steps in ([0, 20] if dim is None or norm != "spectral norm, old" else [20])
]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(("layer", "norm", "dim", "steps"), CASES)
def test_norms_are_computed_as_pytorch_does(layer, norm, dim, steps):
    text, make = LAYERS[layer]
    net = graph(f"net n {{ {text} }}")
    torch.manual_seed(1)
    module = NORMS[norm][0](make(), dim=dim)
    sample = torch.rand(2, *net.inputs[0].type.shape)
    with torch.no_grad():
        for values in module.parameters():
            values.mul_(torch.rand_like(values) + 0.5)
        for _ in range(steps):  # each is a step of the power iteration
            module(sample)
        module.eval()(sample)  # the older forms compute the weight when the layer is applied
    torch.save({f"a.{name}": values for name, values in module.state_dict().items()}, "w.pt")
    weights = weights_from("w.pt", net)
    weight = module.weight.detach().numpy()
    np.testing.assert_allclose(weights(net.params["a.weight"]), weight, rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(weights(net.params["a.bias"]), module.bias.detach().numpy())
    assert weights.fit.taken == ("1 parameter computed from those of weight norm, spectral norm or pruning",)


def test_norms_are_found_under_keys_and_wrappers_and_in_other_types():
    parts = {"conv1": parametrizations.weight_norm(nn.Linear(3, 4)), "relu": nn.ReLU(), "head": nn.Linear(4, 2)}
    module = nn.Sequential(OrderedDict(parts))
    prune.random_unstructured(module.head, "weight", 0.5)
    values = prefixed("module.", module.state_dict())
    torch.save({"ema": values}, "w.pt")
    want = {"conv1.weight": module.conv1.weight, "conv1.bias": module.conv1.bias, "head.weight": module.head.weight,
            "head.bias": module.head.bias}  # fmt: skip
    found = loaded("w.pt")
    for name, value in want.items():
        np.testing.assert_allclose(found[name], value.detach().numpy(), rtol=1e-6)
    torch.save({name: value.double() for name, value in values.items()}, "w.pt")
    np.testing.assert_allclose(loaded("w.pt")["conv1.weight"], want["conv1.weight"].detach().numpy(), rtol=1e-6)
    torch.save({name: value.bfloat16() for name, value in values.items()}, "w.pt")
    np.testing.assert_allclose(loaded("w.pt")["conv1.weight"], want["conv1.weight"].detach().numpy(), rtol=0.03)


def test_parts_of_a_norm_that_do_not_fit_are_told():
    values = state()
    v = values.pop("head.weight")
    torch.save(values | {"head.weight_v": v, "head.weight_g": torch.rand(3, 1)}, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph())
    assert "missing in the file: `head.weight`" in found.notes
    assert "not in the net: `head.weight_v`, `head.weight_g`" in found.notes
    torch.save(values | {"head.weight_v": v}, "w.pt")
    error("E0912", weights_from, "w.pt", graph())


def test_a_weight_of_two_steps_is_not_made_of_the_first_alone():
    module = nn.Sequential(OrderedDict(head=nn.Linear(4, 2)))
    parametrizations.spectral_norm(parametrizations.weight_norm(module.head))
    torch.save(state() | module.state_dict(), "w.pt")
    parts = [name for name in module.state_dict() if "weight" in name]
    assert len(parts) == 4
    values = {name: tensor for name, tensor in (state() | module.state_dict()).items() if name != "head.weight"}
    torch.save(values, "w.pt")
    found = error("E0912", weights_from, "w.pt", graph())
    assert "missing in the file: `head.weight`" in found.notes
    assert all(any(f"`{part}`" in note for note in found.notes) for part in parts)


@pytest.mark.parametrize(("name", "ending"), [("__metadata__", "safetensors"), ("netdsl.json", "npz"),
                                              ("a\0b", "npz"), ("x" * 2**16, "npz")])  # fmt: skip
def test_a_name_that_a_form_of_file_cannot_hold_is_refused(name, ending):
    torch.save({name: torch.zeros(2)}, "w.pt")
    other = "npz" if ending == "safetensors" else "safetensors"
    error("E0902", write_checkpoint, open_checkpoint("w.pt"), Path(f"a.{ending}"))
    assert not list(Path().glob("*a.*")) + list(Path().glob(".netdsl*"))
    write_checkpoint(open_checkpoint("w.pt"), Path(f"a.{other.upper()}"))
    Path(f"a.{other.upper()}").rename(f"a.{other}")
    assert list(open_checkpoint(f"a.{other}").tensors) == [name]


def test_a_net_s_own_parameter_may_be_called_as_a_part():
    text = "net a { input x: 3; dense 3; param weight_g: 3; add { @dense1; @weight_g } }"
    net = graph(text)
    assert "weight_g" in net.params
    values = {name: torch.rand(param.spec.shape) for name, param in net.params.items()}
    torch.save(values, "w.pt")
    same(loaded("w.pt", text), values)
