"""The model of a run is judged by exactly the samples that the run held out, whoever counts them."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from commands import python, run
from PIL import Image
from small_runs import description, rows

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.evaluation import ValueEvaluation
from netdsl.training.samples.opening import open_data


@pytest.fixture(autouse=True)
def held(tmp_path, monkeypatch):
    """The samples that each run is judged by, as the trainer has them."""
    from netdsl.training.loop import fit

    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("netdsl.training.run.works", lambda _: False)  # curves take longer than these runs
    monkeypatch.setattr("netdsl.training.loop.fit", lambda task, train, val, *rest, **options: (
        seen.append(val), fit(task, train, val, *rest, **options))[1])  # fmt: skip
    return seen


def points(samples=90, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((samples, 5)).astype(np.float32)
    return x, x @ random.standard_normal((5, 4)) + random.standard_normal((samples, 4))


def maps():
    x = np.random.default_rng(3).standard_normal((60, 2, 6, 6)).astype(np.float32)
    return x, np.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1], 0.3 + 0 * x[:, 0]], 1)


def pixels():
    random = np.random.default_rng(5)
    targets = np.arange(60) % 3
    images = random.integers(0, 200, (60, 8, 8)).astype(np.uint8)
    images[np.arange(60), 2 * targets] += 50
    return images, np.eye(3)[targets]


LEARNS = "optimizer adam lr=0.03; batch 8; epochs 4"
KINDS = {
    "logits": ("x: 5", "dense 4", LEARNS, points, lambda s: s.argmax(1), lambda p, y: p.argmax(1) == y),
    "softmax": ("x: 5", "dense 4 -> softmax", f"loss quadratic; {LEARNS}", points,
                lambda s: s.argmax(1), lambda p, y: p.argmax(1) == y),
    "log_softmax": ("x: 5", "dense 4 -> log_softmax", LEARNS, points,
                    lambda s: s.argmax(1), lambda p, y: p.argmax(1) == y),
    "sigmoids": ("x: 5", "dense 4 -> sigmoid", f"loss binary_cross_entropy; {LEARNS}", points,
                 lambda s: s.argmax(1), lambda p, y: p.argmax(1) == y),
    "one logit": ("x: 5", "dense 1", f"loss binary_cross_entropy; {LEARNS}", points,
                  lambda s: (s[:, 0] > 0).astype(int), lambda p, y: (p > 0) == y),
    "labels": ("x: 5", "dense 4 -> sigmoid", LEARNS, points,
               lambda s: (s > 0).astype(int), lambda p, y: (p > 0.5) == y),
    "pixels": ("x: 1x8x8", "flatten -> dense 3", f"augment shift 0.2; {LEARNS}", pixels,
               lambda s: s.argmax(1), lambda p, y: p.argmax(1) == y),
    "positions": ("x: 2x6x6", "conv 3 k3 p1", f"loss cross_entropy; {LEARNS}", maps,
                  lambda s: s.argmax(1), lambda p, y: p.argmax(1) == y),
}  # fmt: skip
HELD = {
    "fraction": ({"train": slice(None)}, [], "val", "part"),
    "another fraction": ({"train": slice(40), "val": slice(40, None)}, ["--val", "0.4", "--set", "train.seed=7"],
                         "val", "part"),
    "val": ({"train": slice(25), "val": slice(25, 37), "test": slice(37, None)}, [], "val", "validation"),
    "test": ({"train": slice(25), "test": slice(25, None)}, [], "test", "test"),
}  # fmt: skip


def written(kind, ends):
    """Write the net and the data of a kind; gives what tells right answers of onnxruntime."""
    source, body, recipe, drawn, answer, is_right = KINDS[kind]
    Path("n.net").write_text(f"net n {{ input {source}; {body}; train {{ {recipe} }} }}")
    x, scores = drawn()
    parts = {f"{name}_{split}": values[part] for split, part in ends.items()
             for name, values in (("x", x), ("y", answer(scores)))}  # fmt: skip
    np.savez("d.npz", **parts)
    return is_right


def plain_inputs(samples):
    """The inputs that the trainer has, as a model takes them: pixels from 0 to 1."""
    return samples.inputs.numpy().astype(np.float32) / (1 if samples.dtype is None else 255)


@pytest.mark.parametrize("way", HELD)
@pytest.mark.parametrize("kind", KINDS)
def test_the_run_the_test_and_plain_onnxruntime_count_the_same_samples_right(kind, way, held):
    ends, words, split, origin = HELD[way]
    is_right = written(kind, ends)
    told, _ = run("train", "n.net", "--data", "d.npz", "-o", "r", *words)
    epoch, percent = re.search(r"exported epoch +(\d+): held out loss \S+ accuracy (\S+)%", told).groups()
    (samples,) = held
    (answers,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": plain_inputs(samples)})
    right = is_right(answers, samples.targets.numpy())
    figures = rows("r")[int(epoch) - 1]
    assert round(figures["val_accuracy"] * right.size, 6) == right.sum()
    assert f"{right.mean():.2%}" == f"{percent}%"

    found = netdsl.evaluate("r")
    assert np.array_equal(np.squeeze(found.predicted == found.targets), np.squeeze(
        np.moveaxis(right, 1, -1).reshape(-1, right.shape[1]) if kind == "labels" else right.reshape(-1)))  # fmt: skip
    if kind != "softmax":  # of probabilities, the cross-entropy is told, and half the squared distance is learned by
        assert found.loss == pytest.approx(figures["val_loss"], rel=1e-4)
    assert description("r")["data"]["held"] == origin
    shown = json.loads(run("test", "r", "--format", "json")[0])
    assert (shown["accuracy"], shown["samples"]) == (right.mean(), len(samples))
    assert shown["split"] == {"val": "validation", "test": "test"}[split]
    again = json.loads(run("test", "r", "--data", "d.npz", "--split", split, "--format", "json")[0])
    assert again["accuracy"] == shown["accuracy"]


def test_values_have_the_same_error_and_no_accuracy(held):
    Path("n.net").write_text(f"net n {{ input x: 5; dense 4; train {{ loss quadratic; {LEARNS} }} }}")
    x, y = points()
    np.savez("d.npz", x=x, y=y)
    told, _ = run("train", "n.net", "--data", "d.npz", "-o", "r", "--export", "last")
    assert "accuracy" not in told
    (answers,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": plain_inputs(held[0])})
    found = netdsl.evaluate("r")
    assert isinstance(found, ValueEvaluation)
    np.testing.assert_allclose(found.targets, held[0].targets.numpy(), rtol=1e-6)
    assert found.loss == pytest.approx(float(np.square(answers - held[0].targets.numpy()).mean()), rel=1e-5)
    with Path("r/metrics.csv").open() as file:
        told = float([*csv.DictReader(file)][-1]["val_loss"])
    assert 2 * found.loss == pytest.approx(told, rel=1e-4)  # half the sum of 4 squares
    assert "mean squared error" in run("test", "r")[0]


def test_frozen_and_given_weights_change_nothing_in_that(held):
    written("logits", {"train": slice(None)})
    run("train", "n.net", "--data", "d.npz", "-o", "a")
    Path("m.net").write_text(f"net m {{ input x: 5; dense 6 -> bn -> relu -> dense 4; train {{ {LEARNS} }} }}")
    run("train", "m.net", "--data", "d.npz", "-o", "b")
    run("train", "m.net", "--data", "d.npz", "-o", "c", "--from", "b/weights.safetensors", "--freeze", "dense1.*",
        "--freeze", "bn1.*", "--val", "0.5", "--export", "last")  # fmt: skip
    for output, model, samples in zip("abc", ("n", "m", "m"), held, strict=True):
        (answers,) = onnxruntime.InferenceSession(f"{output}/{model}.onnx").run(None, {"x": plain_inputs(samples)})
        right = (answers.argmax(1) == samples.targets.numpy()).mean()
        losses = [row["val_loss"] for row in rows(output)]
        row = rows(output)[-1 if output == "c" else losses.index(min(losses))]
        assert row["val_accuracy"] == netdsl.evaluate(output).accuracy == right
    assert [len(samples) for samples in held] == [18, 18, 45]
    both = netdsl.evaluate(["a", "b"])
    assert [member.accuracy for member in both.members] == [netdsl.evaluate(name).accuracy for name in "ab"]
    told = run("test", "a", "c", code=1)[1]
    assert "error[E1109]: the runs in `a` and `c` held out different samples" in told


# What a split is where


def test_training_samples_of_a_run_are_those_it_learned_from():
    written("logits", {"train": slice(None)})
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    counts = {"r": 72, "r/n.onnx": 90}  # a model by itself is tested on the data as they divide themselves
    for model, count in counts.items():
        assert len(netdsl.evaluate(model, "d.npz", split="train").targets) == count
    assert len(netdsl.evaluate("r", split="train").targets) == 72
    for words in ((), ("d.npz",)):  # and on those of its run where they hold nothing out
        assert len(netdsl.evaluate("r/n.onnx", *words).targets) == 18
    assert "error[E1001]: " in run("test", "r", "--split", "test", code=1)[1]


def test_other_data_are_divided_as_they_divide_themselves():
    written("logits", {"train": slice(None)})
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    x, scores = points(40, seed=1)
    y = scores.argmax(1)
    np.savez("val.npz", x_train=x[:9], y_train=y[:9], x_val=x[9:], y_val=y[9:])
    np.savez("both.npz", x_train=x[:9], y_train=y[:9], x_val=x[9:20], y_val=y[9:20], x_test=x[20:], y_test=y[20:])
    np.savez("none.npz", x=x, y=y)
    for model in ("r", "r/n.onnx"):
        assert [len(netdsl.evaluate(model, data).targets) for data in ("val.npz", "both.npz")] == [31, 20]
        told = run("test", model, "--data", "none.npz", code=1)[1]
        assert "`none.npz` has no test samples" in told
        assert "they are not the data of the run in `r`" in told
        assert "no test samples" in run("test", model, "--data", "val.npz", "--split", "test", code=1)[1]


def write_images(folder, split="", count=12, bad=()):
    random = np.random.default_rng(len(split))
    for number, name in enumerate(("cat", "dog")):
        place = Path(folder, split, name)
        place.mkdir(parents=True)
        for index in range(count):
            values = random.integers(0, 200, (10, 12, 3)).astype(np.uint8) + np.uint8(50 * number)
            Image.fromarray(values).save(place / f"{index:02}.png")
            if index in bad:
                Path(place, f"{index:02}.png").write_bytes(b"no image")


IMAGES = "net n { input image: 3xHxW where H >= 8, W >= 8; conv 4 k3 s2 -> relu -> global_avgpool -> flatten; dense 2; \
train { optimizer adam lr=0.02; batch 4; epochs 3 } }"


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("splits", [("",), ("train", "val"), ("train", "test"), ("train", "val", "test")])
def test_images_that_cannot_be_read_are_left_out_by_both(splits, late, held, monkeypatch):
    Path("n.net").write_text(IMAGES)
    for split in splits:
        write_images("images", split, bad=(0, 4, 5))
    if late:
        monkeypatch.setitem(open_data.__kwdefaults__, "most_bytes", 0)
    run("train", "n.net", "--data", "images", "-o", "r", "--skip-bad", "--size", "H=9", "--size", "W=8")
    row = rows("r")[-1 if splits[-1] == "test" and len(splits) == 2 else best("r")]
    inputs, targets = (torch.cat(values) for values in zip(*held[0].batches(5), strict=True))
    assert inputs.shape[1:] == (3, 9, 8)
    (answers,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"image": inputs.numpy()})
    right = answers.argmax(1) == targets.numpy()
    found = netdsl.evaluate("r")
    np.testing.assert_array_equal(found.predicted == found.targets, right)
    assert found.accuracy == row["val_accuracy"]
    assert found.loss == pytest.approx(row["val_loss"], rel=1e-4)
    if splits[-1] == "test":
        assert len(netdsl.evaluate("r", split="test").targets) == 18


def best(output):
    losses = [row["val_loss"] for row in rows(output)]
    return losses.index(min(losses))


def test_plot_and_inspect_take_the_folder_of_a_run_too():
    Path("n.net").write_text(IMAGES)
    write_images("images", "train")
    write_images("images", "val")
    run(
        "train",
        "n.net",
        "--data",
        "images",
        "-o",
        "r",
        "--size",
        "H=9",
        "--size",
        "W=9",
        "--set",
        "train.epochs=1",
        "--set",
        "train.lr=1e-9",
    )  # so that there are mistakes
    shutil.copy("r/n.onnx", "alone.onnx")
    sizes = ["--size", "H=9", "--size", "W=9"]
    for drawing in ("confusion", "errors"):
        run("plot", drawing, "r", "-o", f"{drawing}.svg")
        run("plot", drawing, "alone.onnx", "--data", "images", *sizes, "-o", f"{drawing}-alone.svg")
    run("plot", "filters", "r")
    image = "images/val/cat/00.png"
    run("plot", "activations", "r", image)
    run("plot", "classes", "r", image)
    run("inspect", "r", image)
    page = Path("n.html").read_text(encoding="utf-8")
    assert "24 validation samples" in page
    run("inspect", "r/n.onnx", image)
    assert "validation samples" not in Path("n.html").read_text(encoding="utf-8")
    assert "alone.onnx on images: 24 validation samples" in run("test", "alone.onnx", "--data", "images", *sizes)[0]
    for command in (["test"], ["plot", "confusion"], ["plot", "errors"]):
        assert "Missing option '--data'" in run(*command, "alone.onnx", code=2)[1]


# What is no run, or no longer the run's


def test_data_that_are_gone_or_changed_are_named_with_the_remedy(tmp_path):
    written("logits", {"train": slice(None)})
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    accuracy = netdsl.evaluate("r").accuracy
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")  # the place of the data is known from everywhere
    assert netdsl.evaluate("../r").accuracy == accuracy
    os.chdir("..")
    Path("d.npz").rename("moved.npz")
    told = run("test", "r", code=1)[1]
    assert f"error[E1109]: the data of the run in `r` are gone: there is no `{tmp_path / 'd.npz'}`" in told
    assert "`--data DATA`" in told
    assert netdsl.evaluate("r", "moved.npz").accuracy == accuracy
    x, scores = points()
    np.savez("d.npz", x=x, y=(scores.argmax(1) + 1) % 4)
    told = run("test", "r", code=1)[1]
    assert "d.npz` has changed since the run in `r` was trained on it" in told
    assert "no test samples" in run("test", "r", "--data", "d.npz", code=1)[1]
    np.savez("d.npz", x=x[:3], y=[0, 1, 2])  # of which a fifth is none
    assert "has changed" in run("test", "r", code=1)[1]


def test_images_that_changed_in_place_are_noticed():
    Path("n.net").write_text(IMAGES.replace("3xHxW where H >= 8, W >= 8", "3x8x8"))
    write_images("images")
    run("train", "n.net", "--data", "images", "-o", "r", "--set", "train.epochs=1")
    assert len(netdsl.evaluate("r").targets) == 4
    for path in Path("images").rglob("*.png"):
        Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(path)
    assert "has changed" in run("test", "r", code=1)[1]


def test_a_folder_that_tells_nothing_is_a_clear_error():
    written("logits", {"train": slice(None)})
    run("train", "n.net", "--data", "d.npz", "-o", "r", "--set", "train.epochs=1")
    Path("empty").mkdir()
    assert "error[E1109]: `empty` holds no run" in run("test", "empty", code=1)[1]
    whole = description("r")
    broken = [{**whole, "format": 1}, {**whole, "data": "d.npz"}, {**whole, "shape": None}, {**whole, "training": {}},
              {**whole, "data": {**whole["data"], "fraction": "a"}}, {}, []]  # fmt: skip
    for told in [*map(json.dumps, broken), "", "[" * 100_000]:
        Path("r/run.json").write_text(told)
        assert "error[E1109]: `r/run.json` is " in run("test", "r", code=1)[1]
        assert "no test samples" in run("test", "r/n.onnx", "--data", "d.npz", code=1)[1]
    Path("r/run.json").write_text(json.dumps(whole))
    Path("r/n.onnx").unlink()
    assert "error[E1109]: the run in `r` has no model yet" in run("test", "r", code=1)[1]
    with pytest.raises(NetdslError, match="no data are named"):
        netdsl.evaluate("r/other.onnx")


def test_the_model_of_a_run_is_tested_without_pytorch():
    written("pixels", {"train": slice(None)})
    run("train", "n.net", "--data", "d.npz", "-o", "r", "--set", "train.epochs=1")
    code = "import sys, netdsl; netdsl.evaluate('r'); print('torch' in sys.modules)"
    assert python(code) == "False\n"
