"""Whole training runs: what they write, what they go on from, and that nothing but the recipe makes their result."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ENVIRONMENT, run
from forked import printed_by
from forked import start as start_process
from safetensors.torch import load_file
from torch.nn import functional

import netdsl
from netdsl.backends.torch.lower import lower
from netdsl.recipe import words as recipe
from netdsl.recipe.settings import Settings
from netdsl.training.overrides import override
from netdsl.training.run import initializer, train
from netdsl.training.samples.batches import shuffled
from netdsl.training.samples.opening import open_data
from netdsl.weights.loading import weights_from

SMALL = """net small(classes = 4) {
    input image: 1x8x8
    features: [ conv 4 k3 p1 -> bn -> relu -> maxpool k2 ]
    flatten -> dropout 0.3 -> head: dense classes
    train { optimizer sgd lr=0.1 momentum=0.9; schedule cosine; augment shift 0.1, rotate 10; batch 20; epochs 12 }
}"""
TABLE = """net numbers {
    input x: 6
    dense 16 -> tanh -> dense 4
    train { optimizer sgd lr=0.2 momentum=0.9; batch 32; epochs 50; init xavier }
}"""
NAMES = ["one", "two", "three", "four"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, one_thread):  # noqa: ARG001 - a fixture
    """A folder with nets and data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.net").write_text(SMALL)
    (tmp_path / "numbers.net").write_text(TABLE)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 300)
    images = generator.integers(0, 150, (300, 8, 8), np.uint8)
    images[np.arange(300), 2 * labels] += 100  # a bright row for each class
    np.savez("images.npz", x_train=images[:200], y_train=labels[:200], x_val=images[200:250], y_val=labels[200:250],
             x_test=images[250:], y_test=labels[250:], names=NAMES)  # fmt: skip
    points = generator.standard_normal((96, 6)).astype(np.float32)
    classes = (points @ generator.standard_normal((6, 4))).argmax(1)
    np.savez("points.npz", x_train=points[:32], y_train=classes[:32], x_val=points[32:], y_val=classes[32:])
    return tmp_path


def small(output, *more, code=0):
    return run("train", "small.net", "--data", "images.npz", "-o", output, *more, code=code)


def weights(output):
    return load_file(f"{output}/weights.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def rows(output):
    with Path(output, "metrics.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def raw_images(spec, graph):
    """The samples that runs are judged by, as a model takes them: from 0 to 1."""
    return next(iter(open_data(spec, graph).val.batches(1000)))


# What a run writes


def test_a_run_leaves_checkpoints_figures_weights_and_a_model():
    told, _ = small("a", "--set", "train.epochs=3", "--tensorboard")
    assert {path.name for path in Path("a").iterdir()} == {
        "run.json", "metrics.csv", "curves.png", "last.ckpt", "best.ckpt", "weights.safetensors", "small.onnx",
        "tensorboard",
    }  # fmt: skip
    assert [row["epoch"] for row in rows("a")] == [1, 2, 3]
    assert told.count("  held out ") == 3
    assert netdsl.Session("a/small.onnx").labels == tuple(NAMES)
    assert list(Path("a/tensorboard").glob("events*"))


@pytest.mark.parametrize(("text", "data"), [("small.net", "images.npz"), ("digits.net", "digits")])
def test_the_model_takes_raw_images_and_answers_as_pytorch_image_by_image(text, data):
    Path("digits.net").write_text(SMALL.replace("classes = 4", "classes = 10"))
    run("train", text, "--data", data, "-o", "a", "--set", "train.epochs=4")
    graph = netdsl.load(text).graph
    images, _ = raw_images(data, graph)
    given = open_data(data, graph)
    net = lower(graph, weights_from("a/weights.safetensors", graph)).eval()  # the net as written, without the standard
    with torch.no_grad():
        expected = net((images - torch.tensor(given.mean)) / torch.tensor(given.std))
    session = netdsl.Session("a/small.onnx")
    answers = np.concatenate([session.run({"image": image[None].numpy()})["output"] for image in images])
    assert np.array_equal(answers.argmax(1), expected.argmax(1).numpy())
    np.testing.assert_allclose(answers, expected.numpy(), rtol=1e-4, atol=1e-4)
    accuracy = (answers.argmax(1) == raw_images(data, graph)[1].numpy()).mean()
    assert accuracy == pytest.approx(rows("a")[-1]["val_accuracy"], abs=1e-6)
    assert accuracy > 0.5


def test_python_trains_as_the_command_does():
    small("a", "--set", "train.epochs=2")
    found = netdsl.load("small.net").train("images.npz", "b", changes={"epochs": 2})
    assert same(weights("a"), weights("b"))
    assert [row["val_loss"] for row in found.history] == [row["val_loss"] for row in rows("a")]


# What the recipe says, and what the command changes


@pytest.mark.parametrize(("change", "name", "expected"), [
    ("train.lr=0.5", "optimizer", recipe.Sgd(lr=0.5, momentum=0.9)),
    ("train.momentum=0", "optimizer", recipe.Sgd(lr=0.1)),
    ("train.optimizer=adam lr=1e-3", "optimizer", recipe.Adam(lr=1e-3)),
    ("train.batch=7", "batch", 7),
    ("train.label_smoothing=0.1", "loss", recipe.CrossEntropy(0.1)),
    ("train.augment=flip, crop 8 pad=1", "augment", (recipe.Flip(), recipe.RandomCrop(8, 1))),
    ("train.least=1e-3", "schedule", recipe.Cosine(1e-3)),
    ("train.early_stop=3", "early_stop", 3),
])  # fmt: skip
def test_a_change_reaches_the_settings(change, name, expected):
    graph = netdsl.load("small.net").graph
    key, _, value = change.removeprefix("train.").partition("=")
    settings = Settings.of(override(graph, {key: value}))
    assert getattr(settings, name) == expected
    left = {key: value for key, value in vars(Settings.of(graph.recipe)).items() if key != name}
    assert {key: value for key, value in vars(settings).items() if key != name} == left


@pytest.mark.parametrize(("change", "code"), [
    ("train.lrr=1", "E0801"),
    ("train.optimizer=sdg lr=1", "E0801"),
    ("train.rho=0.5", "E0801"),  # an argument of Adadelta, and this is SGD
    ("train.loss=nll", "E0803"),
    ("train.batch=0", "E0306"),
    ("train.clip=-1", "E0306"),
    ("train.aux_weight=-1", "E0306"),
    ("train.lr=fast", "E0305"),
    ("train.epochs=1, 2", "E0802"),
])  # fmt: skip
def test_a_change_that_does_not_fit_is_refused_before_anything_is_written(change, code):
    _, told = small("a", "--set", change, code=1)
    assert f"error[{code}]" in told
    assert not Path("a").exists()


@pytest.mark.parametrize("words", [["--strategy", "fsdp"], ["--precision", "16-mixed"], ["--partial"]], ids=str)
def test_options_that_cannot_go_together_are_refused(words):
    assert "--" in small("a", *words, code=2)[1]
    assert not Path("a").exists()


# Where a run begins


def test_a_folder_holds_one_run_and_resume_needs_one():
    small("a", "--set", "train.epochs=1", "--set", "train.schedule=constant")
    assert "error[E1101]" in small("a", code=1)[1]
    assert "error[E1102]" in small("b", "--resume", code=1)[1]
    _, told = small("a", "--resume", "--set", "train.lr=0.2", "--set", "train.schedule=constant", code=1)
    assert "differs in optimizer" in told
    small("a", "--resume", "--set", "train.epochs=2", "--set", "train.schedule=constant")
    assert len(rows("a")) == 2


@pytest.mark.parametrize("name", ["run.json", "last.ckpt"])
@pytest.mark.parametrize("content", ["", "{}", '{"recipe": [], "graph": ""}', "cut", None])
def test_a_run_whose_files_are_broken_is_not_resumed(name, content):
    small("a", "--set", "train.epochs=1")
    file = Path("a", name)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == "cut" else (content or "").encode())
    if content is None:
        file.unlink()
    assert "error[E1102]" in small("a", "--resume", code=1)[1]


def test_a_schedule_that_aims_at_its_end_keeps_it():
    small("a", "--set", "train.epochs=1")
    assert "differs in epochs" in small("a", "--resume", "--set", "train.epochs=2", code=1)[1]


def test_a_pattern_to_freeze_must_match():
    assert "error[E1103]" in small("a", "--freeze", "feature.*", code=1)[1]
    small("a", "--freeze", "features.*", "--set", "train.epochs=1")  # the folder is still free


def test_frozen_layers_keep_weights_and_statistics_and_a_new_head_learns():
    small("a", "--set", "train.epochs=2")
    small("b", "--from", "a/weights.safetensors", "--partial", "--freeze", "features.*", "--set", "train.epochs=2",
          "--set", "train.seed=7")  # fmt: skip
    before, after = weights("a"), weights("b")
    frozen = [key for key in before if key.startswith("features")]
    assert len(frozen) == 7
    counted = before.pop("features.1.num_batches_tracked"), after.pop("features.1.num_batches_tracked")
    assert counted == (20, 0)
    assert all(torch.equal(before[key], after[key]) for key in frozen if key in before)  # mean and variance, too
    assert not torch.equal(before["head.weight"], after["head.weight"])


def test_a_head_for_other_classes_begins_anew_on_weights_that_fit():
    small("a", "--set", "train.epochs=1")
    Path("digits.net").write_text(SMALL.replace("classes = 4", "classes = 10"))
    _, told = run("train", "digits.net", "--data", "digits", "-o", "b", "--from", "a/weights.safetensors",
                  "--set", "train.epochs=1", code=1)  # fmt: skip
    assert "error[E0912]" in told
    _, told = run("train", "digits.net", "--data", "digits", "-o", "b", "--from", "a/weights.safetensors", "--partial",
                  "--freeze", "features.*", "--set", "train.epochs=1")  # fmt: skip
    assert "W0109" in told
    assert torch.equal(weights("a")["features.0.weight"], weights("b")["features.0.weight"])
    assert weights("b")["head.weight"].shape == (10, 64)


# How it ends


def test_early_stopping_exports_the_best_epoch():
    small("a", "--set", "train.early_stop=2", "--set", "train.lr=3", "--set", "train.schedule=constant",
          "--set", "train.epochs=40")  # fmt: skip
    losses = [row["val_loss"] for row in rows("a")]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 40
    kept = torch.load("a/best.ckpt", weights_only=True)
    assert kept["epoch"] == best
    assert same({key.removeprefix("net."): value for key, value in kept["state_dict"].items()}, weights("a"))
    graph = netdsl.load("small.net").graph
    images, targets = raw_images("images.npz", graph)
    scores = torch.tensor(netdsl.Session("a/small.onnx").run({"image": images.numpy()})["output"])
    assert float(functional.cross_entropy(scores, targets)) == pytest.approx(losses[best], rel=1e-4)
    before = weights("a")
    small("a", "--resume", "--set", "train.early_stop=2", "--set", "train.lr=3", "--set", "train.schedule=constant",
          "--set", "train.epochs=40")  # fmt: skip
    assert len(rows("a")) == len(losses)
    assert same(before, weights("a"))


@pytest.mark.parametrize(("aux", "changes"), [
    ("", {}),
    ("", {"accumulate": 3}),
    ("", {"accumulate": 5}),
    ("", {"accumulate": 30}),
    ("", {"clip": 0.3}),
    ("", {"accumulate": 2, "clip": 0.3}),
    ("aux side: { dense 4 }", {"aux_weight": 0.7}),
], ids=str)  # fmt: skip
def test_a_run_is_the_loop_one_would_write_by_hand(aux, changes, folder):
    graph = netdsl.loads(TABLE.replace("-> dense 4", f"\n{aux}\n dense 4")).graph
    settings = Settings.of(override(graph, {"batch": 4, "epochs": 2, **changes}))
    data = open_data("points.npz", graph, settings)
    found = train(graph, settings, data, folder / "a", export="last")  # as written: nothing is standardized
    net = lower(graph, initializer(settings))
    optimizer = torch.optim.SGD(net.parameters(), 0.2, 0.9)
    losses = []
    for epoch in range(2):
        order = shuffled(32, settings.seed, epoch)
        for step, start in enumerate(range(0, 32, 4), 1):
            chosen = order[start : start + 4]
            scores, targets = net(data.train.inputs[chosen]), data.train.targets[chosen]
            loss = functional.cross_entropy(scores["output"] if aux else scores, targets)
            losses.append(loss.item())
            if aux:
                loss = loss + 0.7 * functional.cross_entropy(scores["side"], targets)
            window = settings.accumulate if step <= 8 - 8 % settings.accumulate else 8 % settings.accumulate
            (loss / window).backward()
            if step % settings.accumulate == 0 or step == 8:
                if settings.clip is not None:
                    torch.nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
                optimizer.step()
                optimizer.zero_grad()
    assert [row["train_loss"] for row in found.history] == pytest.approx([np.mean(losses[:8]), np.mean(losses[8:])])
    for key, value in net.state_dict().items():
        torch.testing.assert_close(weights("a")[key], value, rtol=1e-6, atol=1e-7)


# Interruptions


def started(*more):
    return start_process("train", "small.net", "--data", "images.npz", "-o", "killed", *more)


def wait_for(condition, process):
    deadline = time.monotonic() + 60
    while process.is_alive() and not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def written(file):
    return file.stat().st_mtime_ns if file.exists() else 0


def newer(file, than):
    return written(file) > than


def test_a_run_killed_at_any_moment_goes_on_to_the_weights_of_one_that_was_not(folder):
    small("whole", "--set", "train.epochs=12")
    last, kills = folder / "killed" / "last.ckpt", 0
    while True:
        process = started(*(["--resume"] if last.exists() else []))
        if kills < 5:
            wait_for(partial(newer, last, written(last)), process)
            time.sleep(0.1 * torch.rand(()).item())
            process.kill()
        process.join()
        torch.load(last, weights_only=True)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 3
    assert same(weights("whole"), weights("killed"))
    assert rows("whole") == rows("killed")


def test_an_interrupt_is_told_and_leaves_a_run_that_goes_on(folder):
    small("whole", "--set", "train.epochs=30")
    process = started("--set", "train.epochs=30")
    wait_for((folder / "killed" / "metrics.csv").exists, process)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    assert "interrupted" in (told := printed_by(process).read_text().splitlines()[-1])
    assert "--resume" in told
    assert not (folder / "killed" / "small.onnx").exists()
    run("train", "small.net", "--data", "images.npz", "-o", "killed", "--resume", "--set", "train.epochs=30")
    assert same(weights("whole"), weights("killed"))


# Processes


def test_two_processes_learn_as_one_with_twice_the_batch():
    words = ["train", "numbers.net", "--data", "points.npz"]
    run(*words, "-o", "one")
    done = subprocess.run(
        [sys.executable, "-m", "netdsl", *words, "-o", "two", "--processes", "2", "--set", "train.batch=16"],
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nepoch ") == 50
    assert done.stderr == ""
    one, two = ([row["train_loss"] for row in rows(output)] for output in ("one", "two"))
    assert len(one) == 50  # an epoch is one step
    assert two == pytest.approx(one, rel=1e-5)
    assert one[-1] < 0.5 * one[0]
