"""Models are judged by onnxruntime as PyTorch and scikit-learn judge them, image by image."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from answers import TINY, drawn, echo, save_data
from commands import python, run
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn import metrics
from torch.nn import functional

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.data.reading import read_data
from netdsl.evaluation import evaluate
from netdsl.evaluation.scores import LOGITS, SIGMOID, SOFTMAX
from netdsl.evaluation.views import larger, ten_crops
from netdsl.ir.meaning import Gives
from netdsl.plots.curves import read_metrics
from netdsl.runtime.preparation import Preparation


def diagnostic(error):
    return error.value.diagnostics[0]


# ------------------------------------------------------------------------------------------------ against PyTorch


def test_onnxruntime_gives_every_image_the_class_that_pytorch_gives_it(tmp_path):
    torch.manual_seed(0)
    network = netdsl.loads(TINY)
    net, data = network.to_torch(), read_data("digits")
    images, targets = (torch.from_numpy(array) for array in (data.train.inputs, data.train.targets))
    images = images[:, None] / 255
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    for chosen in torch.randperm(len(images)).split(32):
        optimizer.zero_grad()
        functional.cross_entropy(net(images[chosen]), targets[chosen]).backward()
        optimizer.step()
    state = net.state_dict()
    network.to_onnx(tmp_path / "m.onnx", weights=lambda param: state[param.name].numpy())

    net.eval()
    with torch.no_grad():
        scores = net(torch.from_numpy(data.test.inputs)[:, None] / 255)
    truth = torch.from_numpy(data.test.targets)
    found = evaluate(tmp_path / "m.onnx", "digits", batch=50)
    assert found.predicted.tolist() == scores.argmax(1).tolist()
    assert found.right == int((scores.argmax(1) == truth).sum()) > 300
    assert found.loss == pytest.approx(float(functional.cross_entropy(scores, truth)), rel=1e-4)
    assert np.allclose(found.logs, scores.log_softmax(1), atol=1e-4)


def test_a_trained_model_is_right_as_often_as_its_last_epoch_was(tmp_path):
    (tmp_path / "tiny.net").write_text(TINY, encoding="utf-8")
    run("train", tmp_path / "tiny.net", "--data", "digits", "--set", "train.epochs=2", "-o", tmp_path / "run")
    last = read_metrics(tmp_path / "run")[-1]  # the test samples of digits judge its epochs
    found = evaluate(tmp_path / "run" / "tiny.onnx", "digits")
    assert found.right == round(last["val_accuracy"] * len(found.targets)) > 100
    assert found.accuracy == pytest.approx(last["val_accuracy"], rel=1e-12)
    assert found.loss == pytest.approx(last["val_loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("end", "meaning", "loss"),
    [
        (None, LOGITS, functional.cross_entropy),
        ("LogSoftmax", Gives.LOG_PROBABILITIES.value, lambda s, t: functional.nll_loss(s.log_softmax(1), t)),
        ("Softmax", SOFTMAX, lambda s, t: functional.nll_loss(s.softmax(1).log(), t)),
        (
            "Sigmoid",
            SIGMOID,
            lambda s, t: functional.binary_cross_entropy(s.sigmoid(), functional.one_hot(t, s.shape[1]).to(s.dtype)),
        ),
    ],
)
def test_scores_are_recognised_and_get_the_loss_of_pytorch(tmp_path, end, meaning, loss):
    scores, targets = drawn(7)
    found = evaluate(echo(tmp_path / "m.onnx", 7, end), save_data(tmp_path / "d.npz", scores, targets))
    assert found.meaning == meaning
    assert found.loss == pytest.approx(float(loss(torch.from_numpy(scores).double(), torch.from_numpy(targets))), 1e-5)


def test_the_figures_of_classes_are_those_of_scikit_learn(tmp_path):
    scores, targets = drawn(6)
    scores[:, 5] = -9  # a class that nothing is taken for
    found = evaluate(echo(tmp_path / "m.onnx", 6), save_data(tmp_path / "d.npz", scores, targets))
    given = scores.argmax(1)
    precision, recall, f1, samples = metrics.precision_recall_fscore_support(targets, given, zero_division=np.nan)
    assert found.accuracy == metrics.accuracy_score(targets, given)
    for name, due in (("recall", recall), ("precision", precision), ("samples", samples)):
        ours = [getattr(figures, name) for figures in found.per_class]
        assert np.allclose([np.nan if value is None else value for value in ours], due, equal_nan=True)
    assert np.allclose([figures.f1 for figures in found.per_class][:5], f1[:5])
    assert np.array_equal(found.confusion, metrics.confusion_matrix(targets, given))
    for k in (1, 3, 5):
        assert found.top(k) == pytest.approx(metrics.top_k_accuracy_score(targets, scores, k=k))
    true, taken, count = found.confused[0]
    off = found.confusion - np.diag(np.diag(found.confusion))
    assert off[true, taken] == count == off.max()
    assert sum(count for *_, count in found.confused) == len(found.wrong) == len(targets) - found.right


def test_of_equal_scores_the_first_class_is_the_most_likely():
    found = netdsl.evaluation.ClassEvaluation("m", "d", "test", (), 1, 1, LOGITS, np.array([0, 1, 2]), np.zeros((3, 3)))
    assert [found.top(k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.accuracy == found.top(1)


@pytest.mark.parametrize(("end", "meaning"), [(None, Gives.YES_LOGITS.value), ("Sigmoid", SIGMOID)])
def test_several_labels_at_once_get_the_figures_of_pytorch_and_scikit_learn(tmp_path, end, meaning):
    random = np.random.default_rng(1)
    scores = random.standard_normal((100, 4)).astype(np.float32)
    targets = (scores + random.standard_normal((100, 4)) > 0).astype(np.int64)
    found = evaluate(echo(tmp_path / "m.onnx", 4, end), save_data(tmp_path / "d.npz", scores, targets))
    due = functional.binary_cross_entropy_with_logits(torch.from_numpy(scores), torch.from_numpy(targets).float())
    assert found.meaning == meaning
    assert found.loss == pytest.approx(float(due), rel=1e-5)
    assert found.exact == metrics.accuracy_score(targets, scores > 0)
    precision, recall, _, samples = metrics.precision_recall_fscore_support(targets, scores > 0)
    assert [f.samples for f in found.per_label] == samples.tolist()
    assert np.allclose([(f.precision, f.recall) for f in found.per_label], np.stack([precision, recall], 1))
    assert [f.accuracy for f in found.per_label] == ((scores > 0) == targets).mean(0).tolist()
    assert "all labels right" in str(found)


def test_classes_of_positions_are_counted_position_by_position(tmp_path):
    random = np.random.default_rng(2)
    scores, targets = random.standard_normal((9, 3, 5)).astype(np.float32), random.integers(0, 3, (9, 5))
    model = echo(tmp_path / "m.onnx", 3, shape=[3, 5])
    found = evaluate(model, save_data(tmp_path / "d.npz", scores, targets))
    assert found.accuracy == (scores.argmax(1) == targets).mean()
    assert "9 test samples of 5 positions" in str(found)
    due = functional.cross_entropy(torch.from_numpy(scores), torch.from_numpy(targets))
    assert found.loss == pytest.approx(float(due), rel=1e-5)


# ------------------------------------------------------------------------------------------------ averages


def test_of_several_models_the_probabilities_are_averaged(tmp_path):
    scores, targets = drawn(5)
    random = np.random.default_rng(3)
    other = random.standard_normal((5, 5)).astype(np.float32)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 5]) for name in ("x", "y")]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], [numpy_helper.from_array(other, "w")])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 14)]), tmp_path / "b.onnx")
    data = save_data(tmp_path / "d.npz", scores, targets)
    found = evaluate([echo(tmp_path / "a.onnx", 5), tmp_path / "b.onnx"], data)
    first, second = (torch.from_numpy(s).double().softmax(1) for s in (scores, scores @ other))
    assert np.allclose(np.exp(found.logs), (first + second) / 2)
    assert [m.accuracy for m in found.members] == [
        evaluate(tmp_path / name, data).accuracy for name in ("a.onnx", "b.onnx")
    ]
    assert "alone" in str(found)


def test_ten_views_are_the_corners_and_the_middle_and_the_same_mirrored():
    assert (larger(224), larger(28)) == (256, 32)
    pixels = np.arange(32 * 36).reshape(32, 36, 1)
    views = ten_crops(pixels, 28, 30)
    assert [int(view[0, 0, 0]) for view in views[:5]] == [0, 6, 4 * 36, 4 * 36 + 6, 2 * 36 + 3]
    assert all(view.shape == (28, 30, 1) for view in views)
    assert all(np.array_equal(view[:, ::-1], mirrored) for view, mirrored in zip(views[:5], views[5:], strict=True))


def test_ten_views_of_each_image_are_averaged(tmp_path):
    random = np.random.default_rng(4)
    images, targets = random.integers(0, 256, (6, 8, 8), np.uint8), np.arange(6) % 2
    data = save_data(tmp_path / "d.npz", images, targets)
    net = netdsl.loads("net n { input image: 1x7x7; flatten -> dense 2 }")
    net.to_onnx(tmp_path / "m.onnx")
    found = evaluate(tmp_path / "m.onnx", data, ten_crop=True)
    module = net.to_torch().eval()
    views = [torch.from_numpy(np.stack(v)) for v in zip(*(ten_crops(i[..., None], 7, 7) for i in images), strict=True)]
    with torch.no_grad():
        due = torch.stack([module(v.permute(0, 3, 1, 2) / 255).softmax(1) for v in views]).mean(0)
    assert np.allclose(np.exp(found.logs), due, atol=1e-5)
    assert found.views == 10
    assert not np.allclose(np.exp(evaluate(tmp_path / "m.onnx", data).logs), due, atol=1e-5)


# ------------------------------------------------------------------------------------------------ samples


def test_images_in_folders_are_scaled_and_prepared(tmp_path):
    random = np.random.default_rng(5)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "d" / split / label).mkdir(parents=True)
            for number in range(3):
                pixels = random.integers(0, 256, (20 + number, 30, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "d" / split / label / f"{number}.png")
    layers = 'conv 2 k3 -> global_avgpool -> flatten; labels ["cat", "dog"]'
    net = netdsl.loads(f"net n {{ input image: 3xHxW where H >= 3, W >= 3; {layers} }}")
    net.to_onnx(tmp_path / "m.onnx")
    preparation = Preparation(mean=(0.5,), sizes={"H": 16, "W": 16})
    found = evaluate(tmp_path / "m.onnx", tmp_path / "d", preparation=preparation, batch=4)
    assert (len(found.targets), found.labels) == (6, ("cat", "dog"))
    plain = evaluate(tmp_path / "m.onnx", tmp_path / "d", preparation=Preparation(sizes={"H": 16, "W": 16}))
    assert not np.allclose(found.logs, plain.logs)
    (tmp_path / "d" / "test" / "dog" / "x.png").write_text("no image")
    with pytest.raises(NetdslError) as error:
        evaluate(tmp_path / "m.onnx", tmp_path / "d", preparation=preparation)
    assert diagnostic(error).code == "E1005"
    (tmp_path / "d" / "test" / "dog" / "x.png").unlink()
    with pytest.raises(NetdslError) as error:
        evaluate(tmp_path / "m.onnx", tmp_path / "d")
    assert (diagnostic(error).code, diagnostic(error).help) == ("E1008", "set it: `--size H=224 --size W=224`")


def test_a_model_of_a_fixed_batch_gets_it_to_the_last_sample(tmp_path):
    scores, targets = drawn(3, samples=10)
    data = save_data(tmp_path / "d.npz", scores, targets)
    found = evaluate(echo(tmp_path / "m.onnx", 3, batch=4), data)
    assert np.array_equal(found.predicted, scores.argmax(1))
    with pytest.raises(NetdslError) as error:
        evaluate(tmp_path / "m.onnx", data, batch=5)
    assert "expected the model's fixed batch size 4, got 5" in diagnostic(error).message


def misfit(tmp_path, case):
    """A model and data that do not fit each other."""
    scores, targets = drawn(3, samples=10)
    images = np.zeros((10, 8, 8), np.uint8)
    model, data = echo(tmp_path / "m.onnx", 3), save_data(tmp_path / "d.npz", scores, targets)
    match case:
        case "more classes in the data":
            return model, save_data(data, scores, targets + 1)
        case "other names":
            labels = echo(model, 3, labels=("a", "b", "c"))
            return labels, save_data(data, scores, targets, names=np.array(["a", "x", "c"]))
        case "names of more classes":
            return model, save_data(data, scores, targets, names=np.array(["a", "b", "c", "d"]))
        case "images for numbers":
            return model, save_data(data, images, targets)
        case "images of two channels":
            return model, save_data(data, np.zeros((10, 8, 8, 2), np.uint8), targets)
        case "another shape":
            return model, save_data(data, scores[:, :2], targets)
        case "NaN":
            return echo(model, 3, "Log"), data
        case "targets of another shape":
            return model, save_data(data, scores, np.zeros((10, 7), int))
        case "whole numbers":
            return echo(model, 3, dtype=TensorProto.INT64), save_data(data, targets[:, None] + np.arange(3), targets)
    raise ValueError(case)


@pytest.mark.parametrize(
    ("case", "code", "told"),
    [
        ("more classes in the data", "E1007", "has 3 classes, but "),
        ("other names", "E1007", "class 1 is called `b` in "),
        ("names of more classes", "E1007", "has 3 classes, but "),
        ("images for numbers", "E1008", "the data are images"),
        ("images of two channels", "E1008", "the data are images"),
        ("another shape", "E1008", "expected samples for"),
        ("NaN", "E0916", "gives NaN or infinite scores for "),
        ("targets of another shape", "E1007", "a target of "),
        ("whole numbers", "E0916", "expected a float for each class"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, case, code, told):
    model, data = misfit(tmp_path, case)
    with pytest.raises(NetdslError) as error:
        evaluate(model, data)
    assert diagnostic(error).code == code
    assert told in diagnostic(error).message
    assert diagnostic(error).help


def test_models_of_other_classes_are_not_averaged(tmp_path):
    data = save_data(tmp_path / "d.npz", *drawn(3))
    first = echo(tmp_path / "a.onnx", 3, labels=("a", "b", "c"))
    for other in (echo(tmp_path / "b.onnx", 3, labels=("b", "a", "c")), echo(tmp_path / "c.onnx", 3, "Sigmoid")):
        with pytest.raises(NetdslError) as error:
            evaluate([first, other], data)
        assert diagnostic(error).code == "E1007"


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(NetdslError) as error:
        evaluate(echo(tmp_path / "m.onnx", 3), "digits", split="val")
    assert diagnostic(error).code == "E1001"
    assert "`--split test`" in diagnostic(error).help


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_prints_tables_and_json(tmp_path):
    scores, targets = drawn(6)
    model, data = echo(tmp_path / "m.onnx", 6), save_data(tmp_path / "d.npz", scores, targets)
    out, _ = run("test", model, "--data", data)
    assert f"({int((scores.argmax(1) == targets).sum())} of 200)" in out
    assert "top-5 accuracy" in out
    assert "true classes in rows" in out
    told = json.loads(run("test", model, model, "--data", data, "--format", "json", "--top", "2")[0])
    assert told["accuracy"] == (scores.argmax(1) == targets).mean()
    assert told["top_2_accuracy"] == pytest.approx(metrics.top_k_accuracy_score(targets, scores, k=2))
    assert len(told["members"]) == 2


def test_models_are_tested_without_pytorch(tmp_path):
    model, data = echo(tmp_path / "m.onnx", 3), save_data(tmp_path / "d.npz", *drawn(3))
    code = f"import sys, netdsl; netdsl.evaluate({str(model)!r}, {str(data)!r}); print('torch' in sys.modules)"
    assert python(code) == "False\n"


def test_of_many_classes_the_worst_and_the_most_confused_are_printed(tmp_path):
    scores, targets = drawn(30)
    out, _ = run("test", echo(tmp_path / "m.onnx", 30), "--data", save_data(tmp_path / "d.npz", scores, targets))
    assert "the 20 classes with the lowest recall, of 30" in out
    assert "the 10 most confused pairs, of " in out
    assert "true classes in rows" not in out
