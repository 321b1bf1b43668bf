"""The weights of a run carry what its values mean into everything that is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from answers import pictures, points, several
from commands import run
from PIL import Image
from safetensors import safe_open

import netdsl
from netdsl.ir.meaning import Gives, Numbers, from_metadata
from netdsl.weights.opening import open_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALL = """net small(classes = 2) {{
    input x: 1x8x8
    {first} -> relu -> flatten -> head: dense classes
    {labels}
    train {{ batch 8; epochs 2; optimizer adam lr=0.02 }}
}}"""
NAMES = ("low", "high")


def small(first="conv 4 k3 p1 -> bn", labels=""):
    Path("small.net").write_text(SMALL.format(first=first, labels=labels))
    return "small.net"


@pytest.fixture
def trained():
    """A run with names of classes, and what its model makes of the images."""
    images, targets = pictures(None)
    np.savez("d.npz", x=images, y=targets, names=NAMES)
    run("train", small(), "--data", "d.npz", "-o", "r")
    return images, netdsl.Session("r/small.onnx").run({"x": images})["output"]


def forms():
    """Every file of weights that a run or a conversion of it leaves."""
    files = ["r/weights.safetensors", "r/last.ckpt"]
    for file in tuple(files):
        for ending in ("npz", "safetensors"):
            name = f"{Path(file).stem}_copy.{ending}"
            run("weights", file, "-o", name)
            files.append(name)
    return files


def test_the_weights_of_a_run_give_its_model_in_every_form(trained):
    images, due = trained
    for file in forms():
        out, _ = run("compile", "small.net", "--weights", file, "-o", "m.onnx")
        assert "as it was trained: mean " in out
        assert "2 names of classes" in out
        session = netdsl.Session("m.onnx")
        np.testing.assert_allclose(session.run({"x": images})["output"], due, atol=1e-4)
        assert session.labels == NAMES
        assert session.meaning == replace(netdsl.Session("r/small.onnx").meaning, folded=session.meaning.folded)
    net = netdsl.load("small.net")
    with torch.no_grad():
        found = net.to_torch("r/weights.safetensors").eval()(torch.from_numpy(images)[:, None] / 255)
    np.testing.assert_allclose(found, due, atol=1e-4)
    net.to_onnx("python.onnx", weights="r/last.ckpt")
    np.testing.assert_allclose(netdsl.Session("python.onnx").run({"x": images})["output"], due, atol=1e-4)
    run("verify", "small.net", "--weights", "r/weights.safetensors")
    assert net.verify("r/weights.safetensors").ok
    with safe_open("r/weights.safetensors", "np") as file:
        assert from_metadata(file.metadata()).labels == NAMES


def test_a_model_written_plainly_gives_the_weights_and_their_meaning(trained):
    images, due = trained
    run("compile", "small.net", "--weights", "r/weights.safetensors", "-O0", "-o", "plain.onnx")
    run("compile", "small.net", "--weights", "plain.onnx", "-o", "m.onnx")
    np.testing.assert_allclose(netdsl.Session("m.onnx").run({"x": images})["output"], due, atol=1e-4)


@pytest.mark.parametrize(
    ("first", "restored"),
    [("conv 4 k3 p1", True), ("conv 4 k3", False), ("flatten -> dense 6", False), ("scale 2.0 -> conv 4 k3 p1", False)],
)
def test_the_model_of_a_run_gives_its_function_or_is_refused(first, restored):
    images, targets = pictures(None)
    np.savez("d.npz", x=images, y=targets)
    run("train", small(first), "--data", "d.npz", "-o", "r")
    due = netdsl.Session("r/small.onnx").run({"x": images})["output"]
    if restored:
        run("compile", "small.net", "--weights", "r/small.onnx", "-o", "m.onnx")
        np.testing.assert_allclose(netdsl.Session("m.onnx").run({"x": images})["output"], due, atol=1e-4)
    else:
        assert "folded" in run("compile", "small.net", "--weights", "r/small.onnx", "-o", "m.onnx", code=1)[1]
        run("weights", "r/small.onnx", "-o", "copy.npz")
        assert "folded" in run("compile", "small.net", "--weights", "copy.npz", "-o", "m.onnx", code=1)[1]
        run("compile", "small.net", "--weights", "r/weights.safetensors", "-o", "m.onnx")
        np.testing.assert_allclose(netdsl.Session("m.onnx").run({"x": images})["output"], due, atol=1e-4)


def test_a_net_that_normalizes_in_another_way_is_refused(trained):
    net = small("normalize mean=0.5 std=0.5 -> conv 4 k3 p1 -> bn")
    for words in (["compile", net, "-o", "m.onnx"], ["verify", net]):
        assert "normalizes its input in another way" in run(*words, "--weights", "r/weights.safetensors", code=1)[1]
    assert not Path("m.onnx").exists()
    meaning = open_checkpoint("r/weights.safetensors").meaning
    same = small(f"normalize mean={meaning.mean[0]!r} std={meaning.std[0]!r} -> conv 4 k3 p1 -> bn")
    run("compile", same, "--weights", "r/weights.safetensors", "-o", "m.onnx")
    np.testing.assert_allclose(netdsl.Session("m.onnx").run({"x": trained[0]})["output"], trained[1], atol=1e-4)


@pytest.mark.usefixtures("trained")
def test_classes_of_other_names_are_refused_and_a_new_head_has_its_own():
    net = small(labels='labels ["left", "right"]')
    assert "class 0 is called `low`" in run("compile", net, "--weights", "r/last.ckpt", "-o", "m.onnx", code=1)[1]
    run("compile", small(), "--weights", "r/last.ckpt", "--partial", "--set", "classes=3", "-o", "m.onnx")
    session = netdsl.Session("m.onnx")
    assert (session.labels, session.meaning.mean != ()) == ((), True)


def test_training_goes_on_with_the_statistics_that_the_weights_were_trained_with(trained):
    images, targets = pictures(None, 30)
    np.savez("other.npz", x=images // 2, y=targets)
    frozen = ["--freeze", "conv*", "--freeze", "bn*", "--set", "train.lr=1e-9", "--set", "train.epochs=1"]
    run(
        "train",
        small("conv 4 k3 p1 -> bn"),
        "--data",
        "other.npz",
        "--from",
        "r/weights.safetensors",
        "-o",
        "s",
        *frozen,
    )
    again = netdsl.Session("s/small.onnx")
    assert again.meaning.mean == netdsl.Session("r/small.onnx").meaning.mean
    assert again.labels == NAMES  # the same classes: the data name none
    np.testing.assert_allclose(again.run({"x": trained[0]})["output"], trained[1], atol=1e-4)
    np.savez("named.npz", x=images, y=targets, names=["one", "two"])
    run("train", "small.net", "--data", "named.npz", "--from", "r/last.ckpt", "-o", "t", "--set", "train.epochs=1")
    assert netdsl.Session("t/small.onnx").labels == ("one", "two")


def test_images_do_not_train_weights_that_were_trained_on_numbers():
    images, targets = pictures(None)
    np.savez("d.npz", x=images / np.float32(9), y=targets)
    run("train", small(), "--data", "d.npz", "-o", "r")
    for number, image in enumerate(images):
        folder = Path("images", str(number % 2))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    told = run("train", "small.net", "--data", "images", "--from", "r/weights.safetensors", "-o", "s", code=1)[1]
    assert "E1008" in told
    run("compile", "small.net", "--weights", "r/weights.safetensors", "-o", "m.onnx")
    assert netdsl.Session("m.onnx").meaning.inputs == {"x": Numbers()}


def test_the_loss_that_weights_were_trained_by_tells_what_the_net_gives():
    Path("n.net").write_text("net n { input x: 5; dense 3 }")
    x, scores = points(3)
    np.savez("d.npz", x=x, y=several(x, scores))
    run(
        "train",
        "n.net",
        "--data",
        "d.npz",
        "-o",
        "r",
        "--set",
        "train.loss=binary_cross_entropy",
        "--set",
        "train.epochs=1",
    )
    assert "yes-or-no logits" in run("compile", "n.net", "--weights", "r/weights.safetensors", "-o", "m.onnx")[0]
    assert netdsl.Session("m.onnx").known == {"output": Gives.YES_LOGITS}
    Path("n.net").write_text("net n { input x: 5; dense 3 -> sigmoid }")
    run("compile", "n.net", "--weights", "r/weights.safetensors", "-o", "m.onnx")
    assert netdsl.Session("m.onnx").known == {"output": Gives.YES_PROBABILITIES}
