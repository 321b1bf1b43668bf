"""The one door for files: all that netdsl reads is opened here, and all that it writes appears whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.outputs import need_place, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

BYTES_WRITTEN_AT_ONCE = 2**20
"""Bytes written at once. Linux takes two or three times as long for hundreds of megabytes in one piece."""

MAX_STANDARD_INPUT_BYTES = 2**28
"""Bytes that are read from standard input at most; they are kept in memory."""

_REGULAR = "give the path of a file; `-` reads standard input"
_TIMES, _UNSUSPICIOUS = 100, 2**28
"""Packed data may unpack to so many times their size, or to so many bytes: more is not made by packing real data."""

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
    if is_standard_input(path):
        yield BytesIO(_standard_input())
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise _unreadable(name, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISDIR(status.st_mode):
                raise fail("E0901", f"cannot read `{name}`: expected a file, got a directory",
                           help=f"`{name}` is a directory; give the path of a file in it")  # fmt: skip
            raise fail("E0901", f"cannot read `{name}`: expected a file, got a pipe or a device", help=_REGULAR)
        opened(path, status)
    except NetdslError:
        os.close(descriptor)
        raise
    with _Sized(FileIO(descriptor)) as file:
        yield file


def is_standard_input(path: str | os.PathLike[str]) -> bool:
    """Whether a path is `-`, which stands for standard input; `./-` is a file of that name."""
    return os.fspath(path) == "-"


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


class _Sized(BufferedReader):
    """A file that takes no memory for more bytes than it has, however many are asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, or as many as there are."""
        if size is not None and size > BYTES_WRITTEN_AT_ONCE:
            size = max(0, min(size, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def need_file(path: str | Path, name: str | None = None) -> None:
    """Refuse what `open_file` refuses (E0901), for a library that opens the file itself."""
    with open_file(path, name):
        pass


@contextmanager
def reading(path: str | Path, code: str, what: str, remedy: str | None = None) -> Iterator[None]:
    """A block in which a library reads a file: whatever it raises becomes an error that names the file.

    What is no regular file is refused before, so that the library may open it itself.

    Args:
        path: the file.
        code: the diagnostic's code.
        what: what the file should be, as in `a whole npz archive`.
        remedy: what helps.

    Raises:
        NetdslError: it is no file that can be read (E0901), or the block raised an exception that is not a NetdslError
            already; of the operating system's errors, E0901. Interrupts and closed pipes are passed on as they are.
        MemoryError: the block took more memory than there is.
    """
    need_file(path)
    try:
        yield
    except (NetdslError, BrokenPipeError):
        raise
    except MemoryError as error:
        raise MemoryError(f"reading `{path}`{f': {error}' if str(error) else ''}") from error
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
    if isinstance(error, OSError) and error.errno == errno.ENXIO:  # what opening a socket says
        return fail("E0901", f"cannot read `{name}`: expected a file, got a socket or a device", help=_REGULAR)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return fail("E0901", f"cannot read `{name}`: {reason.lower()}")


def need_unpacked(path: str | Path, packed: int, unpacked: int, code: str, remedy: str) -> None:
    """Refuse data that promise to unpack to far more than real data do, before memory is taken for them (`code`).

    Deflated zeros become a thousand times as many, so that a small file could fill any memory.
    """
    if unpacked > max(_UNSUSPICIOUS, _TIMES * packed):
        raise fail(code, f"`{path}` unpacks from {packed:,} to {unpacked:,} bytes: expected at most {_TIMES} times as "
                         "many", help=remedy)  # fmt: skip


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise fail("E0901", "cannot read `-`: there is no standard input", help="give the path of a file")
    try:
        data = _whole(sys.stdin.buffer)
    except OSError as error:
        raise _unreadable("-", error) from error
    if len(data) > MAX_STANDARD_INPUT_BYTES:
        remedy = "write it to a file, and give the path of the file"
        raise fail("E0901", f"standard input has more than {MAX_STANDARD_INPUT_BYTES:,} bytes", help=remedy)
    return data


@lru_cache(maxsize=1)
def _whole(stream: BinaryIO) -> bytes:
    """What is in standard input; it can be read once, and a command may ask for it again."""
    return stream.read(MAX_STANDARD_INPUT_BYTES + 1)


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write: a hidden one beside `path`, which takes the place of `path` when the block ends well.

    When the block raises, the hidden file is removed and what was at `path` stays. A process that is killed leaves
    at most the hidden file.

    Raises:
        NetdslError: `path` cannot be written, or was read (E0902), or there is no space left (E0903).
    """
    path = Path(path)
    need_place(path)
    hidden = path.parent / f".netdsl-{os.urandom(8).hex()}.part"
    try:
        with hidden.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError as error:
        if error.filename not in (None, str(hidden), str(path)):  # the block failed to read something else
            raise
        raise unwritable(error, path) from error
    finally:
        with suppress(OSError):
            hidden.unlink()


def write_pieces(file: BinaryIO, data: memoryview) -> None:
    """Write many bytes of a `whole_file`, a piece at a time; the disk is at work on them while others are made."""
    for start in range(0, len(data), BYTES_WRITTEN_AT_ONCE):
        at, piece = file.tell(), data[start : start + BYTES_WRITTEN_AT_ONCE]
        file.write(piece)
        if len(piece) == BYTES_WRITTEN_AT_ONCE and hasattr(os, "posix_fadvise"):
            # Linux begins to write what is no longer needed; all that is not on the disk yet stays in its cache.
            os.posix_fadvise(file.fileno(), at, BYTES_WRITTEN_AT_ONCE, os.POSIX_FADV_DONTNEED)


def impostor(start: bytes) -> tuple[str, str] | None:
    """What was saved in the place of a file of data, and the remedy, if the file's first 64 bytes show that."""
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "`git lfs pull` fetches the file itself"
    if _WEB_PAGE.match(start):
        return "a web page", "download the file itself"
    return None


def unwritable(error: OSError, path: Path) -> NetdslError:
    """What to raise where a file could not be written: E0903 without space, else E0902."""
    folder = path.parent
    if error.errno in _FULL:
        return fail(
            "E0903",
            f"no space left to write `{path}`",
            help="free some space, or write to another disk; the part that was written is removed",
        )
    if error.errno in _FORBIDDEN:
        return fail(
            "E0902",
            f"cannot write `{path}`: the directory `{folder}` may not be written to",
            help="choose another directory, or change its permissions",
        )
    return fail("E0902", f"cannot write `{path}`: {error.strerror or error}".lower(), help="choose another path")
