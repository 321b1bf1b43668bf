"""What is looked at before the first epoch: weights, batches, what is left to train, what a resumed run began with."""

from __future__ import annotations

from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import python, run
from safetensors.torch import save_file
from small_runs import changed, description, files, numbers, rows, same, weights
from torch.nn import functional

import netdsl
from netdsl.backends.torch.lower import lower
from netdsl.recipe.settings import Settings
from netdsl.training.overrides import override
from netdsl.training.run import initializer, train
from netdsl.training.samples.batches import counted, shuffled
from netdsl.training.samples.opening import open_data

NORMED = """net normed {
    input x: 6
    dense 8 bias=no -> bn -> relu -> dense 4
    train { optimizer sgd lr=0.1; batch 13; epochs 2 }
}"""
TWO = """net two {
    input x: 6
    dense 4 -> output first
    dense 3 -> output second
}"""
MAPS = """net maps {
    input image: 1xHxH where H >= 3
    conv 8 k3 bias=no -> bn -> relu -> global_avgpool -> flatten -> dense 4
    train { optimizer sgd lr=0.1; batch 13; epochs 1 }
}"""
pytestmark = pytest.mark.usefixtures("parts")


# Weights


def test_a_run_does_not_begin_with_weights_that_are_not_finite():
    numbers("a", "--set", "train.epochs=1")
    broken = weights("a")
    for value in (np.nan, np.inf, -np.inf):
        broken["dense2.bias"][1] = value
        save_file(broken, "broken.safetensors")
        told = numbers("b", "--from", "broken.safetensors", code=1)[1]
        assert "error[E1105]: the initial weights: `dense2.bias` is not finite" in told
        assert not Path("b").exists()


def test_a_run_does_not_go_on_with_weights_that_are_not_finite():
    numbers("a", "--set", "train.epochs=1")
    checkpoint = torch.load("a/last.ckpt", weights_only=True)
    checkpoint["state_dict"]["net.dense1.weight"][2, 3] = np.nan
    torch.save(checkpoint, "a/last.ckpt")
    before = {path.name: path.read_bytes() for path in Path("a").iterdir()}
    told = numbers("a", "--resume", "--set", "train.epochs=2", code=1)[1]
    assert "error[E1105]: `a/last.ckpt`: `dense1.weight` is not finite" in told
    assert {path.name: path.read_bytes() for path in Path("a").iterdir()} == before


# What is left to train


@pytest.mark.parametrize("words", [["*"], ["dense1.*", "dense?.*"], ["dense1.weight", "*.bias", "dense2.weight"]])
def test_something_is_left_to_train(words):
    told = numbers("a", *(word for pattern in words for word in ("--freeze", pattern)), code=1)[1]
    assert "error[E1106]: nothing is left to train" in told
    assert not Path("a").exists()


def test_a_net_that_has_nothing_to_learn_is_refused(parts):
    Path("numbers.net").write_text("net numbers { input x: 6\n tanh -> relu }")
    six = changed(parts, "six.npz", y_train=np.arange(66) % 6)
    assert "error[E1106]: the net has no parameters" in numbers("a", data=six, code=1)[1]
    assert not Path("a").exists()
    Path("numbers.net").write_text(TWO)
    assert (
        "error[E1106]: the loss does not depend on any trained parameter"
        in numbers("a", "--freeze", "dense1.*", code=1)[1]
    )
    assert not Path("a", "numbers.onnx").exists()


# Batches


@pytest.mark.parametrize(("batch", "kept"), [(13, 65), (65, 65), (11, 66), (64, 66)])
def test_a_last_batch_of_one_sample_is_left_out_with_a_word(batch, kept):
    Path("numbers.net").write_text(NORMED)
    _, told = numbers("a", "--set", f"train.batch={batch}")
    assert ("warning[W0119]: 1 of 66 training samples" in told) == (kept == 65)
    assert weights("a")["bn1.num_batches_tracked"] == 2 * -(-kept // batch)
    assert torch.load("a/last.ckpt", weights_only=True)["history"][0]["train_accuracy"] * kept % 1 == pytest.approx(0)


def test_what_the_warning_proposes_takes_all_samples():
    Path("numbers.net").write_text(NORMED)
    told = numbers("a", "--set", "train.batch=65")[1]
    (proposed,) = [word for word in told.split("`") if "train.batch" in word]
    assert "W0119" not in numbers("b", *proposed.split())[1]
    assert "W0119" not in numbers("c", "--allow", "W0119", "--set", "train.batch=65")[1]


def test_batches_of_one_sample_are_refused_only_where_statistics_are_taken(parts):
    assert "E1108" not in numbers("a", "--set", "train.batch=1", "--set", "train.epochs=1")[1]
    Path("numbers.net").write_text(NORMED)
    assert "error[E1108]" in numbers("b", "--set", "train.batch=1", code=1)[1]
    assert not Path("b").exists()
    numbers("b", "--set", "train.batch=1", "--freeze", "bn1.*")  # which takes those that it has
    images = {f"x_{split}": np.zeros((len(parts[f"y_{split}"]), 1, size, size), np.float32) for split, size in
              (("train", 4), ("val", 4), ("test", 4))}  # fmt: skip
    Path("numbers.net").write_text(MAPS)
    assert "W0119" not in numbers("c", data=changed(parts, "maps.npz", **images))[1]
    images = {name: values[..., :3, :3] for name, values in images.items()}
    assert "W0119" in numbers("d", data=changed(parts, "small.npz", **images))[1]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 31])
def test_processes_count_each_sample_once(count, world):
    ranks = [[*counted(count, 2, rank, world)] for rank in range(world)]
    assert sum(own for rank in ranks for own, _ in rank) == count
    for group in zip(*ranks, strict=True):
        size = sum(own for own, _ in group)
        assert [weight / world for _, weight in group] == pytest.approx([own / size for own, _ in group])


@pytest.mark.parametrize(("accumulate", "windows"), [(2, [2, 2, 1]), (3, [3, 2]), (4, [4, 1]), (5, [5]), (9, [5])])
def test_each_window_is_divided_by_its_own_batches(accumulate, windows, tmp_path):
    graph = netdsl.load("numbers.net").graph
    settings = Settings.of(override(graph, {"accumulate": accumulate, "epochs": 2}))
    data = open_data("points.npz", graph, settings)
    train(graph, settings, data, tmp_path / "a", export="last")
    net = lower(graph, initializer(settings))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    for epoch in range(2):
        batches = iter(torch.split(shuffled(66, settings.seed, epoch), 16))
        for window in windows:
            for chosen in (next(batches) for _ in range(window)):
                loss = functional.cross_entropy(net(data.train.inputs[chosen]), data.train.targets[chosen])
                (loss / window).backward()
            optimizer.step()
            optimizer.zero_grad()
        assert next(batches, None) is None
    for key, value in net.state_dict().items():
        torch.testing.assert_close(weights("a")[key], value, rtol=1e-6, atol=1e-7)


# What a resumed run began with


def test_a_run_describes_itself_in_json():
    numbers("a", "--set", "train.optimizer=adam beta1=0.8", "--freeze", "dense1.*", "--precision", "bf16-mixed")
    found = description("a")
    assert found["recipe"]["optimizer"] == {
        "adam": {"lr": 0.001, "beta1": 0.8, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    }
    assert found["recipe"]["batch"] == 16
    assert found["recipe"]["clip"] is None
    assert found["frozen"] == ["dense1.bias", "dense1.weight"]
    assert (found["precision"], found["training"]["samples"], found["validation"]["samples"]) == ("bf16-mixed", 66, 33)


def test_a_run_is_resumed_by_what_it_began_with(parts):
    numbers("a", "--set", "train.epochs=1")
    before = {path.name: path.read_bytes() for path in Path("a").iterdir()}
    for words, differs in (
        (["--freeze", "dense1.*"], "what is frozen"),
        (["--precision", "bf16-mixed"], "the precision"),
        (["--precision", "64-true", "--freeze", "dense2.bias"], "what is frozen, the precision"),
        (["--processes", "2"], "the number of processes"),
        (["--set", "width=8"], "the net"),
        (["--set", "train.batch=8"], "batch"),
        (["--set", "train.optimizer=adam"], "optimizer"),
        (["--set", "train.seed=3", "--set", "train.clip=1"], "clip, seed"),
        (["--val", "0.5"], "the training data, the validation data"),
    ):
        assert f"error[E1102]: the run in `a` differs in {differs}\n" in numbers("a", "--resume", *words, code=1)[1]
    for name in ("x_train", "y_train", "x_val", "y_val"):
        other = changed(parts, "other.npz", **{name: parts[name][::-1]})
        told = numbers("a", "--resume", data=other, code=1)[1]
        assert f"differs in the {'training' if 'train' in name else 'validation'} data\n" in told
    assert {path.name: path.read_bytes() for path in Path("a").iterdir()} == before
    numbers("a", "--resume", data=changed(parts, "same.npz", x_test=parts["x_test"][::-1]))  # which no run looks at
    numbers("b")
    assert same(weights("a"), weights("b"))
    assert rows("a") == rows("b")


def test_a_run_on_tokens_is_not_resumed_on_others():
    Path("words.net").write_text("net words { input x: 5 int64\n embedding 9 4 -> flatten -> dense 3\n"
                                 "train { optimizer adam; batch 4; epochs 1 } }")  # fmt: skip
    generator = np.random.default_rng(0)
    tokens, classes = generator.integers(0, 9, (30, 5)), generator.integers(0, 3, 30)
    np.savez("a.npz", x=tokens, y=classes, names=["a", "b", "c"])
    np.savez("b.npz", x=(tokens + 1) % 9, y=classes, names=["a", "b", "c"])
    run("train", "words.net", "--data", "a.npz", "-o", "a")
    told = run("train", "words.net", "--data", "b.npz", "-o", "a", "--resume", "--set", "train.epochs=2", code=1)[1]
    assert "differs in the training data, the validation data\n" in told


def test_images_on_disk_are_told_apart_by_names_sizes_and_times(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        Path("images", name).mkdir(parents=True)
        for index in range(5):
            Image.new("L", (8, 8), 50 * index).save(f"images/{name}/{index}.png")
    graph = netdsl.loads("net n { input x: 1x8x8\n flatten -> dense 2\n train { batch 2 } }").graph
    settings = Settings.of(graph.recipe)

    def found():
        return open_data(tmp_path / "images", graph, settings, most_bytes=0).origin["training"]

    first = found()
    assert first == found()
    Path("images").rename("moved")
    Path("moved").rename("images")
    assert first == found()
    for index in range(5):  # whichever of them is trained on
        Image.new("L", (8, 8), 7).save(f"images/a/{index}.png")
    assert first != (second := found())
    for index in range(5):
        Path(f"images/a/{index}.png").touch()
    assert second != found()


def test_weights_to_begin_with_need_not_be_given_again_but_must_be_the_same():
    numbers("first", "--set", "train.epochs=1")
    numbers("second", "--set", "train.epochs=1", "--set", "train.seed=5")
    begun = ["--from", "first/weights.safetensors"]
    numbers("a", "--set", "train.epochs=1", *begun)
    told = numbers("a", "--resume", "--from", "second/weights.safetensors", code=1)[1]
    assert "differs in the initial weights" in told
    numbers("a", "--resume", "--set", "train.epochs=2", *begun)
    numbers("a", "--resume")
    numbers("b", *begun)
    assert same(weights("a"), weights("b"))


def test_a_folder_that_cannot_be_written_is_a_clear_error(monkeypatch):
    Path("a").write_text("mine")
    assert "error[E0902]: cannot write `a`" in numbers("a", code=1)[1]
    assert Path("a").read_text() == "mine"

    def full(*_):
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("netdsl.training.claim.os.getpid", full)
    assert "error[E0903]" in numbers("b", code=1)[1]
    assert not Path("b").exists()


def test_a_description_of_another_form_is_a_clear_error():
    numbers("a", "--set", "train.epochs=1")
    for content in (
        '{"net": "numbers", "graph": "0", "recipe": {"loss": "CrossEntropy(label_smoothing=0.0)"}}',
        '{"format": 99, "net": "numbers", "graph": "0", "recipe": {}}',
        '{"format": 2, "recipe": {}}', '{"format": 2, "recipe": {"optimizer": {"sgd": 0.5}}}',
        "[" * 100_000, "\xff", '{"format": 2, "recipe": 3}', "null", "",
    ):  # fmt: skip
        Path("a/run.json").write_bytes(content.encode("latin-1"))
        assert "error[E1102]" in (told := numbers("a", "--resume", code=1)[1])
        assert len(told.splitlines()) < 20


def test_a_checkpoint_of_another_form_is_a_clear_error():
    numbers("a", "--set", "train.epochs=1")
    for content in ({"a": 1}, [1], {"state_dict": {}, "history": []}):
        torch.save(content, "a/last.ckpt")
        assert "error[E1102]: `a/last.ckpt` is not a whole checkpoint" in numbers("a", "--resume", code=1)[1]


@pytest.mark.parametrize("damage", [
    "an epoch", "a loss", "another column", "a name", "a size", "a type", "no optimizer",
])  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_without_lightning(damage, monkeypatch):
    numbers("a")
    checkpoint = torch.load("a/last.ckpt", weights_only=True)
    state, history = checkpoint["state_dict"], checkpoint["history"]
    bias = state["net.dense2.bias"]
    match damage:
        case "an epoch":
            history[1]["epoch"] = 3
        case "a loss":
            history[0]["val_loss"] = "0.5"
        case "another column":
            history[0]["x"] = 0.5
        case "a name":
            state["net.dense3.bias"] = state.pop("net.dense2.bias")
        case "a size":
            state["net.dense2.bias"] = bias[:3]
        case "a type":
            state["net.dense2.bias"] = bias.int()
        case "no optimizer":
            del checkpoint["optimizer_states"]
    torch.save(checkpoint, "a/last.ckpt")
    monkeypatch.setattr("netdsl.training.run._fit", lambda *_, **__: pytest.fail("Lightning was asked"))
    kept = files("a")
    assert "error[E1102]: `a/last.ckpt` is not " in numbers("a", "--resume", "--set", "train.epochs=9", code=1)[1]
    assert files("a") == kept


def test_weights_that_share_memory_in_a_checkpoint_are_written_apart():
    numbers("a", "--set", "train.epochs=1")
    checkpoint = torch.load("a/last.ckpt", weights_only=True)
    state = checkpoint["state_dict"]
    state["net.dense1.bias"] = torch.arange(16.0)
    state["net.dense2.bias"] = state["net.dense1.bias"][:4]
    torch.save(checkpoint, "a/last.ckpt")
    numbers("a", "--resume", "--set", "train.epochs=1")
    assert weights("a")["dense1.bias"].tolist() == [*range(16)]
    assert weights("a")["dense2.bias"].tolist() == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("form", ["sparse", "meta", "quantized"])
def test_weights_of_another_form_are_a_clear_error(form):
    numbers("a", "--set", "train.epochs=1")
    checkpoint = torch.load("a/last.ckpt", weights_only=True)
    state, key = checkpoint["state_dict"], "net.dense2.weight"
    match form:
        case "sparse":
            state[key] = state[key].to_sparse()
        case "meta":
            state[key] = state[key].to("meta")
        case "quantized":
            state[key] = torch.quantize_per_tensor(state[key], 0.1, 3, torch.quint8)
    torch.save(checkpoint, "a/last.ckpt")
    assert "error[E1102]: `a/last.ckpt` is not " in numbers("a", "--resume", "--set", "train.epochs=1", code=1)[1]


@pytest.mark.parametrize("export", ["best", "last"])
def test_a_run_that_is_complete_is_resumed_without_lightning(export):
    numbers("a", "--set", "train.epochs=6", "--set", "train.lr=2", "--export", export)
    trained, written = weights("a"), files("a")
    for name in ("metrics.csv", "weights.safetensors", "numbers.onnx"):  # as if it had been killed at its end
        Path("a", name).unlink()
    printed = python(
        f"""
import sys
from netdsl.cli import main
words = ["--resume", "--export", {export!r}, "--set", "train.epochs=6", "--set", "train.lr=2"]
main(["train", "numbers.net", "--data", "points.npz", "-o", "a", *words], standalone_mode=False)
print("pytorch_lightning" in sys.modules, "torch._dynamo" in sys.modules)
"""
    )
    assert printed.endswith("False False\n")
    assert "epoch 6/6" not in printed
    assert files("a") == written
    assert same(weights("a"), trained)


@pytest.mark.parametrize("damage", ["a key", "a value that is no number", "an epoch too many", "a part of an epoch"])
def test_a_checkpoint_that_lies_about_how_far_it_came_is_refused(damage):
    numbers("a")
    checkpoint = torch.load("a/last.ckpt", weights_only=True)
    progress = checkpoint["loops"]["fit_loop"]
    now, batches = progress["epoch_progress"]["current"], progress["epoch_loop.batch_progress"]
    match damage:
        case "a key":
            batches["current"]["x"] = batches["current"].pop("processed")
        case "a value that is no number":
            batches["total"]["ready"] = "3"
        case "an epoch too many":
            now["processed"] += 1
        case "a part of an epoch":
            batches["is_last_batch"] = False
    torch.save(checkpoint, "a/last.ckpt")
    reported = numbers("a", "--resume", "--set", "train.epochs=9", code=1)[1]
    assert "error[E1102]: `a/last.ckpt` is not the checkpoint of this run: the state of its loop" in reported
