"""A lock on a run's folder, which belongs to one process at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.base.files import unwritable
from netdsl.training.machine import first_process
from netdsl.training.record import DESCRIPTION

try:
    import fcntl
except ImportError:  # Windows has no such locks: two runs in one folder are not detected there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "run.lock"
"""The file that a process locks while it trains into a folder; the lock ends with the process, however that ends."""
LAST = "last.ckpt"
"""The checkpoint after the latest complete epoch, or from before the first."""
BEST = "best.ckpt"
"""The checkpoint after the epoch with the lowest validation loss."""

_LOCKS: set[int] = set()


@contextmanager
def claimed(folder: Path, *, resume: bool) -> Iterator[None]:
    """Keep other processes from training into a folder during a `with` block.

    A folder that is still empty afterwards is removed. If several processes train together, the first holds the lock.

    Args:
        folder: the folder, created if necessary.
        resume: whether the folder should hold a run.

    Raises:
        NetdslError: another process trains into it (E1107), it holds a run (E1101), or no run to resume (E1102).
    """
    if not first_process():
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        if resume and not folder.is_dir():
            need_fitting(folder, resume=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = _lock(folder)
        except OSError as error:
            raise unwritable(error, folder / LOCK if folder.is_dir() else folder) from error
        try:
            need_fitting(folder, resume=resume)
            yield
        finally:
            with suppress(OSError):
                (folder / LOCK).unlink()
            _LOCKS.discard(held)
            os.close(held)
    finally:
        with suppress(OSError):  # a folder that is not empty stays
            for path in made:
                path.rmdir()


def need_fitting(folder: Path, *, resume: bool) -> None:
    """Check that a folder holds a run if it should (E1102), and none otherwise (E1101)."""
    begun = (folder / LAST).exists()
    if begun and not resume:
        remedy = "continue it with `--resume`, or choose another folder with `-o`"
        raise fail("E1101", f"`{folder}` holds a run already", help=remedy)
    if resume and not (begun and (folder / DESCRIPTION).exists()):
        raise fail("E1102", f"`{folder}` holds no run to resume", help="leave out `--resume` to start one")


def _lock(folder: Path) -> int:
    """Lock the file in the folder, write this process's number into it, and return its descriptor."""
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode(errors="replace")
            os.close(descriptor)
            who = f"process {owner}" if owner.isdigit() else "another process"
            remedy = "wait for it or stop it, or choose another folder with `-o`"
            raise fail("E1107", f"{who} is training into `{folder}`", help=remedy) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):  # otherwise its owner has just removed it
                break
        os.close(descriptor)
    try:
        path.write_text(str(os.getpid()))
    except OSError:
        path.unlink()
        os.close(descriptor)
        raise
    _LOCKS.add(descriptor)
    return descriptor


def _close_inherited() -> None:
    """Close the inherited locks in a child process; a worker would keep them if its parent is killed."""
    while _LOCKS:
        os.close(_LOCKS.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)
