"""Protection of files that a command writes: it never overwrites its inputs, and no file has a misleading ending.

`netdsl.base.files` reports each file that it opens to this module, and asks it before it replaces a file. Commands
call `claim` earlier, so that a refused path is reported before anything is computed.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from netdsl.base.diagnostics import NetdslError

    Name: TypeAlias = str | os.PathLike[str]
    Identity: TypeAlias = tuple[int, int]

CONTENTS = {
    "an ONNX model": (".onnx",),
    "a net's source": (".net",),
    "Python source": (".py", ".pyi", ".pyw", ".ipynb"),
    "a PyTorch checkpoint": (".pt", ".pth", ".ckpt", ".bin"),
    "weights": (".safetensors", ".npz"),
    "arrays of numpy": (".npy", ".npz"),
    "a model of another program": (".h5", ".hdf5", ".keras", ".tflite", ".mlmodel", ".mlpackage", ".engine", ".plan",
                                   ".ort", ".gguf", ".caffemodel", ".pkl", ".pickle", ".joblib"),
    "a drawing": (".png", ".svg"),
    "a picture": (".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pdf", ".ppm", ".pgm"),
    "a page of HTML": (".html", ".htm"),
    "a table": (".csv", ".tsv", ".xlsx", ".parquet"),
    "JSON": (".json", ".jsonl"),
    "settings": (".yaml", ".yml", ".toml", ".ini", ".cfg"),
    "text": (".txt", ".md", ".rst", ".log", ".tex"),
    "source of another language": (".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".js", ".rs", ".go", ".java", ".sh"),
    "an archive": (".zip", ".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z", ".whl"),
}  # fmt: skip
"""Kinds of file content, and the name endings that stand for each."""


class _Command:
    """The files that one command, or one call from Python, has read so far, and those that it will write."""

    def __init__(self) -> None:
        self.read: dict[str, Identity | None] = {}  # None: not looked up yet
        self.claimed: dict[Identity, str] = {}

    def reads(self, identity: Identity) -> bool:
        """Whether the command has read a file."""
        for path, known in self.read.items():
            if known is None:
                self.read[path] = _identity(path) or (-1, -1)
        return identity in self.read.values()


_commands: list[_Command] = []


@contextmanager
def inputs_kept(read: Iterable[Name] = ()) -> Iterator[Collection[str]]:
    """A context in which no file is replaced that was read in it, under any name; gives the paths of the files read.

    Args:
        read: files that were read before.
    """
    command = _Command()
    _commands.append(command)
    try:
        remember(read)
        yield command.read.keys()
    finally:
        _commands.remove(command)


@contextmanager
def replaceable() -> Iterator[None]:
    """A context that reads files which may be replaced later, such as a run's own checkpoint."""
    held = _commands[:]
    _commands.clear()
    try:
        yield
    finally:
        _commands[:] = held


def remember(paths: Iterable[Name]) -> None:
    """Record files as read that are opened later or by a library; they are looked up when something is to be written.

    Raises:
        NetdslError: one of them is already claimed as an output (E0902).
    """
    names = [str(Path(path).absolute()) for path in paths] if _commands else []
    for command in _commands:
        for name in names:
            if command.claimed and (identity := _identity(name)) in command.claimed:
                raise _same(command.claimed[identity], name)
            command.read.setdefault(name, None)


def opened(path: Name, status: os.stat_result) -> None:
    """Record an open file as read.

    Raises:
        NetdslError: it is already claimed as an output (E0902).
    """
    identity = status.st_dev, status.st_ino
    for command in _commands:
        if identity in command.claimed:
            raise _same(command.claimed[identity], path)
        command.read[str(Path(path).absolute())] = identity


def need_unread(path: Name) -> None:
    """Refuse to replace a file that was read (E0902)."""
    identity = _identity(path)
    if identity is not None and any(command.reads(identity) for command in _commands):
        raise _same(path)


def claim(path: Path, content: str) -> None:
    """Announce a file that will be written, before anything is computed; later reads of the file are refused.

    Args:
        path: the file.
        content: what it will hold, a key of `CONTENTS`; an ending that stands for no content is allowed.

    Raises:
        NetdslError: the ending stands for other content, the file was read, its directory does not exist, or `path` is
            something other than a file (E0902).
    """
    if problem := wrong_ending(path, content):
        raise fail("E0902", f"cannot write `{path}`: {problem}", help=f"`{path.with_suffix(CONTENTS[content][0])}`")
    claim_place(path)


def claim_place(path: Path) -> None:
    """Like `claim`, for a file whose name is derived from another file's.

    Raises:
        NetdslError: the file was read, its directory does not exist, or `path` is not a file (E0902).
    """
    need_place(path)
    identity = _identity(path)
    if identity is not None:
        for command in _commands:
            command.claimed[identity] = str(path)


def wrong_ending(path: Path, content: str, *, exact: bool = False) -> str | None:
    """Explain why a name does not fit a content; None if it fits.

    Args:
        path: the name.
        content: a key of `CONTENTS`.
        exact: whether the name must have an ending of that content; else an ending of no known content will do.
    """
    ending, endings_of_content = path.suffix.lower(), CONTENTS[content]
    if ending in endings_of_content:
        return None
    other = next((kind for kind, endings in CONTENTS.items() if ending in endings), None)
    if other is None and not exact:
        return None
    got = f"`{ending}`, which is for {other}" if other else f"`{path.name}`"
    return f"the name of {content} must end in {' or '.join(endings_of_content[:2])}, got {got}"


def need_place(path: Path) -> None:
    """Refuse a path that cannot become a file, or that was read (E0902)."""
    if str(path) == "-":
        raise fail("E0902", "cannot write `-`: expected the path of a file", help="`./-` is a file of that name")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, PermissionError):  # writing reports a path that cannot be looked up
        mode = None
    except (OSError, ValueError) as error:  # the name is too long, or contains a NUL
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise fail("E0902", f"cannot write `{path}`: {reason.lower()}", help="choose another path") from error
    if mode is not None and not stat.S_ISREG(mode):  # renaming would replace a device by a file
        raise fail("E0902", f"cannot write `{path}`: it is not a file", help="give the path of a file")
    if mode is None and not _is_directory(path.parent):
        raise fail("E0902", f"cannot write `{path}`: there is no directory `{path.parent}`",
                   help=f"`mkdir -p {path.parent}`")  # fmt: skip
    need_unread(path)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its parent may not be searched, which writing reports
        return True


def _identity(path: Name) -> Identity | None:
    """Identify a file independently of its name: by its device and its inode number."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _same(written: Name, read: Name | None = None) -> NetdslError:
    names = f"`{os.fspath(written)}`"
    also = f", as `{os.fspath(read)}`" if read is not None and os.fspath(read) != os.fspath(written) else ""
    return fail("E0902", f"cannot write {names}: the same file is read{also}", help="choose another path")
