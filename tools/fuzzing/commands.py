"""Damaged files, read by whole commands, each in its own process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from fuzzing.files import keep, put, spoilt
from fuzzing.outcome import Outcome, control_character
from fuzzing.pool import MAX_MEGABYTES, MAX_SECONDS
from fuzzing.readers import READERS
from fuzzing.seeds import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["attempt", "keep", "prepare"]

PATIENCE = 60
"""The wall time in seconds after which a command is killed."""
MEASURE = """
import json, os, resource, subprocess, sys
def limit():
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
with open(sys.argv[1], "wb") as out:
    process = subprocess.Popen(sys.argv[2:], stdout=out, stderr=out, stdin=subprocess.DEVNULL, preexec_fn=limit)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6]))
"""
"""A small program that starts a command: the peak memory of a process is at least that of its parent at the fork."""


def prepare(name: str) -> None:
    """Make a reader's valid files, and check that the command reads them."""
    whole, command = READERS[name].make[0], READERS[name].commands[0]
    found = _commanded(command, lambda folder: put(whole(), None, folder))
    if found.verdict != "0":
        raise RuntimeError(f"{name}: {command} does not read valid files: {found.report}")


def attempt(name: str, seed: int, index: int) -> Outcome:
    """Read a damaged file."""
    reader = READERS[name]
    return _commanded(reader.commands[0], lambda folder: put(*spoilt(reader, Random(f"{seed}/{name}/{index}")), folder))


def _commanded(command: str, fill: Callable[[Path], None]) -> Outcome:
    folder, output = Path(mkdtemp(prefix="netdsl-fuzz-")), Path(mkdtemp(prefix="netdsl-fuzz-"), "output")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    try:
        fill(folder)
        words = [sys.executable, "-S", "-c", MEASURE, str(output), sys.executable, "-m", "netdsl", *command.split()]
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return Outcome("hung", f"no end after {PATIENCE} s", output.read_text(errors="replace")[-3000:])
        code, seconds, megabytes = json.loads(printed)
        text = output.read_text(errors="replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(output.parent, ignore_errors=True)
    return Outcome(str(code), _fault(code, text, seconds, megabytes), text[-3000:], seconds, megabytes)


def _fault(code: int, text: str, seconds: float, megabytes: float) -> str:
    if code not in (0, 1, 2):
        line = next((line for line in text.splitlines() if "internal error" in line), "")
        return f"exit code {code}: {line[:150]}"
    if "Traceback" in text:
        return f"a traceback: {text.splitlines()[-1][:150]}"
    if strange := control_character(text):
        return strange
    if seconds > MAX_SECONDS:
        return f"more than {MAX_SECONDS:g} s"
    return f"more than {MAX_MEGABYTES} MB" if megabytes > MAX_MEGABYTES else ""
