"""What a run says: before the first epoch, on a terminal while it trains, at the end, and in several processes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from commands import ENVIRONMENT, run
from forked import PROCESSES
from small_runs import NUMBERS, numbers, rows

from netdsl.cli import main

EPOCH = r"epoch +(\d+)/{}  loss \d+\.\d{{4}}, accuracy \d+\.\d\d%  held out \d+\.\d{{4}}, \d+\.\d\d%  \d+\.\d s"
BAR = r"epoch +\d+/\d+  (held out, )?batch \d+ of \d+"
pytestmark = pytest.mark.usefixtures("parts")


# Before the first epoch


def test_a_run_says_what_it_is_going_to_do():
    told, _ = numbers("a", "--freeze", "dense1.weight", "--set", "train.epochs=1", "--set", "train.clip=2")
    block = told[: told.index("\n\n")]
    assert re.fullmatch(
        r"net       numbers, 84 parameters to train, 96 frozen\n"
        r"data      points\.npz, 66 samples to train on, 4 classes\n"
        r"held out  33 samples: the validation data\n"
        r"recipe    loss cross_entropy; optimizer sgd 0\.1 momentum=0\.9; schedule constant;\n"
        r"          init pytorch; batch 16; epochs 1; accumulate 1; clip 2; aux_weight\n"
        r"          0\.3; seed 0\n"
        r"device    cpu with \d+ threads?, precision 32-true\n"
        r"folder    a",
        block,
    )
    told, _ = numbers("a", "--freeze", "dense1.weight", "--set", "train.epochs=2", "--set", "train.clip=2", "--resume")
    assert "folder    a, from its last checkpoint\n" in told
    assert numbers("b", "--set", "train.epochs=1", "--quiet") == ("", "")


def test_a_net_without_a_recipe_says_the_defaults_that_it_is_trained_by():
    Path("numbers.net").write_text(NUMBERS[: NUMBERS.index("    train")] + "}")
    told, _ = numbers("a", "--set", "train.epochs=1")
    text = " ".join(told.split())
    assert "recipe the net has none, so the defaults: loss cross_entropy; optimizer sgd 0.01 momentum=0.9;" in text
    assert "batch 64; epochs 1;" in text


@pytest.mark.parametrize("device", ["tensorrt", "tensorrt:1", "tpu"])
def test_only_devices_that_train_are_offered(device):
    assert "--device" in numbers("a", "--device", device, code=2)[1]
    assert "tensorrt" not in run("train", "--help")[0]


@pytest.mark.parametrize(("words", "remedy"), [(["--set", "train.batch=500"], "--set train.batch=66")])
def test_a_remedy_for_a_recipe_can_be_given_from_outside(words, remedy):
    assert remedy in numbers("a", *words, code=1)[1]
    numbers("a", *remedy.split())


# On a terminal


class Screen:
    """Lines as a terminal shows them: a carriage return goes back, `ESC [ K` clears to the end, a full line wraps."""

    def __init__(self, columns):
        self.columns, self.lines, self.place = columns, [""], 0
        self.seen = set()

    def feed(self, text):
        for sign in re.findall(r"\x1b\[K|\r\n|[\s\S]", text):
            line = self.lines[-1]
            if sign == "\r\n":
                self.lines.append("")
                self.place = 0
            elif sign == "\x1b[K":
                self.lines[-1] = line[: self.place]
            elif sign == "\r":
                self.seen.add(line)
                self.place = 0
            else:
                assert sign.isprintable(), repr(sign)
                if self.place == self.columns:
                    self.lines.append("")
                    line, self.place = "", 0
                self.lines[-1] = line[: self.place].ljust(self.place) + sign + line[self.place + 1 :]
                self.place += 1


def in_terminal(columns, words, folder):
    """The program in a process that has its packages already, on a terminal."""
    os.setsid()
    os.environ |= {"TERM": "xterm", "NO_COLOR": "1"}
    terminal = os.open(words.pop(), os.O_RDWR)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    for descriptor in range(3):
        os.dup2(terminal, descriptor)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(folder)
    main(words)


def on_terminal(columns, *words, interrupt_at=None):
    """What a terminal shows in the end, the lines that were overwritten, and the exit code."""
    ours, theirs = pty.openpty()
    arguments = ["train", "numbers.net", "--data", "points.npz", *words, os.ttyname(theirs)]
    process = PROCESSES.Process(target=in_terminal, args=(columns, arguments, str(Path.cwd())))
    process.start()
    screen, deadline = Screen(columns), time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            screen.feed(os.read(ours, 65536).decode())
        elif not process.is_alive():
            break
        if interrupt_at is not None and any(line.startswith(interrupt_at) for line in screen.lines):
            os.kill(process.pid, signal.SIGINT)
            interrupt_at = None
    process.join(5)
    os.close(ours)
    os.close(theirs)
    return [line.rstrip() for line in screen.lines], screen.seen, process.exitcode


@pytest.mark.parametrize(("columns", "more"), [(80, ["--tensorboard"]), (120, []), (30, [])])
def test_the_bar_and_the_lines_of_epochs_do_not_overwrite_each_other(columns, more):
    words = ["-o", "a", "--set", "train.batch=1"]
    numbers(*words[1:], "--set", "train.epochs=1")
    lines, seen, code = on_terminal(columns, *words, "--resume", "--set", "train.epochs=4", *more)
    assert code == 0
    begin = lines.index("", lines.index("folder    a, from its last checkpoint"[:columns])) + 1
    shown = lines[begin:]
    if columns >= 80:
        assert all(re.fullmatch(EPOCH.format(4), line) for line in shown[:3]), shown
        assert [line.split("/")[0] for line in shown[:3]] == ["epoch 2", "epoch 3", "epoch 4"]
        assert shown[3].startswith("best epoch      ")
        assert shown[4].startswith("exported epoch  ")
        assert shown[5:] == ["written: a/numbers.onnx and a/weights.safetensors", ""]
    bars = {line for line in seen if "batch" in line}
    assert bars
    assert all(re.fullmatch(BAR, line) or columns == 30 for line in bars), bars
    assert all(len(line) < columns for line in bars)
    assert {line.split("/")[0] for line in bars} <= {"epoch 2", "epoch 3", "epoch 4"}
    assert not any("batch " in line for line in shown), shown


def test_an_interrupt_names_the_way_on():
    lines, _, code = on_terminal(80, "-o", "a", "--set", "train.epochs=5000", interrupt_at="epoch    2/5000  loss")
    assert code == 130
    assert lines[-1] == ""
    assert lines[-2] == "interrupted: the same command with `--resume` continues from the last complete epoch"
    assert re.fullmatch(EPOCH.format(5000), lines[-3])
    numbers("a", "--resume", "--set", f"train.epochs={len(rows('a')) + 1}")


# Several processes


def test_processes_that_another_program_starts_are_one_run_and_count_each_sample_once():
    words = ["-m", "netdsl", "train", "numbers.net", "--data", "points.npz", "-o", "two", "--set", "train.batch=8",
             "--set", "train.epochs=2"]  # fmt: skip
    numbers("one", "--set", "train.epochs=2")
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20_000 + os.getpid() % 20_000)}
    started = [
        subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**ENVIRONMENT, **world, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    (first, problems), (second, others) = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], problems + others
    assert (problems, others, second) == ("", "", "")
    assert first.count("\nepoch ") == 2
    assert "2 processes" in first
    for one, two in zip(rows("one"), rows("two"), strict=True):  # 66 and 33 samples: the last batches are uneven
        assert one == pytest.approx(two, rel=1e-5)


def test_what_is_asked_for_does_not_contradict_the_environment(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert "--processes 3 contradicts the environment" in numbers("a", "--processes", "3", code=2)[1]
    assert "--machines 2 contradicts the environment" in numbers("a", "--machines", "2", code=2)[1]
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert "WORLD_SIZE" in numbers("a", code=2)[1]
