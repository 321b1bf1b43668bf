"""What a value means is decided once: training, tests, runs and plain onnxruntime answer alike, sample by sample."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from commands import run
from onnx import TensorProto, helper
from PIL import Image
from safetensors import safe_open

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check_text
from netdsl.evaluation import evaluate
from netdsl.ir.deciding import described, endings
from netdsl.ir.meaning import FOLDED, LABELS, MEANING, Gives, Meaning, Numbers, Pixels, Tokens, from_metadata
from netdsl.runtime import Port
from netdsl.runtime.bench import Plan, random_feeds
from netdsl.runtime.preparation import Preparation
from netdsl.runtime.taking import as_batch, taken
from netdsl.weights.opening import open_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def meaning_of(text):
    return described(check_text(text).graph)


def diagnostic(error):
    return error.value.diagnostics[0]


# ------------------------------------------------------------------------------------------------ decided from the net


@pytest.mark.parametrize(
    ("end", "recipe", "gives"),
    [
        ("dense 3", "", None),
        ("dense 3", "train { batch 8 }", Gives.LOGITS),
        ("dense 3 -> softmax", "", Gives.PROBABILITIES),
        ("dense 3 -> softmax -> identity -> dropout", "", Gives.PROBABILITIES),
        ("dense 3 -> log_softmax", "train { loss nll }", Gives.LOG_PROBABILITIES),
        ("dense 3 -> log_softmax", "train { epochs 3 }", Gives.LOG_PROBABILITIES),
        ("dense 3 -> log_softmax", "train { loss cross_entropy }", Gives.LOG_PROBABILITIES),
        ("dense 3", "train { loss binary_cross_entropy }", Gives.YES_LOGITS),
        ("dense 3 -> sigmoid -> flatten", "train { loss binary_cross_entropy }", Gives.YES_PROBABILITIES),
        ("dense 3 -> sigmoid -> reshape [3, 1] -> flatten", "", Gives.YES_PROBABILITIES),
        ("dense 1 -> hardsigmoid", "", Gives.YES_PROBABILITIES),
        ("dense 3 -> sigmoid", "train { loss quadratic }", Gives.YES_PROBABILITIES),
        ("dense 3", "train { loss quadratic }", Gives.VALUES),
        ("dense 3 -> relu", "", Gives.VALUES),
        ("dense 3 -> relu", "train { loss cross_entropy }", Gives.LOGITS),
        ("dense 8 -> rbf 3", "", Gives.DISTANCES),
        ("mean { dense 3 -> softmax; dense 3 -> softmax }", "", Gives.PROBABILITIES),
        ("mean { dense 3 -> softmax; dense 3 }", "", None),
        ("dense 3 -> softmax -> scale 2.0", "", None),
        ("reshape [2, 3] -> softmax axis=-1", "", Gives.VALUES),
        ("reshape [2, 3] -> softmax axis=-1 -> transpose (1, 0)", "", Gives.PROBABILITIES),
        ("reshape [3, 2] -> softmax -> flatten", "", Gives.VALUES),
        ("reshape [6, 1, 1] -> softmax -> flatten", "", Gives.PROBABILITIES),
    ],
)  # fmt: skip
def test_the_last_layer_and_the_loss_tell_what_an_output_is(end, recipe, gives):
    assert meaning_of(f"net n {{ input x: 6; {end}; {recipe} }}").outputs == (
        {} if gives is None else {"output": gives}
    )


def test_every_output_has_a_meaning_of_its_own():
    net = "net n { input x: 6; dense 3 -> output a -> sigmoid -> output b; train { loss binary_cross_entropy } }"
    assert meaning_of(net).outputs == {"a": Gives.YES_LOGITS, "b": Gives.YES_PROBABILITIES}
    assert netdsl.load("features").graph.meaning.outputs["features"] is Gives.VALUES


def test_a_mean_of_means_takes_no_longer_than_its_nodes():
    text = "net n { input x: 6; dense 2 -> softmax; " + "mean { identity; identity }; " * 60 + "}"
    graph = check_text(text).graph
    assert endings(graph)[graph.outputs["output"]] is Gives.PROBABILITIES


@pytest.mark.parametrize(
    ("net", "takes"),
    [
        ("input x: 3x8x8; flatten", Pixels(1, "rgb")),
        ("input x: 1xHxW; identity", Pixels(1, "grey")),
        ("input x: 4x8x8 uint8; identity", Pixels(255, "rgba")),
        ("input x: 5x8x8; flatten", Numbers()),
        ("input x: 28x28; flatten", Numbers()),
        ("input x: [T] int64; embedding 7 4", Tokens(7)),
        ("input x: [6] int32; reshape [2, 3] -> transpose (1, 0) -> embedding 7 4", Tokens(7)),
        ("input x: [6] int64; concat { @x -> embedding 9 4; @x -> embedding 5 4 }", Tokens(5)),
        ("input x: [6] int64; identity", Numbers()),
        (
            "input x: [2] int64; concat axis=-1 { slice 0 1 -> embedding 9 4; slice 1 -> embedding 5 4 }",
            Tokens(5, 0, (9, 5)),
        ),
        (
            (
                "input x: [2, 6] int64; "
                "concat { slice 0 1 -> flatten -> embedding 9 4; slice 1 -> flatten -> embedding 5 4 }"
            ),
            Tokens(5, 0, (9, 5)),
        ),
        (
            (
                "input x: [T, 3] int32; "
                "concat axis=1 { select [2, 0] axis=1 -> embedding 9 4; split 3 1 1 -> embedding 5 4 }"
            ),
            Tokens(5, 1, (9, 5, 9)),
        ),
        (
            (
                "input x: [3, T] int32; "
                "concat { select [2, 0, 2] -> slice 1 -> embedding 9 4; slice 1 2 -> embedding 5 4 }"
            ),
            Tokens(5, 0, (9, 5, 9)),
        ),
        (
            "input x: [3] int64; concat { select [0, 1, 0] -> embedding 9 4; select [2, 1, 2] -> embedding 5 4 }",
            Tokens(5, 0, (9, 5, 5)),
        ),
        ("input x: [3] int64; concat { slice 0 1 -> embedding 9 4; identity -> embedding 5 4 }", Tokens(5)),
        (
            "input x: [4] int64; concat { reshape [2, 2] -> flatten -> embedding 9 4; slice 3 -> embedding 5 4 }",
            Tokens(5, 0, (9, 9, 9, 5)),
        ),
    ],
)
def test_the_form_and_the_layers_tell_what_an_input_takes(net, takes):
    assert meaning_of(f"net n {{ {net} }}").inputs == {"x": takes}


def test_tokens_of_two_inputs_that_meet_in_one_table_are_both_bound():
    net = "net n { input a: [3] int64; input b: [4] int64; concat { @a; @b } -> embedding 6 2 }"
    assert meaning_of(net).inputs == {"a": Tokens(6), "b": Tokens(6)}


# ------------------------------------------------------------------------------------------------ answers


def points(classes, samples=96, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((samples, 5)).astype(np.float32)
    return x, (x @ random.standard_normal((5, classes)))


def largest(scores, targets):
    return scores.argmax(1) == targets


def above(threshold):
    return lambda scores, targets: (scores > threshold) == (targets.reshape(scores.shape) > 0.5)


def one_class(_, scores):
    return scores.argmax(1)


def several(_, scores):
    return (scores > 0.3).astype(np.int64)


def yes(_, scores):
    return (scores[:, 0] > 0.3).astype(np.int64)


HEADS = {
    "logits": ("dense 3", "", one_class, largest),
    "log-probabilities": ("dense 3 -> log_softmax", "", one_class, largest),
    "sigmoids of classes": ("dense 3 -> sigmoid", "loss binary_cross_entropy;", one_class, largest),
    "logits of yes for classes": ("dense 3", "loss binary_cross_entropy;", one_class, largest),
    "one-hot targets": ("dense 3", "", lambda _, s: np.eye(3)[s.argmax(1)], lambda s, t: s.argmax(1) == t.argmax(1)),
    "softmax by quadratic": ("dense 3 -> softmax", "loss quadratic;", one_class, largest),
    "scores by quadratic": ("dense 3", "loss quadratic;", one_class, largest),
    "several logits": ("dense 3", "loss binary_cross_entropy;", several, above(0)),
    "several sigmoids": ("dense 3 -> sigmoid", "loss binary_cross_entropy;", several, above(0.5)),
    "several sigmoids reshaped": ("dense 3 -> sigmoid -> identity -> flatten", "loss binary_cross_entropy;", several,
                                  above(0.5)),
    "sigmoids without a loss": ("dense 3 -> sigmoid", "", several, above(0.5)),
    "one logit": ("dense 1", "loss binary_cross_entropy;", yes, above(0)),
    "one logit, a column": ("dense 1", "loss binary_cross_entropy;", lambda x, s: yes(x, s)[:, None], above(0)),
    "one sigmoid": ("dense 1 -> sigmoid", "", yes, above(0.5)),
    "one sigmoid, a column": ("dense 1 -> sigmoid", "", lambda x, s: yes(x, s)[:, None], above(0.5)),
    "positions": ("reshape [1, 5] -> conv 3 k1", "", lambda x, _: np.digitize(x, [-0.5, 0.5]), largest),
    "yes at positions": ("reshape [1, 5] -> conv 1 k1 -> sigmoid", "", lambda x, _: (x > 0.3) + 0, above(0.5)),
    "logits of yes at positions": ("reshape [1, 5] -> conv 1 k1", "loss binary_cross_entropy;",
                                   lambda x, _: (x > 0.3) + 0, above(0)),
}  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_the_trainer_the_test_and_plain_onnxruntime_count_the_same_samples_right(head):
    end, loss, answer, is_right = HEADS[head]
    Path("n.net").write_text(
        f"net n {{ input x: 5; {end}; train {{ {loss} optimizer adam lr=0.05; batch 8; epochs 6 }} }}"
    )
    x, scores = points(3)
    targets = answer(x, scores)
    np.savez("d.npz", x_train=x[:64], y_train=targets[:64], x_test=x[64:], y_test=targets[64:])
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    with Path("r/metrics.csv").open() as file:
        told = float([*csv.DictReader(file)][-1]["val_accuracy"])
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": x[64:]})
    right = is_right(plain, targets[64:])
    found = evaluate("r/n.onnx", "d.npz")
    assert told == pytest.approx(right.mean(), abs=1e-6)
    assert found.accuracy == pytest.approx(right.mean(), abs=1e-9)
    assert np.array_equal((found.predicted == found.targets).reshape(-1), np.moveaxis(right, 1, -1).reshape(-1)
                          if right.ndim > 1 and right.shape == plain.shape else right.reshape(-1))  # fmt: skip
    assert right.mean() > 0.6


@pytest.mark.parametrize(("end", "loss"), [("dense 3 -> softmax", "cross_entropy"), ("dense 3 -> softmax", None),
                                           ("mean { dense 3 -> softmax; dense 3 -> softmax }", None),
                                           ("dense 1", None)])  # fmt: skip
def test_a_loss_that_would_take_its_input_for_something_else_is_refused(end, loss):
    Path("n.net").write_text(f"net n {{ input x: 5; {end} }}")
    x, scores = points(3)
    np.savez("d.npz", x=x, y=scores.argmax(1))
    if loss is not None:
        Path("n.net").write_text(f"net n {{ input x: 5; {end}; train {{ loss {loss} }} }}")
    assert "E0803" in run("train", "n.net", "--data", "d.npz", "-o", "r", code=1)[1]
    assert not Path("r").exists()


def test_several_labels_are_not_learned_as_one_class():
    Path("n.net").write_text("net n { input x: 5; dense 3; train { loss cross_entropy } }")
    x, scores = points(3)
    np.savez("d.npz", x=x, y=several(x, scores))
    assert "binary_cross_entropy" in run("train", "n.net", "--data", "d.npz", "-o", "r", code=1)[1]
    assert not Path("r").exists()


def test_values_are_learned_without_an_accuracy_and_tested_by_their_errors():
    Path("n.net").write_text(
        "net n { input x: 5; dense 1; train { loss quadratic; optimizer adam lr=0.1; epochs 30 } }"
    )
    x, _ = points(1)
    y = (x @ np.float32([1, 2, 0, 0, -1]) + 3).astype(np.float32)
    np.savez("d.npz", x_train=x[:64], y_train=y[:64], x_test=x[64:], y_test=y[64:])
    out, _ = run("train", "n.net", "--data", "d.npz", "-o", "r")
    assert "accuracy" not in out
    assert netdsl.Session("r/n.onnx").meaning.outputs == {"output": Gives.VALUES}
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": x[64:]})
    found = evaluate("r/n.onnx", "d.npz")
    assert found.loss == pytest.approx(np.square(plain[:, 0] - y[64:]).mean(), rel=1e-5)
    assert found.explained > 0.5
    np.save("x.npy", x[64])
    assert "mean squared error" in run("test", "r/n.onnx", "--data", "d.npz")[0]
    assert "from" in run("run", "r/n.onnx", "x.npy")[0]
    run("plot", "curves", "r")


def test_two_classes_of_one_sigmoid_have_their_names():
    Path("n.net").write_text("net n { input x: 5; dense 1 -> sigmoid; train { epochs 2 } }")
    x, scores = points(1)
    np.savez("d.npz", x=x, y=yes(x, scores), names=["small", "large"])
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    np.save("x.npy", x[0])
    (told,) = json.loads(run("run", "r/n.onnx", "x.npy", "--format", "json")[0])
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": x[:1]})
    shown = {one["name"]: one["value"] for one in told["classes"]}
    assert shown["large"] == pytest.approx(float(plain[0, 0]))
    assert shown["small"] == pytest.approx(1 - float(plain[0, 0]))
    found = evaluate("r/n.onnx", "d.npz", split="train")
    assert (found.labels, found.confusion.shape) == (("small", "large"), (2, 2))


# ------------------------------------------------------------------------------------------------ models of others


def model(path, ops, shape=(3,), dtype=TensorProto.FLOAT, opset=14, **metadata):
    """A chain of operators as another program would write it."""
    names = ["x", *(f"v{number}" for number in range(1, len(ops))), "y"]
    nodes = [helper.make_node(op, [a], [b], **attributes)
             for (op, attributes), a, b in zip(ops, names, names[1:], strict=False)]  # fmt: skip
    ports = [helper.make_tensor_value_info(name, dtype, ["N", *shape]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])
    for key, text in metadata.items():
        made.metadata_props.add(key=f"netdsl.{key}", value=text)
    onnx.save(made, path)
    return path


@pytest.mark.parametrize(
    ("ops", "shape", "gives"),
    [
        ([("Softmax", {"axis": 1})], (3,), Gives.PROBABILITIES),
        ([("Softmax", {})], (3,), Gives.PROBABILITIES),
        ([("Softmax", {"axis": -1}), ("Identity", {})], (3,), Gives.PROBABILITIES),
        ([("Softmax", {"axis": -1})], (3, 4), Gives.VALUES),
        ([("Softmax", {"axis": 1})], (3, 4), Gives.PROBABILITIES),
        ([("LogSoftmax", {"axis": 1})], (3,), Gives.LOG_PROBABILITIES),
        ([("Sigmoid", {})], (3,), Gives.YES_PROBABILITIES),
        ([("Sigmoid", {}), ("Flatten", {})], (3,), Gives.YES_PROBABILITIES),
        ([("Tanh", {})], (3,), Gives.VALUES),
        ([("Exp", {})], (3,), Gives.VALUES),
        ([("Softmax", {"axis": 1}), ("Log", {})], (3,), Gives.LOGITS),
        ([("Identity", {})], (3,), Gives.LOGITS),
        ([("Identity", {})], (1,), Gives.VALUES),
    ],
)
def test_models_of_others_are_known_by_their_last_operator(ops, shape, gives):
    session = netdsl.Session(model("m.onnx", ops, shape))
    assert session.gives(session.outputs[0]) is gives


@pytest.mark.parametrize("scores", [[0.2, 0.9, 0.1], [2, 0.9, 0.1], [0.2, 0.7, 0.1]])
def test_the_same_output_is_called_the_same_whatever_its_values(scores):
    model("m.onnx", [("Identity", {})])
    np.save("x.npy", np.float32(scores))
    assert "softmax of the logits" in run("run", "m.onnx", "x.npy")[0]


def test_sigmoids_far_from_certain_are_not_taken_for_logits():
    """Of probabilities, those below one half say no, however few of them there are."""
    model("m.onnx", [("Sigmoid", {})], (2,))
    scores = np.float32([[-1, 1], [-2, -1], [1, -3], [2, 1]])
    np.savez("d.npz", x=scores, y=(scores > 0).astype(int))
    assert evaluate("m.onnx", "d.npz", split="train").accuracy == 1
    model("logits.onnx", [("Identity", {})], (2,))
    small = np.float32([[0.1, 0.4], [0.3, 0.2]])  # logits above 0, all of which say yes
    np.savez("d.npz", x=small, y=np.ones((2, 2), int))
    assert evaluate("logits.onnx", "d.npz", split="train").accuracy == 1


def test_a_model_of_one_class_is_not_tested_on_several_labels():
    model("m.onnx", [("Softmax", {"axis": 1})])
    np.savez("d.npz", x=np.eye(3, dtype=np.float32), y=[[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    with pytest.raises(NetdslError, match="several labels"):
        evaluate("m.onnx", "d.npz", split="train")


def test_of_distances_the_least_is_the_answer():
    Path("n.net").write_text("net n { input x: 4; rbf 3 }")
    run("compile", "n.net", "--quiet")
    x = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    (plain,) = onnxruntime.InferenceSession("n.onnx").run(None, {"x": x})
    np.savez("d.npz", x=x, y=plain.argmin(1))
    found = evaluate("n.onnx", "d.npz", split="train")
    assert (found.accuracy, found.loss_name) == (1, "distance")
    assert found.loss == pytest.approx(plain.min(1).mean(), rel=1e-5)
    np.save("x.npy", x[0])
    (told,) = json.loads(run("run", "n.onnx", "x.npy", "--format", "json")[0])
    assert [told["meaning"], told["classes"][0]["name"]] == ["distance", str(plain[0].argmin())]


# ------------------------------------------------------------------------------------------------ what goes in


def pictures(channels, samples=40):
    random = np.random.default_rng(1)
    targets = np.arange(samples) % 2
    shape = (samples, 8, 8) if channels is None else (samples, 8, 8, channels)
    images = random.integers(0, 120, shape, np.uint8)
    images[np.arange(samples), 3 * targets] += 130
    return images, targets


@pytest.mark.parametrize(("channels", "form"), [(None, "plain"), (1, "last"), (3, "last"), (3, "first")])
def test_bytes_are_pixels_in_every_way_into_a_model_that_learned_from_pixels(channels, form):
    depth = channels or 1
    Path("n.net").write_text(f"net n {{ input x: {depth}x8x8; flatten -> dense 2; train {{ batch 8; epochs 2 }} }}")
    images, targets = pictures(channels)
    stored = images.transpose(0, 3, 1, 2) if form == "first" else images
    np.savez("d.npz", x_train=stored, y_train=targets, x_test=stored[:9], y_test=targets[:9])
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    first = images.transpose(0, 3, 1, 2) if channels else images[:, None]
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": first[:9].astype(np.float32) / 255})

    session = netdsl.Session("r/n.onnx")
    assert session.meaning.inputs["x"] == Pixels(1, {1: "grey", 3: "rgb"}[depth])
    ways = {"stored": stored[:9], "floats": first[:9].astype(np.float32) / np.float32(255), "first": first[:9],
            "last": images[:9]}  # fmt: skip
    for array in ways.values():
        np.testing.assert_allclose(session.run({"x": array})["output"], plain, atol=1e-5)
    due = torch.from_numpy(plain).double().log_softmax(1)
    np.testing.assert_allclose(evaluate("r/n.onnx", "d.npz").logs, due, atol=1e-5)
    for number, array in enumerate((stored[4], stored[:9], first[4], images[4])):
        np.save("x.npy", array)
        run("run", "r/n.onnx", "x.npy", "-o", "y.npy")
        np.testing.assert_allclose(np.load("y.npy"), plain if number == 1 else plain[4:5], atol=1e-5)
    Image.fromarray(images[4, ..., 0] if channels == 1 else images[4]).save("x.png")
    run("run", "r/n.onnx", "x.png", "-o", "y.npy")
    np.testing.assert_allclose(np.load("y.npy"), plain[4:5], atol=1e-5)
    np.save("x.npy", stored[4])
    run("inspect", "r/n.onnx", "x.npy", "--data", "d.npz")
    run("plot", "classes", "r/n.onnx", "x.npy")


def test_bytes_of_another_size_are_scaled_as_image_files_are():
    netdsl.loads("net n { input x: 1x4x4; flatten -> dense 2 }").to_onnx("m.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6), np.uint8)
    Image.fromarray(pixels).save("x.png")
    np.save("x.npy", pixels)
    session = netdsl.Session("m.onnx")
    for name in ("x.png", "x.npy"):
        run("run", "m.onnx", name, "-o", f"{name[2:]}.npy")
    assert np.array_equal(np.load("png.npy"), np.load("npy.npy"))
    np.testing.assert_array_equal(session.run({"x": pixels[None]})["output"], np.load("png.npy"))


def test_a_net_that_learned_from_numbers_takes_bytes_for_numbers_and_no_image():
    Path("n.net").write_text("net n { input x: 1x8x8; flatten -> dense 2; train { batch 8; epochs 2 } }")
    images, targets = pictures(None)
    np.savez("d.npz", x=images.astype(np.float32), y=targets)
    np.savez("bytes.npz", x=images, y=targets)
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": images[:, None].astype(np.float32)})
    session = netdsl.Session("r/n.onnx")
    assert session.meaning.inputs == {"x": Numbers()}
    np.testing.assert_allclose(session.run({"x": images})["output"], plain, rtol=1e-5)
    due = torch.from_numpy(plain).double().log_softmax(1)
    np.testing.assert_allclose(evaluate("r/n.onnx", "bytes.npz", split="train").logs, due, atol=1e-5)
    np.save("x.npy", images[0])
    run("run", "r/n.onnx", "x.npy", "-o", "y.npy")
    np.testing.assert_allclose(np.load("y.npy"), plain[:1], rtol=1e-5)
    Image.fromarray(images[0]).save("x.png")
    assert "--scale" in run("run", "r/n.onnx", "x.png", code=1)[1]
    run("run", "r/n.onnx", "x.png", "--scale", "1", "-o", "y.npy")  # the user says what a pixel is
    np.testing.assert_allclose(np.load("y.npy"), plain[:1], rtol=1e-5)
    run("inspect", "r/n.onnx", "x.npy")


def test_bytes_for_vectors_are_numbers_for_training_too():
    Path("n.net").write_text("net n { input x: 4x6; flatten -> dense 2; train { batch 4; epochs 1 } }")
    values = np.random.default_rng(0).integers(0, 256, (12, 4, 6), np.uint8)
    np.savez("d.npz", x=values, y=np.arange(12) % 2)
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": values.astype(np.float32)})
    np.testing.assert_allclose(netdsl.Session("r/n.onnx").run({"x": values})["output"], plain, rtol=1e-5)
    np.testing.assert_allclose(evaluate("r/n.onnx", "d.npz", split="train").logs.argmax(1), plain.argmax(1))


def test_images_for_one_split_and_numbers_for_another_are_refused():
    Path("n.net").write_text("net n { input x: 1x8x8; flatten -> dense 2; train { batch 8 } }")
    images, targets = pictures(None)
    np.savez("d.npz", x_train=images, y_train=targets, x_test=images / 255, y_test=targets)
    assert "E1003" in run("train", "n.net", "--data", "d.npz", "-o", "r", code=1)[1]


@pytest.mark.parametrize("array", [[[0, 3, -1]], [[0, 5, 1]], [[0, 1, 2**40]]])
def test_tokens_are_held_to_their_bound(array):
    Path("n.net").write_text("net n { input x: [T] int64; embedding 5 4 -> dense 2 -> transpose (1, 0) }")
    run("compile", "n.net", "--quiet")
    session = netdsl.Session("n.onnx")
    assert session.run({"x": np.int64([[0, 4, 1]])})["output"].shape == (1, 2, 3)
    with pytest.raises(NetdslError, match="tokens from 0 to 4") as error:
        session.run({"x": np.int64(array)})
    assert diagnostic(error).code == "E0906"
    np.save("x.npy", np.int64(array))
    assert "tokens from 0 to 4" in run("run", "n.onnx", "x.npy", code=1)[1]
    np.savez("d.npz", x=np.int64(array), y=[[0, 1, 0]])
    assert "tokens from 0 to 4" in run("test", "n.onnx", "--data", "d.npz", "--split", "train", code=1)[1]


def test_columns_of_a_table_have_bounds_of_their_own():
    Path("n.net").write_text(
        "net n { input x: [2] int64; concat axis=-1 { slice 0 1 -> embedding 9 4; slice 1 -> embedding 5 4 } -> flatten"
        " -> dense 2; train { batch 8; epochs 1 } }"
    )
    random = np.random.default_rng(0)
    x = np.stack([random.integers(0, 9, 40), random.integers(0, 5, 40)], 1)
    x[0] = 8, 4
    np.savez("d.npz", x_train=x, y_train=x[:, 0] % 2, x_test=x[:8], y_test=x[:8, 0] % 2)
    run("train", "n.net", "--data", "d.npz", "-o", "r")
    (plain,) = onnxruntime.InferenceSession("r/n.onnx").run(None, {"x": x})
    session = netdsl.Session("r/n.onnx")
    np.testing.assert_allclose(session.run({"x": x})["output"], plain, atol=1e-6)
    assert evaluate("r/n.onnx", "d.npz").accuracy == (plain[:8].argmax(1) == x[:8, 0] % 2).mean()
    run("verify", "n.net")
    run("bench", "r/n.onnx", "--runs", "1")
    for wrong, told in (((8, 5), "to 4 at position 1 of axis 0, and has 5"), ((-1, 4), "to 8 at position 0 of")):
        with pytest.raises(NetdslError, match=told):
            session.run({"x": np.int64([wrong])})
        np.savez("wrong.npz", x=np.concatenate([x, [wrong]]), y=np.arange(41) % 2)
        assert told in run("train", "n.net", "--data", "wrong.npz", "-o", "s", code=1)[1]
    changed = onnx.load("r/n.onnx")
    for prop in changed.metadata_props:
        prop.value = prop.value.replace("[9, 5]", "[9, 5, 5]")
    onnx.save(changed, "m.onnx")
    model("float.onnx", [("Identity", {})], meaning=Meaning({"x": Tokens(7)}).as_metadata()[MEANING])
    with pytest.raises(NetdslError, match="tokens from 0 to 6` does not fit"):
        netdsl.Session("float.onnx")
    with pytest.raises(NetdslError, match="tables for 3 positions do not fit") as error:
        netdsl.Session("m.onnx")
    assert diagnostic(error).code == "E0905"


def test_a_model_tells_how_its_own_normalize_is_folded_into_it():
    Path("n.net").write_text("net n { input x: 3x8x8; normalize mean=0.25 std=(0.5, 2.0, 1.0) -> conv 4 k3 }")
    for level in "01":
        run("compile", "n.net", f"-O{level}", "-o", "m.onnx")
        meaning = netdsl.Session("m.onnx").meaning
        assert (meaning.mean, meaning.std) == ((0.25,) * 3, (0.5, 2.0, 1.0))


def test_a_whole_number_is_never_wrapped_into_another():
    Path("n.net").write_text("net n { input x: [T] int32; embedding 5 4 }")
    run("compile", "n.net", "--quiet")
    np.save("x.npy", np.int64([2**32 + 1]))
    assert "outside of its range" in run("run", "n.onnx", "x.npy", code=1)[1]
    np.save("x.npy", np.uint8([4, 0]))
    run("run", "n.onnx", "x.npy")


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(
    ("body", "token", "ok"),
    [
        ("add { @a; @a }", -1, False),
        ("add { @a; @a } -> reshape [1, 2] -> flatten", -1, False),
        ("mul { @a; @a; @a }", -1, False),
        ("max { @a; @a }", -1, False),
        ("add { @a; @a }", 3, False),
        ("add { @a; @a }", 2, True),
        ("mul { @a; @a }", -2, True),
    ],
)
def test_computed_tokens_have_a_bound_in_onnx_as_in_pytorch(dtype, body, token, ok):
    net = netdsl.loads(f"net n {{ input a: [2] {dtype}; {body} -> embedding 6 3 }}")
    net.to_onnx("m.onnx")
    tokens = np.full((1, 2), token, dtype)
    run_plain = onnxruntime.InferenceSession("m.onnx").run
    session = netdsl.Session("m.onnx")
    if ok:
        due = net.to_torch()(torch.from_numpy(tokens)).detach().numpy()
        assert np.array_equal(run_plain(None, {"a": tokens})[0], due)
        assert np.array_equal(session.run({"a": tokens})["output"], due)
        return
    with pytest.raises(IndexError):
        net.to_torch()(torch.from_numpy(tokens))
    with pytest.raises(Exception, match="out of data bounds"):
        run_plain(None, {"a": tokens})
    with pytest.raises(NetdslError) as caught:
        session.run({"a": tokens})
    assert caught.value.diagnostics[0].code == "E0906"


def test_bench_draws_what_a_model_takes():
    for text, most in (("[9] int64; embedding 50 2", 50), ("3x8x8 uint8; identity", 256)):
        netdsl.loads(f"net n {{ input x: {text} }}").to_onnx("m.onnx")
        drawn = random_feeds(netdsl.Session("m.onnx"), Plan(20))["x"]
        assert most / 2 < drawn.max() < most


@pytest.mark.parametrize(
    ("takes", "due"),
    [
        (Pixels(1, "bgr"), lambda p: p.transpose(2, 0, 1)[::-1] / 255),
        (Pixels(255, "rgb"), lambda p: p.transpose(2, 0, 1)),
        (Pixels(1, "rgb", "stretch", "nearest"), lambda p: p.transpose(2, 0, 1) / 255),
    ],
)
def test_pixels_become_what_the_model_says(takes, due):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8)
    port = Port("x", ("N", 3, 4, 4), "float32", takes)
    np.testing.assert_allclose(taken(pixels, port)[0], due(pixels[0]), rtol=1e-6)


def test_an_image_is_stretched_where_the_model_says_so():
    pixels = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
    port = Port("x", ("N", 1, 2, 2), "float32", Pixels(255, "grey", "stretch", "nearest"))
    due = np.asarray(Image.fromarray(pixels[0]).resize((2, 2), Image.Resampling.NEAREST))
    assert np.array_equal(taken(pixels, port)[0, 0], due)
    assert np.array_equal(taken(pixels, replace(port, takes=Pixels(255, "grey")))[0, 0], pixels[0, :, 1:3])


@pytest.mark.parametrize(
    ("shape", "given", "several"),
    [
        ((1, 8, 8), (8, 8), False), ((1, 8, 8), (1, 8, 8), False), ((1, 8, 8), (8, 8, 1), False),
        ((1, 8, 8), (5, 8, 8), True), ((3, 8, 8), (8, 8, 3), False), ((3, 8, 8), (3, 8, 8), False),
        ((3, 8, 8), (6, 8, 8), True), ((3, 8, 8), (6, 9, 9, 3), True), ((3, "H", "W"), (3, 8, 4), False),
        ((1, "H", "W"), (7, 9, 9), True),
    ],
)  # fmt: skip
def test_bytes_are_one_image_or_several_as_only_one_of_these_can_be(shape, given, several):
    array, batch = as_batch(np.zeros(given, np.uint8), Port("x", ("N", *shape), "float32"), Preparation())
    assert (batch, len(array)) == (several, given[0] if several else 1)


# ------------------------------------------------------------------------------------------------ weights of a run


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


# ------------------------------------------------------------------------------------------------ as text


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
