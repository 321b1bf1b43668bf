"""Files that appear under their names only when they are whole, and what is found in the place of files."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from netdsl.diagnostics import NetdslError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

PIECE = 2**20
"""Bytes written at once. Linux takes two or three times as long for hundreds of megabytes in one piece."""

_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)


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
