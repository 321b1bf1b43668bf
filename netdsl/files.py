"""The one door for files: all that netdsl reads is opened here, and all that it writes appears whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.diagnostics import NetdslError, fail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

PIECE = 2**20
"""Bytes written at once. Linux takes two or three times as long for hundreds of megabytes in one piece."""

MOST_STANDARD_INPUT = 2**28
"""Bytes that are read from standard input at most; they are kept in memory."""

_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)


@contextmanager
def open_file(path: str | Path, name: str | None = None) -> Iterator[BinaryIO]:
    """A file to read: a regular one, or standard input where `path` is `-`.

    A pipe or a device is refused before it is read, because reading it could wait forever.

    Args:
        path: the file.
        name: what messages call it; its path unless said otherwise.

    Raises:
        NetdslError: there is no such file, it is no regular file, or it may not be read (E0901).
    """
    name = str(path) if name is None else name
    if str(path) == "-":
        yield BytesIO(_standard_input())
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise _unreadable(name, error) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a directory" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise fail("E0901", f"cannot read `{name}`: expected a file, got {what}", help="give the path of a file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_file(path: str | Path, most: int, name: str | None = None) -> bytes:
    """The bytes of a file.

    Raises:
        NetdslError: it cannot be read, or has more than `most` bytes (E0901).
    """
    name = str(path) if name is None else name
    with open_file(path, name) as file:
        try:
            data = file.read(most + 1)
        except OSError as error:
            raise _unreadable(name, error) from error
    if len(data) > most:
        raise fail("E0901", f"cannot read `{name}`: expected at most {most:,} bytes, got more")
    return data


def need_file(path: str | Path, name: str | None = None) -> None:
    """Refuse what `open_file` refuses (E0901), for a library that opens the file itself."""
    with open_file(path, name):
        pass


@contextmanager
def reading(path: str | Path, code: str, what: str, remedy: str | None = None) -> Iterator[None]:
    """A block in which a library reads a file: whatever it raises becomes an error that names the file.

    Args:
        path: the file.
        code: the diagnostic's code.
        what: what the file should be, as in `a whole npz archive`.
        remedy: what helps.

    Raises:
        NetdslError: the block raised an exception that is not a NetdslError already; of the operating system's
            errors, E0901. Running out of memory, interrupts and closed pipes are passed on as they are.
    """
    try:
        yield
    except (NetdslError, MemoryError, BrokenPipeError):
        raise
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a place in the file that there is not
            raise _broken(path, code, what, remedy, error) from error
        raise _unreadable(str(path), error) from error
    except Exception as error:  # decoders raise anything at damaged files
        raise _broken(path, code, what, remedy, error) from error


def _broken(path: str | Path, code: str, what: str, remedy: str | None, error: Exception) -> NetdslError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return fail(code, f"`{path}` is not {what}: {reason}", help=remedy)


def _unreadable(name: str, error: Exception) -> NetdslError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return fail("E0901", f"cannot read `{name}`: {reason.lower()}")


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(MOST_STANDARD_INPUT + 1)
    if len(data) > MOST_STANDARD_INPUT:
        remedy = "write it to a file, and give the path of the file"
        raise fail("E0901", f"standard input has more than {MOST_STANDARD_INPUT:,} bytes", help=remedy)
    return data


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write: a hidden one beside `path`, which takes the place of `path` when the block ends well.

    When the block raises, the hidden file is removed and what was at `path` stays. A process that is killed leaves
    at most the hidden file.

    Raises:
        NetdslError: `path` cannot be written (E0902) or there is no space left (E0903).
    """
    path = Path(path)
    hidden = path.parent / f".netdsl-{os.urandom(8).hex()}.part"
    try:
        if path.exists() and not path.is_file():  # renaming would put a file in the place of a device
            raise fail("E0902", f"cannot write `{path}`: it is not a file", help="give the path of a file")
        with hidden.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError as error:
        if error.filename not in (None, str(hidden), str(path)):  # the block failed to read something else
            raise
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):
            hidden.unlink()


def write_pieces(file: BinaryIO, data: memoryview) -> None:
    """Write many bytes of a `whole_file`, a piece at a time; the disk is at work on them while others are made."""
    for start in range(0, len(data), PIECE):
        at, piece = file.tell(), data[start : start + PIECE]
        file.write(piece)
        if len(piece) == PIECE and hasattr(os, "posix_fadvise"):
            # Linux begins to write what is no longer needed; all that is not on the disk yet stays in its cache.
            os.posix_fadvise(file.fileno(), at, PIECE, os.POSIX_FADV_DONTNEED)


def impostor(start: bytes) -> tuple[str, str] | None:
    """What was saved in the place of a file of data, and the remedy, if the file's first 64 bytes show that."""
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "`git lfs pull` fetches the file itself"
    if _WEB_PAGE.match(start):
        return "a web page", "download the file itself"
    return None


def _explained(error: OSError, path: Path) -> NetdslError:
    folder = path.parent
    if error.errno in _FULL:
        return fail(
            "E0903",
            f"no space left to write `{path}`",
            help="free some space, or write to another disk; the part that was written is removed",
        )
    if error.errno == errno.ENOENT:
        return fail("E0902", f"cannot write `{path}`: there is no directory `{folder}`", help=f"`mkdir -p {folder}`")
    if error.errno in _FORBIDDEN:
        return fail(
            "E0902",
            f"cannot write `{path}`: the directory `{folder}` may not be written to",
            help="choose another directory, or change its permissions",
        )
    return fail("E0902", f"cannot write `{path}`: {error.strerror or error}".lower(), help="choose another path")
