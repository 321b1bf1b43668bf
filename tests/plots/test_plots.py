"""Pictures show what they say, of any number of things, and land whole in files; a page needs nothing but itself."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import onnx
import pytest
import torch
from answers import TINY, drawn, echo, save_data
from commands import run
from onnx import TensorProto, helper
from PIL import Image

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.evaluation import ClassEvaluation, evaluate
from netdsl.pages.layers import first_filters, layers_of, read_graph
from netdsl.pages.looking import look
from netdsl.plots.activations import MAX_LAYERS_SHOWN, draw_activations
from netdsl.plots.confusion import draw_confusion
from netdsl.plots.curves import draw_curves, read_metrics
from netdsl.plots.drawing import as_png, mosaic, new_figure, save, words
from netdsl.plots.examples import draw_classes, draw_mistakes
from netdsl.plots.filters import draw_filters
from netdsl.runtime import Session
from netdsl.runtime.feeds import rank
from netdsl.runtime.preparation import Preparation

METRICS = """epoch,rate,train_loss,train_accuracy,val_loss,val_accuracy
1,0.1,2.0,0.25,1.5,0.5
2,0.1,1.0,0.75,,
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a model of eight by eight pixels, an image and figures of a run."""
    monkeypatch.chdir(tmp_path)
    netdsl.loads(TINY).to_onnx("tiny.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(pixels).save("image.png")
    Path("metrics.csv").write_text(METRICS, encoding="utf-8")
    return tmp_path


def evaluation(classes, samples=200, labels=()):
    scores, targets = drawn(classes, samples)
    logs = torch.from_numpy(scores).double().log_softmax(1).numpy()
    return ClassEvaluation("m.onnx", "data", "test", labels, 1, 1, "logits", targets, logs)


def rendered(figure):
    """A figure as pixels, after all of its text was laid out."""
    return np.asarray(Image.open(io.BytesIO(as_png(figure))).convert("RGB"))


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def code(error):
    return error.value.diagnostics[0].code


# ------------------------------------------------------------------------------------------------ what they show


def test_curves_show_the_figures_of_every_epoch(folder):
    figure = draw_curves(read_metrics(folder), "a run")
    loss, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[2, 1], [1.5]]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [[25, 75], [50]]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == ("epoch", "accuracy (%)")
    rendered(figure)


@pytest.mark.parametrize("classes", [1, 2, 20, 21, 100, 300])
def test_a_confusion_matrix_shows_the_parts_of_each_true_class(classes):
    found = evaluation(classes, labels=tuple(f"class ${number}" for number in range(classes)))
    figure = draw_confusion(found)
    axes = figure.axes[0]
    shown = axes.images[0].get_array()
    with np.errstate(invalid="ignore"):
        assert np.allclose(shown, np.nan_to_num(100 * found.confusion / found.confusion.sum(1, keepdims=True)))
    assert len(axes.texts) == (np.count_nonzero(found.confusion) if classes <= 20 else 0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    rendered(figure)


@pytest.mark.parametrize("count", [1, 6, 64, 300])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_filters_are_images_on_one_scale(count, channels):
    weights = np.random.default_rng(0).standard_normal((count, channels, 5, 5)).astype(np.float32)
    figure = draw_filters("conv1.weight", weights)
    shown = figure.axes[0].images[0].get_array()
    tiles = min(count, 256 // (channels if channels != 3 else 1))
    first = weights[:tiles]
    corner = first[0, :, 0, 0] if channels == 3 else first[0, 0, 0, 0]
    assert np.allclose(shown[0, 0], (corner - first.min()) / (first.max() - first.min()))
    assert ("the first" in texts(figure)) == (tiles < count)
    assert f"{count} filters of {channels}x5x5" in texts(figure)
    rendered(figure)


def test_tiles_stand_in_rows_with_gaps():
    whole = mosaic(np.arange(3, dtype=np.float32).reshape(3, 1, 1) * np.ones((3, 20, 20), np.float32), 2)
    assert whole.shape == (42, 42)
    assert (whole[0, 0], whole[0, 41], whole[41, 0]) == (0, 1, 2)
    assert np.isnan(whole[20:22]).all()
    assert np.isnan(whole[22:, 20:]).all()


def test_classes_are_bars_beside_the_image():
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    figure = draw_classes(picture, rank(np.array([3.0, 1.0, 2.0]), ("a", "b", "c"), 2), "an image")
    left, right = figure.axes
    assert np.array_equal(left.images[0].get_array(), picture)
    assert [bar.get_width() for bar in right.patches] == pytest.approx([66.524, 24.473], abs=1e-3)
    assert [label.get_text() for label in right.get_yticklabels()] == ["a", "c"]
    rendered(figure)


def test_mistakes_are_shown_with_what_they_are_and_what_they_were_taken_for():
    found = evaluation(5, labels=("a", "b", "c", "d", "$e"))
    number = int(found.wrong[0])
    figure = draw_mistakes(found, [np.full((4, 4, 1), 9, np.uint8)] * 11)
    title = figure.axes[0].get_title()
    given = found.predicted[number]
    assert title.startswith(f"{words(found.name(found.targets[number]))}\n→ {words(found.name(given))}")
    assert found.targets[number] != given
    assert f"the most confident 11 of {len(found.wrong)} mistakes in 200 test samples" in texts(figure)
    assert len([axes for axes in figure.axes if axes.images]) == 11
    rendered(figure)


@pytest.mark.parametrize("text", ["$x$", r"$\oops$", "a\nb", "\x1b[31m", "x" * 100, "\u4e2d\u6587"])
def test_any_name_is_text(text):
    figure = new_figure(3, 1, words(text))
    rendered(figure)
    assert len(words(text)) < 30


# ------------------------------------------------------------------------------------------------ inside a model


def test_every_layer_gives_what_pytorch_gives():
    network = netdsl.loads(TINY)
    network.to_onnx("plain.onnx", level=0)
    module, due = network.to_torch().eval(), {}
    for name, layer in module.named_modules():
        layer.register_forward_hook(lambda _, __, result, name=name: due.update({name: result}))
    seen = look(Session("plain.onnx"), "image.png", Preparation())
    with torch.no_grad():
        module(torch.from_numpy(seen.picture.transpose(2, 0, 1)[None]) / 255)
    assert [step.layer.name for step in seen.steps] == ["conv1", "bn1", "relu1", "maxpool1", "flatten1", "dense1"]
    for step in seen.steps:
        assert np.allclose(step.values, due[step.layer.name][0], atol=1e-5), step.layer.name
    assert np.array_equal(seen.picture[..., 0], np.asarray(Image.open("image.png")))
    assert [step.layer.weights for step in seen.steps] == [80, 32, 0, 0, 0, 1290]
    figure = draw_activations(seen.steps, "tiny")
    assert "conv1" in texts(figure)
    assert "conv 8x8x8" in texts(figure)
    rendered(figure)


def test_a_picture_is_what_its_preparation_was_made_of():
    preparation = Preparation(mean=(0.4,), std=(0.2,))
    seen = look(Session("tiny.onnx"), "image.png", preparation)
    assert np.array_equal(seen.picture[..., 0], np.asarray(Image.open("image.png")))


def test_of_many_layers_some_are_shown_from_the_first_to_the_last():
    text = f"net deep {{ input image: 1x8x8; repeat {MAX_LAYERS_SHOWN + 5} {{ conv 2 k3 p1 }} -> flatten -> dense 3 }}"
    netdsl.loads(text).to_onnx("deep.onnx")
    steps = look(Session("deep.onnx"), "image.png", Preparation()).steps
    shown = texts(draw_activations(steps, "deep"))
    assert f"{MAX_LAYERS_SHOWN} of {len(steps)} layers" in shown
    assert "conv1 " in shown
    assert "dense1" in shown


@pytest.mark.parametrize("shape", [(7,), (3, 4, 4), (1, 9, 9), (5, 6), (1, 2, 90), (2, 3, 4, 5), (4, 1, 1)])
def test_results_of_any_shape_are_drawn(shape):
    steps = look(Session("tiny.onnx"), "image.png", Preparation()).steps
    values = np.random.default_rng(0).standard_normal(shape)
    strange = [values, np.full(shape, np.nan), np.full(shape, np.inf)]
    figure = draw_activations([type(steps[0])(steps[0].layer, array) for array in strange], "any")
    first, *others = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert np.isin(np.float32(values.ravel()[:4]), np.float32(np.ma.compressed(first))).all()
    assert [np.isfinite(np.ma.compressed(other)).any() for other in others] == [False, False]
    assert texts(figure).count("no finite value") == 2
    rendered(figure)


def test_filters_of_a_dense_layer_have_the_shape_of_the_image():
    net = netdsl.loads("net n { input image: 1x8x8; flatten -> dense 5 }")
    net.to_onnx("mlp.onnx")
    name, weights = first_filters(Session("mlp.onnx"))
    due = net.to_torch().state_dict()["dense1.weight"]
    assert name == "dense1.weight"
    assert np.array_equal(weights, due.reshape(5, 1, 8, 8))


def test_models_of_others_are_seen_node_by_node():
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten())
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 8, 8]),
             helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 72])]  # fmt: skip
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("Flatten", ["r"], ["y"])]  # fmt: skip
    tensors = [
        onnx.numpy_helper.from_array(p.detach().numpy(), n) for n, p in zip("wb", module.parameters(), strict=True)
    ]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 14)]), "other.onnx")
    session = Session("other.onnx")
    assert [(layer.name, layer.kind, layer.weights) for layer in layers_of(read_graph(session))] == [
        ("c", "Conv", 20), ("r", "Relu", 0), ("y", "Flatten", 0)]  # fmt: skip
    steps = look(session, "image.png", Preparation()).steps
    with torch.no_grad():
        due = module(torch.from_numpy(np.asarray(Image.open("image.png"))[None, None] / np.float32(255)))
    assert np.allclose(steps[-1].values, due[0], atol=1e-5)


# ------------------------------------------------------------------------------------------------ files and commands


COMMANDS = {
    "curves": ["metrics.csv"],
    "confusion": ["tiny.onnx", "--data", "digits"],
    "errors": ["tiny.onnx", "--data", "digits"],
    "filters": ["tiny.onnx"],
    "activations": ["tiny.onnx", "image.png"],
    "classes": ["tiny.onnx", "image.png"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_picture_has_a_command(folder, command):
    assert run("plot", command, *COMMANDS[command])[0] == f"{command}.png\n"
    with Image.open(f"{command}.png") as image:
        assert image.format == "PNG"
        assert image.width >= 900
    run("plot", command, *COMMANDS[command], "-o", "x.SVG")
    assert ET.parse("x.SVG").getroot().tag.endswith("svg")  # noqa: S314 - we wrote it
    assert not list(folder.glob(".netdsl-*"))


def test_the_help_has_a_whole_line_for_every_picture():
    text = run("plot", "--help")[0].partition("Commands:")[2]
    assert all(f"  {command} " in text for command in COMMANDS)
    assert "..." not in text


def test_no_picture_changes_what_others_draw(folder):
    before = mpl.rcParams.copy()  # reading the entry `backend` would choose one
    save(draw_curves(read_metrics(folder), "a run"), folder / "a.svg")
    assert dict.items(mpl.rcParams) == dict.items(before)
    for path in (Path(netdsl.__file__).parent).rglob("*.py"):
        assert "pyplot" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("args", "status", "told"),
    [
        (["plot", "filters", "tiny.onnx", "-o", "x.jpg"], 2, "must end in .png or .svg"),
        (["plot", "filters", "tiny.onnx", "-o", "nowhere/x.png"], 1, "E0902"),
        (["plot", "filters", "metrics.csv"], 1, "E0905"),
        (["plot", "filters", "numbers.onnx"], 1, "E0917"),
        (["plot", "curves", "nowhere"], 1, "E0901"),
        (["plot", "curves", "tiny.onnx"], 1, "E1002"),
        (["plot", "curves", "wrong.csv"], 1, "E1002"),
        (["plot", "activations", "tiny.onnx", "metrics.csv"], 1, "E0906"),
        (["plot", "activations", "tiny.onnx", "two.npy"], 1, "got 2"),
        (["plot", "activations", "numbers.onnx", "image.png"], 1, "E0906"),
        (["plot", "classes", "numbers.onnx", "one.npy"], 1, "E0917"),
        (["plot", "errors", "numbers.onnx", "--data", "numbers.npz"], 1, "E0917"),
        (["plot", "confusion", "numbers.onnx", "--data", "several.npz"], 1, "E0917"),
        (["inspect", "tiny.onnx", "nowhere.png"], 1, "E0901"),
        (["inspect", "nowhere.onnx", "image.png"], 1, "E0901"),
    ],
)
def test_what_cannot_be_drawn_is_told(folder, args, status, told):
    echo("numbers.onnx", 3)
    np.save("two.npy", np.zeros((2, 1, 8, 8), np.float32))
    np.save("one.npy", np.zeros((1, 3), np.float32))
    scores, targets = drawn(3)
    save_data("numbers.npz", scores, targets)
    save_data("several.npz", scores, targets[:, None] == np.arange(3))
    Path("wrong.csv").write_text("epoch,train_loss\n1,x\n", encoding="utf-8")
    _, err = run(*args, code=status)
    assert told in err
    assert not list(folder.glob("*.png"))[1:]


def test_where_all_is_right_no_mistake_is_drawn():
    images = np.zeros((2, 1, 2), np.uint8)
    images[1, 0] = 0, 255
    images[0, 0] = 255, 0
    echo("m.onnx", 2, "Flatten", shape=[1, 1, 2])
    model = onnx.load("m.onnx")
    model.graph.output[0].type.tensor_type.shape.ClearField("dim")
    for size in ("N", 2):
        dim = model.graph.output[0].type.tensor_type.shape.dim.add()
        dim.dim_param, dim.dim_value = (size, 0) if isinstance(size, str) else ("", size)
    onnx.save(model, "m.onnx")
    save_data("d.npz", images, np.array([0, 1]))
    assert evaluate("m.onnx", "d.npz").accuracy == 1
    _, err = run("plot", "errors", "m.onnx", "--data", "d.npz", code=1)
    assert "there is no mistake in 2 test samples" in err


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    _, err = run("plot", "curves", "metrics.csv", code=1)
    assert "error[E0907]: drawing needs matplotlib" in err
    assert "pip install 'netdsl[train]'" in err


# ------------------------------------------------------------------------------------------------ the page


class Page(HTMLParser):
    """Every element is closed in order; what is embedded is kept."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.heads, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        assert tag not in ("script", "link", "iframe", "object")
        if tag == "img":
            assert given["alt"]
            self.images.append(base64.b64decode(given["src"].removeprefix("data:image/png;base64,"), validate=True))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "h2":
            self.heads.append(data)


def test_a_page_has_everything_in_itself():
    run("inspect", "tiny.onnx", "image.png", "--data", "digits")
    text = Path("tiny.html").read_text(encoding="utf-8")
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.heads == ["The model", "One sample", "Training", "First filters", "Activations", "Test", "Layers"]
    assert len(page.images) == 6
    for data in page.images:
        Image.open(io.BytesIO(data)).verify()
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import", text)
    assert "maxpool1" in page.text
    assert "1,370" in page.text


def test_a_page_leaves_out_what_there_is_not():
    Path("metrics.csv").unlink()
    echo("numbers.onnx", 3)
    np.save("one.npy", np.zeros((1, 3), np.float32))
    run("inspect", "numbers.onnx", "one.npy", "-o", "page.html")
    assert Page(Path("page.html").read_text(encoding="utf-8")).heads == [
        "The model", "One sample", "Activations", "Layers"]  # fmt: skip


def test_names_on_a_page_are_text():
    evil = "<script>alert(1)</script>"
    labels = ", ".join(f'"{evil}{number}"' for number in range(10))
    netdsl.loads(TINY.replace("dense classes", f"dense classes; labels [{labels}]")).to_onnx("evil.onnx")
    Image.open("image.png").save("<b>&.png")
    run("inspect", "evil.onnx", "<b>&.png", "-o", "page.html")
    page = Page(Path("page.html").read_text(encoding="utf-8"))
    assert evil in page.text
    assert "<b>&.png" not in Path("page.html").read_text(encoding="utf-8")


def test_a_look_at_several_samples_is_refused():
    np.save("two.npy", np.zeros((2, 1, 8, 8), np.float32))
    with pytest.raises(NetdslError) as error:
        look(Session("tiny.onnx"), "two.npy", Preparation())
    assert code(error) == "E0906"
