"""Parallel work on many files, in several processes."""

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
"""Up to this many items, one process is faster: it is done before other processes have started."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`[work(item) for item in items]`, in as many processes as there are processors.

    The items are processed in this process where that is faster or the only way: with one processor, on systems that
    cannot fork, and in a process with several threads, because a forked copy may find their locks held.

    Args:
        work: a function defined at the top level of a module.
        items: its arguments; items and results are passed between processes and must be picklable.

    Raises:
        MemoryError: the system killed a process.
        Exception: an exception that `work` raised.
    """
    workers = min(processors(), len(items)) if _can_be_copied() else 1
    if workers < 2 or len(items) <= MAX_FILES_DONE_ALONE:
        return [work(item) for item in items]
    try:
        with ProcessPoolExecutor(workers, get_context("fork"), _leave_interrupts) as pool:
            return list(pool.map(work, items))
    except BrokenProcessPool:
        raise MemoryError("the system has ended a process") from None
    except (OSError, NotImplementedError):  # this system allows no more processes, or no semaphores
        return [work(item) for item in items]


def processors() -> int:
    """The number of processors that this process may use; of all processors where the system does not report it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_be_copied() -> bool:
    return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1


def _leave_interrupts() -> None:
    """Ignore Ctrl-C in a worker: a terminal sends it to all processes, and the parent process handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
