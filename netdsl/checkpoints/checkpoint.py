"""What a file of weights is, whatever its format: names, shapes, element types, and arrays that are read when due."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import ml_dtypes  # noqa: F401 - teaches numpy the names `bfloat16`, `float8_e4m3fn`, ...
import numpy as np

from netdsl.diagnostics import fail
from netdsl.ir.meaning import from_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netdsl.diagnostics import NetdslError
    from netdsl.ir.meaning import Meaning
    from netdsl.weights import Array

FLOATS = ("float64", "float32", "float16", "bfloat16")
NUMBERS = (*FLOATS, "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16",
           "uint8", "bool")  # fmt: skip
"""The element types that are read, by numpy's names."""


@dataclass(frozen=True)
class Tensor:
    """One array of a checkpoint.

    Attributes:
        shape: its sizes, all of them.
        dtype: its element type: one of `NUMBERS`, or the file's own name for one that is not read.
        bytes: its size in memory.
        read: gives the array in its own element type; mapped from the file and read-only where the format allows it,
            so that nothing is kept in memory.
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
        tensors: its arrays by name, in the file's order.
        notes: what a reader should know, such as under which key of a pickled dictionary the weights were found.
        meaning: what the net takes and gives that they are of; None where the file does not say.
    """

    path: Path
    kind: str
    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()
    meaning: Meaning | None = None

    def renamed(self, names: Mapping[str, str]) -> Checkpoint:
        """The same arrays under other names.

        Args:
            names: old names to new ones. A `*` in an old name stands for any text, as long as possible, and each `*`
                in the new one for the same text: `backbone.*` to `*` drops a prefix. Of several old names that match
                a key, the first counts.

        Raises:
            NetdslError: an old name renames nothing, has not as many `*` as the new one, or two keys get one name
                (E0912).
        """
        rules = [(old, _pattern(old), new.split("*")) for old, new in names.items()]
        for old, _, pieces in rules:
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
            for old, pattern, pieces in rules:
                if match := pattern.fullmatch(name):
                    used.add(old)
                    new_name = pieces[0] + "".join(a + b for a, b in zip(match.groups(), pieces[1:], strict=True))
                    break
            if new_name in tensors:
                raise fail(
                    "E0912",
                    f"two tensors of `{self.path}` are called `{new_name}` after renaming",
                    help="give a pattern that matches one of them",
                )
            tensors[new_name] = tensor
        if idle := next((old for old in names if old not in used), None):
            raise fail(
                "E0912",
                f"`{idle}` renames nothing in `{self.path}`",
                help=f"`netdsl weights {self.path}` lists the names",
            )
        return replace(self, tensors=tensors)


def unusable(path: Path, problem: str, help: str, notes: tuple[str, ...] = ()) -> NetdslError:  # noqa: A002 - as in `fail`
    """E0911: a file that is not, or not wholly, the checkpoint it seems to be."""
    return fail("E0911", f"`{path}`: {problem}", notes=notes, help=help)


def meaning_in(path: Path, metadata: object) -> Meaning | None:
    """What texts by name, of those that a file has beside its weights, say of the net.

    Raises:
        NetdslError: they are damaged (E0911).
    """
    told = metadata.items() if isinstance(metadata, Mapping) else ()
    try:
        return from_metadata({key: text for key, text in told if isinstance(key, str) and isinstance(text, str)})
    except ValueError as error:
        raise unusable(path, f"its description of the net is damaged: {error}", "write it again") from error


def unreadable(path: Path, name: str, dtype: str) -> Callable[[], Array]:
    """What reads a tensor of an element type that netdsl has no numbers for."""

    def read() -> Array:
        raise unusable(path, f"`{name}` has elements of the type {dtype}", "convert it to a type of numpy first")

    return read


def mapped(path: Path) -> Array:
    """The bytes of a file, mapped into memory."""
    return np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.empty(0, np.uint8)


def view(data: Array, start: int, shape: tuple[int, ...], dtype: str) -> Array:
    """The array that lies in bytes from `start` on."""
    element = np.dtype(dtype)
    return data[start : start + prod(shape) * element.itemsize].view(element.newbyteorder("<")).reshape(shape)


def _pattern(old: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(map(re.escape, old.split("*"))), re.DOTALL)
