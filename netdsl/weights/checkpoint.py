"""A file of weights in any format: names, shapes, element types, and arrays that are read on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import ml_dtypes  # noqa: F401 - registers the names `bfloat16`, `float8_e4m3fn`, ... in numpy
import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import open_file
from netdsl.ir.meaning import from_metadata
from netdsl.weights.patterns import matched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from netdsl.base.diagnostics import NetdslError
    from netdsl.ir.meaning import Meaning
    from netdsl.weights.initial import Array

T = TypeVar("T")

FLOATS = ("float64", "float32", "float16", "bfloat16")
NUMBERS = (*FLOATS, "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16",
           "uint8", "bool")  # fmt: skip
"""The element types that netdsl reads, by numpy's names."""
MAX_AXES = 64
"""The largest number of axes of a numpy array."""


@dataclass(frozen=True)
class Tensor:
    """One array of a checkpoint.

    Attributes:
        shape: its sizes.
        dtype: its element type: one of `NUMBERS`, or the file's own name for one that is not read.
        bytes: its size in memory.
        read: returns the array in its own element type. If the format allows it, the array is mapped from the file
            and read-only, so that nothing is kept in memory.
    """

    shape: tuple[int, ...]
    dtype: str
    bytes: int
    read: Callable[[], Array]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: the file.
        kind: its format, in words.
        tensors: its arrays by name, in the file's order. The name of a tensor in nested dictionaries contains the keys
            that lead to it: `ema.state_dict.conv1.weight`.
        notes: what a reader should know, such as under which key of a pickled dictionary the weights were found.
        sets: the names of the tensors in each dictionary that may hold a net's weights, by the dotted keys that lead
            to it. Empty if the file has no dictionaries: then all tensors are one set.
        meaning: what the net's inputs and outputs mean; None if the file does not say.

    Raises:
        NetdslError: a name is not text, or a shape is impossible (E0911).
    """

    path: Path
    kind: str
    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    meaning: Meaning | None = None

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            if not _is_text(name):
                problem = f"expected text as the name of a tensor, got {ascii(name)[:80]}"
                raise unusable(self.path, problem, "rename it in the file first")
            shape = tensor.shape
            sizes = all(type(size) is int and size >= 0 for size in shape)
            if not sizes or len(shape) > MAX_AXES or 8 * prod(size or 1 for size in shape) >= 2**63:
                cut = ", ".join(map(str, shape[:8])) + (", ..." if len(shape) > 8 else "")
                problem = f"`{name}` has the shape ({cut}), which no array has"
                raise unusable(self.path, problem, "write or download it again")

    @property
    def elements(self) -> int:
        """The number of elements of all tensors."""
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def bytes(self) -> int:
        """The size of all tensors in memory, in bytes."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object with all names, shapes and element types, and the totals."""
        return {
            "file": str(self.path),
            "kind": self.kind,
            "notes": list(self.notes),
            "tensors": [
                {"name": name, "shape": list(tensor.shape), "type": tensor.dtype, "bytes": tensor.bytes}
                for name, tensor in self.tensors.items()
            ],
            "totals": {"tensors": len(self.tensors), "elements": self.elements, "bytes": self.bytes},
        }

    def under(self, key: str, *, below: bool = False) -> Checkpoint:
        """Return the tensors under dotted keys, named without these keys.

        These are the set at `key`, or, if there is none, all tensors whose names begin with `key`.

        Args:
            key: the keys; empty for the outermost dictionary.
            below: include the tensors of all dictionaries below.
        """
        prefix = f"{key}." if key else ""
        names = (not below and self.sets.get(key)) or [name for name in self.tensors if name.startswith(prefix)]
        note = f"the weights are those under `{key or '.'}` in the file"
        others = [other or "." for other in self.sets if other != key and not (below and other.startswith(prefix))]
        if others:
            note += f", which has others under {', '.join(f'`{other}`' for other in others[:8])}"
        notes = (*self.notes, note) if key or others else self.notes
        tensors = {name.removeprefix(prefix): self.tensors[name] for name in names}
        return replace(self, tensors=tensors, notes=notes, sets={})

    def renamed(self, names: Mapping[str, str]) -> Checkpoint:
        """The same arrays under other names.

        Args:
            names: maps old names to new ones. A `*` in an old name matches any text, as long as possible, and each `*`
                in the new one stands for the same text: `backbone.*` to `*` drops a prefix. If several old names match,
                the first applies.

        Raises:
            NetdslError: an old name matches nothing or has another number of `*` than the new one, or two tensors get
                the same name (E0912).
        """
        rules = [(old, new.split("*")) for old, new in names.items()]
        for old, pieces in rules:
            if old.count("*") != len(pieces) - 1:
                pair = f"{old}={'*'.join(pieces)}"
                raise fail(
                    "E0912",
                    f"`{pair}` has not the same number of `*` on both sides",
                    help="each `*` on the right stands for the text that its `*` on the left matched",
                )
        used: set[str] = set()
        tensors: dict[str, Tensor] = {}
        for name, tensor in self.tensors.items():
            new_name = name
            for old, pieces in rules:
                if (texts := matched(old, name)) is not None:
                    used.add(old)
                    new_name = pieces[0] + "".join(a + b for a, b in zip(texts, pieces[1:], strict=True))
                    break
            if new_name in tensors:
                raise fail(
                    "E0912",
                    f"two tensors of `{self.path}` are called `{new_name}` after renaming",
                    help="use a pattern that matches only one of them",
                )
            tensors[new_name] = tensor
        if unmatched := next((old for old in names if old not in used), None):
            raise fail(
                "E0912",
                f"`{unmatched}` matches no name in `{self.path}`",
                help=f"`netdsl weights {self.path}` lists the names",
            )
        return replace(self, tensors=tensors)


def unusable(path: Path, problem: str, help: str, notes: tuple[str, ...] = ()) -> NetdslError:  # noqa: A002 - as in `fail`
    """Return E0911: a file is not the checkpoint that it seems to be, or is damaged."""
    return fail("E0911", f"`{path}`: {problem}", notes=notes, help=help)


def meaning_in(path: Path, metadata: object) -> Meaning | None:
    """Return what a file's metadata say of the net's inputs and outputs.

    Raises:
        NetdslError: the metadata are damaged (E0911).
    """
    entries = metadata.items() if isinstance(metadata, Mapping) else ()
    try:
        return from_metadata({key: text for key, text in entries if isinstance(key, str) and isinstance(text, str)})
    except ValueError as error:
        raise unusable(path, f"its description of the net is damaged: {error}", "write it again") from error


def unreadable(path: Path, name: str, dtype: str) -> Callable[[], Array]:
    """Return a `Tensor.read` for an element type that netdsl cannot read: it raises E0911."""

    def read() -> Array:
        raise unusable(path, f"`{name}` has elements of the type {dtype}", "convert it to a numpy type first")

    return read


def _is_text(name: object) -> bool:
    """Whether a name is text that can be written: not bytes, and without unpaired surrogates."""
    try:
        return isinstance(name, str) and name.encode() is not None
    except UnicodeEncodeError:
        return False


def mapped(path: Path) -> Array:
    """Map the bytes of a file into memory."""
    with open_file(path) as file:
        size = file.seek(0, 2)
        return np.asarray(np.memmap(file, np.uint8, "r")) if size else np.empty(0, np.uint8)


def view(data: Array, start: int, shape: tuple[int, ...], dtype: str) -> Array:
    """Return the array whose values begin at the byte `start`."""
    element = np.dtype(dtype)
    return data[start : start + prod(shape) * element.itemsize].view(element.newbyteorder("<")).reshape(shape)


def beside(path: Path, location: str) -> Path | None:
    """Return the path of a file that another file refers to; None unless it lies beside that file or below.

    If links are followed, "beside" is where `path` lies or where its own link leads: a download cache may hold
    links to all files of a model, which lie side by side somewhere else.
    """
    file = path.parent / location
    try:
        target, folders = file.resolve(), (path.parent.resolve(), path.resolve().parent)
        inside = location and not file.is_dir() and any(target.is_relative_to(folder) for folder in folders)
    except (OSError, RuntimeError, ValueError):  # links in a circle, or a name that is too long or has a NUL in it
        return None
    return file if inside else None


def distinct(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return the entries of an archive or of a JSON object by name.

    Raises:
        ValueError: two entries have the same name, and different readers would use different ones.
    """
    values: dict[str, T] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"two entries are called `{name}`")
        values[name] = value
    return values
