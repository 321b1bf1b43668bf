"""The meaning of values as text in the metadata of models and files of weights: whole, or an error."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from answers import model
from commands import run

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.ir.meaning import FOLDED, LABELS, MEANING, Gives, Meaning, Numbers, Pixels, Tokens, from_metadata
from netdsl.weights.opening import open_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def diagnostic(error):
    return error.value.diagnostics[0]


WHOLE = Meaning({"a": Pixels(255, "bgr", "stretch", "nearest"), "b": Numbers(), "c": Tokens(7, 1, (9, 7))},
                {"y": Gives.DISTANCES, "ü": Gives.YES_LOGITS}, (0.1, 1e-30), (2.0, 3.0), ("x", "ÿ"),
                ("w",))  # fmt: skip


def test_a_meaning_is_read_as_it_was_written():
    assert from_metadata(WHOLE.as_metadata()) == WHOLE
    assert from_metadata({"other": "text"}) is None
    assert from_metadata({LABELS: '["a"]'}) == Meaning(labels=("a",))


def damaged():
    text = json.loads(WHOLE.as_metadata()[MEANING])
    pixels = text["inputs"]["a"]
    yield from ("", "{", "[" * 100_000, "null", "[]", "{}", '"x"', "7")
    changes = [{"inputs": []}, {"outputs": None}, {"mean": [1]}, {"mean": 3}, {"std": [0, 1]}, {"std": ["1", 2]},
               {"mean": [float("nan"), 1]}, {"mean": [10**400, 1]}, {"more": 1}, {"outputs": {"y": "logit"}},
               {"outputs": {"y": ["logits"]}}, {"inputs": {"a": "pixels"}}, {"inputs": {"a": {}}},
               {"inputs": {"a": {"kind": "pixel"}}}, {"inputs": {"a": {"kind": ["pixels"]}}},
               {"inputs": {"a": pixels | {"most": 2}}}, {"inputs": {"a": pixels | {"most": True}}},
               {"inputs": {"a": pixels | {"order": {}}}}, {"inputs": {"a": pixels | {"x": 1}}},
               {"inputs": {"b": {"kind": "numbers", "count": 1}}}, {"inputs": {"c": {"kind": "tokens"}}},
               {"inputs": {"c": {"kind": "tokens", "count": 0}}},
               {"inputs": {"c": {"kind": "tokens", "count": 2, "counts": [0]}}},
               {"inputs": {"c": {"kind": "tokens", "count": 2, "counts": 3}}},
               {"inputs": {"c": {"kind": "tokens", "count": 2, "axis": -1}}},
               {"inputs": {"c": {"kind": "tokens", "count": True}}}]  # fmt: skip
    yield from (json.dumps(text | change) for change in changes)


@pytest.mark.parametrize("text", [*damaged()])
def test_damaged_metadata_are_an_error_that_names_the_file(text):
    with pytest.raises(ValueError, match="`"):
        from_metadata({MEANING: text})
    with pytest.raises(NetdslError, match=r"m\.onnx` is not a model with valid names and metadata") as error:
        netdsl.Session(model("m.onnx", [("Identity", {})], meaning=text))
    assert diagnostic(error).code == "E0905"


@pytest.mark.parametrize("key", [LABELS, FOLDED, MEANING])
@pytest.mark.parametrize("kind", ["safetensors", "npz", "onnx", "pt"])
def test_weights_with_a_damaged_description_are_refused(key, kind):
    net = netdsl.loads("net n { input x: 4; dense 2 }")
    net.to_onnx("m.onnx")
    run("weights", "m.onnx", "-o", "m.npz")
    run("weights", "m.onnx", "-o", "m.safetensors")
    match kind:
        case "onnx":
            proto = onnx.load("m.onnx")
            proto.metadata_props.add(key=key, value="[7]")
            onnx.save(proto, "w.onnx")
        case "pt":
            torch.save({"state_dict": net.to_torch().state_dict(), "netdsl": {key: "[7]"}}, "w.pt")
        case "safetensors":
            from safetensors.numpy import load_file, save_file

            save_file(load_file("m.safetensors"), "w.safetensors", {key: "[7]"})
        case "npz":
            import zipfile

            with zipfile.ZipFile("m.npz") as old, zipfile.ZipFile("w.npz", "w") as new:
                for name in old.namelist():
                    new.writestr(name, old.read(name) if name.endswith(".npy") else json.dumps({key: "[7]"}))
    for words in (["weights", f"w.{kind}"], ["compile", "lenet5", "--weights", f"w.{kind}"]):
        told = run(*words, code=1)[1]
        assert "E0911" in told
        assert f"w.{kind}" in told


def test_numpy_reads_an_archive_with_a_description():
    netdsl.loads("net n { input x: 4; dense 2 }").to_onnx("m.onnx")
    run("weights", "m.onnx", "-o", "m.npz")
    with np.load("m.npz") as arrays:
        assert arrays["dense1.weight"].shape == (2, 4)
    assert [*open_checkpoint("m.npz").tensors] == ["dense1.weight", "dense1.bias"]
