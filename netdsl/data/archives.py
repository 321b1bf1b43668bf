"""Data sets in an `.npz` file, with the array names that Keras uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.data import arrays as files
from netdsl.data.parts import Array, Found, Part, broken
from netdsl.ir.labels import class_name

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = (("x_train", "y_train"), ("images", "labels"), ("x", "y"))
"""Pairs of names for inputs and targets, in the order in which they are tried."""
HELD = {"val": ("x_val", "y_val"), "test": ("x_test", "y_test")}
LABELS = "names"
"""The name of an optional array of strings with the class names."""


def read_npz(path: Path) -> Found:
    """Read an archive of inputs and targets.

    They are called `x_train` and `y_train`, with `x_val`, `y_val`, `x_test` and `y_test` for further splits; or
    `images` and `labels`, or `x` and `y`. An optional array `names` holds the class names.

    Raises:
        NetdslError: the file cannot be read (E0901) or is damaged (E1002), holds no such arrays (E1001), or inputs and
            targets differ in number (E1003).
    """
    arrays = files.read_npz(path, "E1002")
    pair = next(((x, y) for x, y in PAIRS if x in arrays and y in arrays), None)
    if pair is None:
        raise fail(
            "E1001",
            f"`{path}` holds {', '.join(f'`{name}`' for name in arrays) or 'nothing'}, and none of the pairs "
            + ", ".join(f"`{x}` and `{y}`" for x, y in PAIRS),
            help="give inputs and targets such names: `numpy.savez(file, x_train=..., y_train=...)`",
        )
    held = {split: _part(path, arrays, x, y) for split, (x, y) in HELD.items() if x in arrays and pair[0] == "x_train"}
    labels = tuple(class_name(str(name)) for name in arrays[LABELS].ravel()) if LABELS in arrays else ()
    return Found(str(path), _part(path, arrays, *pair), held.get("val"), held.get("test"), labels)


def _part(path: Path, arrays: dict[str, Array], x: str, y: str) -> Part:
    if y not in arrays:
        raise fail("E1001", f"`{path}` holds `{x}` and no `{y}`", help=f"add the targets under the name `{y}`")
    inputs, targets = arrays[x], arrays[y]
    for name, array in ((x, inputs), (y, targets)):
        if array.ndim == 0 or array.dtype.kind not in "biuf":
            shown = f"{array.dtype.name} {'x'.join(map(str, array.shape)) or 'scalar'}"
            raise broken(path, f"must hold numbers in `{name}`, one entry for each sample, but holds a {shown} there",
                         "save it as an array of numbers")  # fmt: skip
        if 0 in array.shape[1:]:
            raise broken(
                path, f"must have values for each sample in `{name}`, but its shape there is {array.shape[1:]}"
            )
    if len(inputs) != len(targets):
        raise fail(
            "E1003",
            f"expected one target for each sample in `{path}`, got {len(inputs):,} in `{x}` "
            f"and {len(targets):,} in `{y}`",
            help="save the arrays again, with the same number of entries in both",
        )
    return Part(inputs, targets)
