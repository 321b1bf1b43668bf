"""How a run ends: with the best epoch or the last, at a loss that is none, killed, or beside another in its folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from commands import run
from forked import PROCESSES, printed_by, start
from small_runs import changed, numbers, rows, same, state, weights
from torch.nn import functional

from netdsl.training.claim import LOCK, claimed

pytestmark = pytest.mark.usefixtures("parts", "one_thread")


@pytest.fixture
def rising(parts):
    """Data whose validation labels are wrong, so that the validation loss rises from the first epochs on."""
    return changed(parts, "rising.npz", y_val=(parts["y_val"] + 1) % 4)


def best_epoch(output):
    losses = [row["val_loss"] for row in rows(output)]
    return losses.index(min(losses)) + 1


# What is kept and exported


def test_the_last_epoch_is_kept_and_the_best_exported(rising):
    told, _ = numbers("a", "--set", "train.epochs=6", data=rising)
    assert [row["epoch"] for row in rows("a")] == [*range(1, 7)]
    assert best_epoch("a") < 3
    last, best = (torch.load(f"a/{name}.ckpt", weights_only=True) for name in ("last", "best"))
    assert (len(last["history"]), len(best["history"])) == (6, best_epoch("a"))
    assert same(state("a/best.ckpt"), weights("a"))
    figures = rows("a")[best_epoch("a") - 1]
    score = f"{best_epoch('a')}: held out loss {figures['val_loss']:.4f}, accuracy {figures['val_accuracy']:.2%}\n"
    assert f"best epoch      {score}exported epoch  {score}" in told


def test_the_epoch_to_export_can_be_chosen_and_changed(rising):
    told, _ = numbers("a", "--export", "last", data=rising)
    assert "exported epoch  3: " in told
    assert f"best epoch      {best_epoch('a')}: " in told
    assert same(state("a/last.ckpt"), weights("a"))
    told, _ = numbers("a", "--export", "best", "--resume", data=rising)
    assert f"exported epoch  {best_epoch('a')}: " in told
    assert same(state("a/best.ckpt"), weights("a"))
    assert len(rows("a")) == 3
    run("train", "numbers.net", "--data", rising, "-o", "b", "--export", "first", code=2)


def test_test_data_choose_no_epoch(parts):
    data = {f"{name}_{split}": parts[f"{name}_{split}"] for name in "xy" for split in ("train", "test")}
    data["y_test"] = (data["y_test"] + 1) % 4
    np.savez("tested.npz", **data)
    told, _ = numbers("a", data="tested.npz")
    assert "20 samples: the test data, which do not select an epoch" in told
    assert "exported epoch  3: " in told
    assert "best epoch" not in told
    assert not Path("a/best.ckpt").exists()
    for number, words in enumerate((["--export", "best"], ["--set", "train.early_stop=1"],
                                    ["--set", "train.schedule=plateau"])):  # fmt: skip
        told, _ = numbers(f"b{number}", *words, data="tested.npz")
        assert "13 samples of the training data" in told
        assert "best epoch" in told
        assert Path(f"b{number}/best.ckpt").exists()


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_compile_to_the_models_of_their_epochs(name, rising, parts):
    numbers("a", "--export", name, data=rising)
    run("compile", "numbers.net", "--weights", f"a/{name}.ckpt", "-o", "compiled.onnx")
    run("compile", "numbers.net", "--weights", "a/weights.safetensors", "-o", "weights.onnx")
    ours, theirs = (onnxruntime.InferenceSession(file).run(None, {"x": parts["x_val"]})[0]
                    for file in ("compiled.onnx", "weights.onnx"))  # fmt: skip
    np.testing.assert_array_equal(ours, theirs)
    scores = torch.from_numpy(onnxruntime.InferenceSession("a/numbers.onnx").run(None, {"x": parts["x_val"]})[0])
    targets = torch.from_numpy((parts["y_val"] + 1) % 4)
    row = rows("a")[best_epoch("a") - 1 if name == "best" else -1]
    assert float(functional.cross_entropy(scores, targets)) == pytest.approx(row["val_loss"], rel=1e-5)
    assert float((scores.argmax(1) == targets).double().mean()) == row["val_accuracy"]


# A loss that is none


@pytest.mark.parametrize(("changes", "place"), [
    (["train.optimizer=sgd lr=9e18"], "training loss is nan at batch"),
    (["train.loss=quadratic", "train.optimizer=sgd lr=1e18"], "training loss is inf at batch 2 of epoch 1"),
    (["train.loss=quadratic", "train.optimizer=sgd lr=1e18", "train.batch=66"], "validation loss is inf at batch 1"),
    (["train.loss=quadratic", "train.optimizer=sgd lr=9e18", "train.clip=1", "train.accumulate=9"],
     "validation loss is inf at batch 1 of epoch 1"),
    (["train.schedule=exponential factor=1e9", "train.optimizer=sgd lr=1e-3"], "loss is nan at batch"),
])  # fmt: skip
def test_a_run_that_diverges_stops_and_keeps_the_last_whole_epoch(changes, place):
    words = [word for change in changes for word in ("--set", change)]
    told = numbers("a", "--set", "train.epochs=9", *words, code=1)[1]
    assert "error[E1104]: the " in told
    assert place in told
    assert "a smaller rate" in told
    kept = torch.load("a/last.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in kept["state_dict"].values())
    done = len(kept["history"])
    assert f"`a/last.ckpt` holds the weights {f'after epoch {done}' if done else 'of the beginning'}" in told
    assert f"of epoch {done + 1}\n" in told
    assert not (done and len(rows("a")) != done)
    assert {path.name for path in Path("a").iterdir()} <= {"run.json", "last.ckpt", "best.ckpt", "metrics.csv"}
    assert not Path("a", LOCK).exists()


def test_weights_that_are_not_finite_are_found_where_no_loss_shows_them(monkeypatch):
    from netdsl.training.task import Task

    original = Task.validation_step

    def spoiling(self, batch, index):
        original(self, batch, index)
        with torch.no_grad():
            self.net.dense2.bias[0] = torch.inf

    monkeypatch.setattr(Task, "validation_step", spoiling)
    told = numbers("a", "--set", "train.batch=66", code=1)[1]
    assert "error[E1104]: `dense2.bias` holds nan or infinity at the end of epoch 1" in told
    assert len(torch.load("a/last.ckpt", weights_only=True)["history"]) == 0


def test_what_is_kept_of_a_run_that_diverged_begins_another():
    words = ["--set", "train.schedule=exponential factor=1e6", "--set", "train.optimizer=sgd lr=1e-3"]
    numbers("a", *words, "--set", "train.epochs=9", code=1)
    assert len(torch.load("a/last.ckpt", weights_only=True)["history"]) > 0
    numbers("b", "--from", "a/last.ckpt")


# Killed


def started(*more):
    return start("train", "numbers.net", "--data", "rising.npz", "-o", "killed", *more)


def kill_at_random(kills, epochs):
    """Kill a run so many times, at moments that have nothing to do with what it does, and then let it end."""
    last, seen = Path("killed/last.ckpt"), 0
    generator = np.random.default_rng(kills)
    for number in range(kills + 1):
        process = started("--set", f"train.epochs={epochs}", *(["--resume"] if last.exists() else []))
        begun = last.stat().st_mtime_ns if last.exists() else 0
        if number < kills:
            while process.is_alive() and not (last.exists() and last.stat().st_mtime_ns > begun):
                time.sleep(0.001)
            time.sleep(generator.uniform(0, 0.1))
            process.kill()
        process.join()
        assert process.exitcode == (-signal.SIGKILL if number < kills else 0)
        kept = len(torch.load(last, weights_only=True)["history"])
        told = len(rows("killed")) if Path("killed/metrics.csv").exists() else 0
        assert kept >= told >= seen  # no epoch that was told is lost, and no row
        seen = told


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_a_run_killed_while_its_loss_rises_loses_less_than_an_epoch(kills, rising):
    epochs = 30 * kills
    numbers("whole", "--set", f"train.epochs={epochs}", data=rising)
    assert best_epoch("whole") < epochs / 2
    kill_at_random(kills, epochs)
    assert rows("whole") == rows("killed")
    assert same(weights("whole"), weights("killed"))
    assert same(state("whole/last.ckpt"), state("killed/last.ckpt"))


def test_figures_that_a_killed_run_had_no_time_for_are_written_at_once(rising):
    numbers("a", data=rising)
    whole = Path("a/metrics.csv").read_text()
    Path("a/metrics.csv").unlink()
    numbers("a", "--resume", data=rising)
    assert Path("a/metrics.csv").read_text() == whole


# One run to a folder


def test_of_runs_started_at_once_in_one_folder_one_goes_on(rising):
    words = ["--set", "train.epochs=60"]
    runs = [started(*words) for _ in range(4)]
    for process in runs:
        process.join()
    assert sorted(process.exitcode for process in runs) == [0, 1, 1, 1]
    (owner,) = [process for process in runs if not process.exitcode]
    for process in runs:
        told = printed_by(process).read_text()
        if process is not owner:
            assert "error[E1101]" in told or f"error[E1107]: process {owner.pid} is training into `killed`" in told
    numbers("alone", *words, data=rising)
    assert same(weights("alone"), weights("killed"))
    assert not Path("killed", LOCK).exists()


def hold(folder):
    """Hold a folder, beside a child that lives longer."""
    with claimed(Path(folder), resume=False):
        if os.fork() == 0:
            Path(folder, "child").write_text(str(os.getpid()))
            time.sleep(60)
            os._exit(0)
        time.sleep(60)


def test_a_folder_is_held_until_its_process_dies_and_no_longer():
    process = PROCESSES.Process(target=hold, args=(str(Path("a").absolute()),))
    process.start()
    while not (Path("a/child").exists() and Path("a/child").read_text()):
        time.sleep(0.01)
    told = numbers("a", code=1)[1]
    assert f"error[E1107]: process {process.pid} is training into `a`" in told
    assert "error[E1107]" in numbers("a", "--resume", code=1)[1] or not Path("a/last.ckpt").exists()
    process.kill()
    process.join()
    assert Path("a", LOCK).exists()
    numbers("a", "--set", "train.epochs=1")  # though the child of the one that was killed is there still
    os.kill(int(Path("a/child").read_text()), signal.SIGKILL)
    assert not Path("a", LOCK).exists()


def test_a_folder_made_for_nothing_is_removed():
    numbers("runs/deep/a", "--from", "no.safetensors", code=1)
    assert not Path("runs").exists()
    Path("mine").mkdir()
    numbers("mine", "--from", "no.safetensors", code=1)
    assert Path("mine").is_dir()
    assert not [*Path("mine").iterdir()]
