"""What comes out of a model: training, tests, runs and plain onnxruntime answer alike, sample by sample."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from answers import model, points, several
from commands import run

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.evaluation import evaluate
from netdsl.ir.meaning import Gives


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def largest(scores, targets):
    return scores.argmax(1) == targets


def above(threshold):
    return lambda scores, targets: (scores > threshold) == (targets.reshape(scores.shape) > 0.5)


def one_class(_, scores):
    return scores.argmax(1)


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
