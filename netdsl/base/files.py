"""The one place that opens files: it reads regular files only, and every file it writes is complete or absent."""

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
"""The number of bytes written at once. Linux takes two or three times as long for hundreds of megabytes at once."""

MAX_STANDARD_INPUT_BYTES = 2**28
"""The largest number of bytes read from standard input; they are kept in memory."""

_REGULAR = "give the path of a file; `-` reads standard input"
_TIMES, _UNSUSPICIOUS = 100, 2**28
"""Packed data may unpack to 100 times their size, or to 256 MiB if that is more. Real data do not compress better."""

_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)


@contextmanager
def open_file(path: str | Path, name: str | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading: a regular file, or standard input where `path` is `-`.

    A pipe or a device is refused before it is read, because reading it could wait forever.

    Args:
        path: the file.
        name: the name used in messages; `path` by default.

    Raises:
        NetdslError: the file does not exist, is not a regular file, or may not be read (E0901).
    """
    name = str(path) if name is None else name
    if is_standard_input(path):
        yield BytesIO(_standard_input())
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: the name contains a NUL
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
    """Read all bytes of a file.

    Raises:
        NetdslError: the file cannot be read, or has more than `most` bytes (E0901).
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
    """A file whose `read` allocates no more memory than the file has bytes, even if more bytes are requested."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes, or as many as are left."""
        if size is not None and size > BYTES_WRITTEN_AT_ONCE:
            size = max(0, min(size, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def need_file(path: str | Path, name: str | None = None) -> None:
    """Refuse the files that `open_file` refuses (E0901), for a library that opens the file itself."""
    with open_file(path, name):
        pass


@contextmanager
def reading(path: str | Path, code: str, what: str, remedy: str | None = None) -> Iterator[None]:
    """A context in which a library reads a file: an exception of the library becomes an error that names the file.

    The file is checked to be a regular file before the block runs, so that the library may open it itself.

    Args:
        path: the file.
        code: the code of the diagnostic.
        what: what the file should be, such as `a whole npz archive`.
        remedy: the remedy that the error shows.

    Raises:
        NetdslError: the file cannot be read, or the block raised an error of the operating system (E0901); or the block
            raised another exception (`code`). A NetdslError and a closed pipe are passed on unchanged.
        MemoryError: the block ran out of memory.
    """
    need_file(path)
    try:
        yield
    except (NetdslError, BrokenPipeError):
        raise
    except MemoryError as error:
        raise MemoryError(f"reading `{path}`{f': {error}' if str(error) else ''}") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # the library looked for a position that the file does not have
            raise _broken(path, code, what, remedy, error) from error
        raise _unreadable(str(path), error) from error
    except Exception as error:  # decoders raise exceptions of any kind on damaged files
        raise _broken(path, code, what, remedy, error) from error


def _broken(path: str | Path, code: str, what: str, remedy: str | None, error: Exception) -> NetdslError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return fail(code, f"`{path}` is not {what}: {reason}", help=remedy)


def _unreadable(name: str, error: Exception) -> NetdslError:
    if isinstance(error, OSError) and error.errno == errno.ENXIO:  # raised when a socket is opened
        return fail("E0901", f"cannot read `{name}`: expected a file, got a socket or a device", help=_REGULAR)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return fail("E0901", f"cannot read `{name}`: {reason.lower()}")


def need_unpacked(path: str | Path, packed: int, unpacked: int, code: str, remedy: str) -> None:
    """Refuse a file that would unpack to far more data than real files do, before memory is allocated (`code`).

    Deflate compresses zeros a thousandfold, so that a small file could fill any memory.
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
    """Read standard input and keep the bytes: it can be read only once, and a command may need it again."""
    return stream.read(MAX_STANDARD_INPUT_BYTES + 1)


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing: a hidden file beside `path`, which replaces `path` when the block ends without an error.

    When the block raises, the hidden file is removed and the old file at `path` stays. A process that is killed leaves
    at most the hidden file behind.

    Raises:
        NetdslError: `path` cannot be written, or was read before (E0902), or there is no space left (E0903).
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
        if error.filename not in (None, str(hidden), str(path)):  # the block failed to read another file
            raise
        raise unwritable(error, path) from error
    finally:
        with suppress(OSError):
            hidden.unlink()


def write_pieces(file: BinaryIO, data: memoryview) -> None:
    """Write many bytes to a `whole_file` in pieces, so that the disk writes while the caller computes the rest."""
    for start in range(0, len(data), BYTES_WRITTEN_AT_ONCE):
        at, piece = file.tell(), data[start : start + BYTES_WRITTEN_AT_ONCE]
        file.write(piece)
        if len(piece) == BYTES_WRITTEN_AT_ONCE and hasattr(os, "posix_fadvise"):
            # Linux starts to write these pages now; without this, they stay in its cache until the end.
            os.posix_fadvise(file.fileno(), at, BYTES_WRITTEN_AT_ONCE, os.POSIX_FADV_DONTNEED)


def impostor(start: bytes) -> tuple[str, str] | None:
    """Recognize, by its first 64 bytes, a file that was saved in place of the data: what it is, and the remedy."""
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "`git lfs pull` fetches the file itself"
    if _WEB_PAGE.match(start):
        return "a web page", "download the file itself"
    return None


def unwritable(error: OSError, path: Path) -> NetdslError:
    """Make the error for a file that could not be written: E0903 if the disk is full, else E0902."""
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
