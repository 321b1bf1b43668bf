"""A part of the series of `tools/fuzz.py`, and that it finds faults where there are some."""

from __future__ import annotations

import re
from random import Random

import fuzz
import fuzz_rehearsal
import pytest
from fuzzing import backends, files, pool
from fuzzing.damage import ANYWHERE
from fuzzing.outcome import control_character, refusal_fault
from fuzzing.pool import Job, try_all
from fuzzing.readers import READERS, lay

import netdsl.layers.activation as activations

LIGHT = [name for name in READERS if not name.startswith(("run, ", "ONNX, inspect"))]
"""Readers that are fast to start: the others train a net first, or draw."""
NET = "net n {\ninput x: 2x6x6\nconv 3 k3 -> relu -> tanh\n}\n"


def series(tmp_path, *arguments):
    return fuzz.main([*arguments, "--workers", "1", "--findings", str(tmp_path)])


def test_some_programs(tmp_path, capsys):
    code = series(tmp_path, "programs", "--count", "150")
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert int(re.search(r"compared in shape, type and value +(\d+)", printed)[1]) > 50


def test_some_damaged_files(tmp_path, capsys):
    readers = [word for name in LIGHT for word in ("--reader", name)]
    code = series(tmp_path, "files", "--count", "12", *readers)
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert all(re.search(rf"^{re.escape(name)} +12 ", printed, re.MULTILINE) for name in LIGHT)


def test_some_damaged_files_as_whole_commands(tmp_path, capsys):
    code = series(tmp_path, "commands", "--count", "2", "--reader", ".net", "--reader", "npz, weights")
    assert code == 0, capsys.readouterr().out


@pytest.mark.long
def test_programs_of_another_seed(tmp_path, capsys):
    code = series(tmp_path, "programs", "--seed", "2", "--count", "5000")
    assert code == 0, capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ that it can fail


def test_what_is_watched_is_found():
    faults = ("dies", "hangs", "takes memory", "raises", "unready", "does well")
    jobs = [Job("fuzz_rehearsal", name, 1, 7) for name in faults]
    found = {job.name: outcome for job, outcome in try_all(jobs, 2, hangs_after=4)}
    assert {name: outcome.verdict for name, outcome in found.items()} == {
        "dies": "died", "hangs": "hung", "takes memory": "memory", "raises": "internal error",
        "unready": "internal error", "does well": "read",
    }  # fmt: skip
    assert [name for name, outcome in found.items() if not outcome.wrong] == ["does well"]
    assert found["raises"].detail == "KeyError in support/fuzz_rehearsal.py:attempt: 7"


def test_what_takes_long_is_found(monkeypatch):
    monkeypatch.setattr(pool, "MAX_SECONDS", 0.05)
    jobs = {name: Job("fuzz_rehearsal", name, 1, 7) for name in ("is slow", "does well")}
    assert {name: pool.measured(fuzz_rehearsal, job).verdict for name, job in jobs.items()} == {
        "is slow": "slow", "does well": "read",
    }  # fmt: skip


def test_a_net_on_which_all_agree_is_compared():
    assert backends.tried(NET).verdict == "compared"
    assert backends.tried(NET.replace("k3", "k9")).verdict == "refused"


def test_a_wrong_shape_is_found(monkeypatch):
    monkeypatch.setattr(activations.Tanh, "to_torch", lambda _, t, x: t.method(x, "narrow", 2, 0, 3))
    assert backends.tried(NET).verdict == "shape"


def test_a_wrong_value_is_found(monkeypatch):
    monkeypatch.setattr(activations.Tanh, "to_onnx", lambda _, o, x: o.op("Sigmoid", x))
    found = backends.tried(NET)
    assert found.verdict == "value"
    assert found.detail == "onnxruntime -O0 differs: conv -> relu -> tanh"


def test_what_a_backend_cannot_run_is_found(monkeypatch):
    monkeypatch.setattr(activations.Tanh, "to_onnx", lambda _, o, x: o.op("Nope", x))
    assert backends.tried(NET).verdict == "not run"


def test_a_finding_is_kept_and_can_be_tried_again(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("fuzz.try_all", lambda jobs, *_: ((job, files_attempt(job)) for job in jobs))
    monkeypatch.setattr("netdsl.compiler.load_program", broken)
    arguments = ["files", "--reader", ".net", "--seed", "3"]
    assert series(tmp_path, *arguments, "--count", "3") == 1
    printed = capsys.readouterr().out
    assert "internal error: ZeroDivisionError" in printed
    assert re.search(r"[1-3] findings", printed)
    (folder,) = tmp_path.iterdir()
    number = re.search(r"--only (\d+)", (folder / "finding.txt").read_text())[1]
    assert (folder / "n.net").exists()
    assert series(tmp_path, *arguments, "--only", number) == 1


def files_attempt(job):
    from fuzzing.outcome import Outcome, raised

    try:
        return files.attempt(job.name, job.seed, job.index)
    except ZeroDivisionError as error:
        return Outcome("internal error", *raised(error))


@pytest.mark.parametrize(
    ("text", "places", "fault"),
    [
        ("error[E0101]: a\n --> n.net:1:1", [True], ""),
        ("error[E0101]: a", [False], "a refusal without a place"),
        ("error\n" * 50, [True], "a refusal that does not fit on a screen"),
        ("a\n\n" * 30, [True] * 30, "more than 20 errors"),
        ("a \x1b[31m b", [True], "the character U+001B is printed"),
        ("a \u202e b", [True], "the character U+202E is printed"),
    ],
)
def test_a_refusal_is_looked_at(text, places, fault):
    assert refusal_fault(text, places) == fault


def test_letters_of_all_languages_are_no_control_characters():
    assert control_character("caf\u00e9 \u05d0 \u4e2d \U0001f600\n\t") == ""


@pytest.mark.parametrize("name", LIGHT)
def test_damage_is_damage_and_comes_again(name, tmp_path):
    reader = READERS[name]
    whole = [make() for make in reader.make]
    changed = 0
    for index in range(12):
        first, second = (files.spoilt(reader, Random(index))[0] for _ in range(2))  # noqa: S311 - it must come again
        assert first == second
        changed += first not in whole
    assert changed >= 8
    lay(first, tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(first)


@pytest.mark.parametrize("damage", dict.fromkeys(ANYWHERE), ids=lambda damage: damage.__name__)
def test_every_damage_takes_any_bytes(damage):
    for seed in range(30):
        for data in (b"", b"a", b"12, 34", bytes(300)):
            assert isinstance(damage(Random(seed), data), bytes)  # noqa: S311 - it must come again
