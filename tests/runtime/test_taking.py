"""What goes into a model: pixels, numbers and tokens, in whatever form they come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from answers import model, pictures
from commands import run
from PIL import Image

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.evaluation import evaluate
from netdsl.ir.meaning import MEANING, Meaning, Numbers, Pixels, Tokens
from netdsl.runtime import Port
from netdsl.runtime.bench import Plan, random_feeds
from netdsl.runtime.preparation import Preparation
from netdsl.runtime.taking import as_batch, taken


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def diagnostic(error):
    return error.value.diagnostics[0]


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
