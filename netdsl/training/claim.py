"""A run's folder belongs to one process at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pytorch_lightning.utilities import rank_zero_only

from netdsl.base.diagnostics import fail
from netdsl.base.files import unwritable
from netdsl.training.record import DESCRIPTION

try:
    import fcntl
except ImportError:  # Windows has no such locks: two runs in one folder are not noticed there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "run.lock"
"""The file that a process holds locked while it trains into a folder; the lock ends with the process, however."""
LAST = "last.ckpt"
"""The checkpoint after the newest whole epoch, and before the first."""

_HELD: set[int] = set()


@contextmanager
def claimed(folder: Path, *, resume: bool) -> Iterator[None]:
    """A block in which no other process trains into a folder; a folder that is still empty afterwards is removed.

    Of several processes that train together, the first holds the folder for all.

    Args:
        folder: made if need be.
        resume: whether the folder should hold a run, or none.

    Raises:
        NetdslError: another process trains into it (E1107), it holds a run (E1101), or none to go on from (E1102).
    """
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined] # Lightning sets it
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
            _HELD.discard(held)
            os.close(held)
    finally:
        with suppress(OSError):  # the first that is not empty ends it
            for path in made:
                path.rmdir()


def need_fitting(folder: Path, *, resume: bool) -> None:
    """See that a folder holds a run if it should (E1102), and none otherwise (E1101)."""
    begun = (folder / LAST).exists()
    if begun and not resume:
        remedy = "go on with it by `--resume`, or choose another folder by `-o`"
        raise fail("E1101", f"`{folder}` holds a run already", help=remedy)
    if resume and not (begun and (folder / DESCRIPTION).exists()):
        raise fail("E1102", f"`{folder}` holds no run to resume", help="leave out `--resume` to begin one")


def _lock(folder: Path) -> int:
    """Lock the file in the folder, and write into it who does; gives its descriptor."""
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
            remedy = "wait for it or stop it, or choose another folder by `-o`"
            raise fail("E1107", f"{who} is training into `{folder}`", help=remedy) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):  # or its owner has just removed it
                break
        os.close(descriptor)
    try:
        path.write_text(str(os.getpid()))
    except OSError:
        path.unlink()
        os.close(descriptor)
        raise
    _HELD.add(descriptor)
    return descriptor


def _let_go() -> None:
    """Leave the locks to the parent: those who read its images would hold them on when it is killed."""
    while _HELD:
        os.close(_HELD.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
