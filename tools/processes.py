"""The cost of a command as a whole process: wall time and peak memory, medians of interleaved runs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONDONTWRITEBYTECODE", "OPENBLAS_CORETYPE")  # with them, a second run is as slow as the first
}


@dataclass(frozen=True)
class Cost:
    """The cost of a process: seconds of wall time, and peak memory in MB of 10^6 bytes."""

    seconds: float
    megabytes: float


def measure(command: Sequence[str]) -> Cost:
    """Run a command in the root of the checkout, and wait for its end.

    The peak memory of a process is at least that of its parent at the fork, so the caller must be small: it must import
    neither numpy nor torch.

    Raises:
        RuntimeError: the command failed; the message contains its output.
    """
    with tempfile.TemporaryFile("w+") as printed:
        start = perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{printed.read()}")
    return Cost(seconds, usage.ru_maxrss * 1024 / 1e6)


def compare(commands: Mapping[str, Sequence[str]], repeat: int) -> dict[str, Cost]:
    """Return the median cost of each command, run in turn: one round to warm up, then `repeat` measured rounds."""
    for command in commands.values():
        measure(command)
    rounds = [{name: measure(command) for name, command in commands.items()} for _ in range(repeat)]
    return {
        name: Cost(median(costs[name].seconds for costs in rounds), median(costs[name].megabytes for costs in rounds))
        for name in commands
    }
