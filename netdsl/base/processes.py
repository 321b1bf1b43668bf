"""Work on many files at once."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_FILES_DONE_ALONE = 8
"""So many files are done before other processes have begun."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`[work(item) for item in items]`, in as many processes as there are processors.

    One after the other where that is faster or nothing else is possible: with one processor, on systems where a process
    starts without what this one has imported, and in a process with threads, whose locks its copies may find closed.

    Args:
        work: a function of a module.
        items: what it is given; they and the results travel between processes and must be picklable.

    Raises:
        MemoryError: the system has ended a process.
        Exception: what `work` raises.
    """
    workers = min(processors(), len(items)) if _can_be_copied() else 1
    if workers < 2 or len(items) <= MAX_FILES_DONE_ALONE:
        return [work(item) for item in items]
    try:
        with ProcessPoolExecutor(workers, get_context("fork"), _leave_interrupts) as pool:
            return list(pool.map(work, items))
    except BrokenProcessPool:
        raise MemoryError("the system has ended a process") from None
    except (OSError, NotImplementedError):  # no more processes, or no semaphores, are allowed here
        return [work(item) for item in items]


def processors() -> int:
    """The processors that this process may use, where the system tells, or all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_be_copied() -> bool:
    return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1


def _leave_interrupts() -> None:
    """Ctrl-C reaches all processes of a terminal; the one that was started answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
