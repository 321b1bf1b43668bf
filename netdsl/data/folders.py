"""Images in one directory for each class, a layout common with PyTorch and Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.outputs import remember
from netdsl.data.parts import Found, Part
from netdsl.ir.labels import class_name

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
HELD = {"val": "val", "valid": "val", "validation": "val", "test": "test"}
"""The split in each directory beside `train`."""


def class_folders(folder: Path) -> list[Path]:
    """Return the subdirectories in the order of their names, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return the directories of each class, ordered by class name; different spellings of one name are one class."""
    classes: dict[str, list[Path]] = {}
    for path in class_folders(folder):
        classes.setdefault(class_name(path.name), []).append(path)
    return dict(sorted(classes.items()))


def read_folders(folder: Path) -> Found:
    """Read a directory with one subdirectory of images for each class, or with such directories for each split.

    The splits are `train` and `val`, `test` or both; `val` may also be called `valid` or `validation`.

    The classes are the names of the subdirectories in alphabetical order; images may lie deeper in them. Hidden files
    and files without the ending of an image are ignored.

    Raises:
        NetdslError: there are no classes (E1001), one is empty (E1006), or the splits have different ones (E1003).
    """
    splits = {path.name: path for path in class_folders(folder)}
    if "train" not in splits:
        if splits.keys() <= HELD.keys():
            raise fail("E1001", f"`{folder}` has no subdirectory `train` beside {_listed(list(splits))}",
                                  help="put the training images there, or give a directory of classes")  # fmt: skip
        classes = _classes(folder)
        return Found(str(folder), _read(classes), labels=tuple(classes))
    train = splits["train"]
    classes = _classes(train)
    if not classes:
        raise fail("E1001", f"`{train}` has no subdirectories", help="put the images of each class into one")
    others = {}
    for name in sorted(splits.keys() & HELD.keys()):
        if HELD[name] in others:
            raise fail("E1001", f"`{folder}` holds validation data under two names, one of them `{name}`",
                       help="keep one of them")  # fmt: skip
        own = _classes(splits[name])
        if own.keys() != classes.keys():
            first, second = (sorted(set(one) - set(two)) for one, two in ((classes, own), (own, classes)))
            raise fail(
                "E1003",
                f"`{train}` and `{splits[name]}` must have the same classes, but "
                + "; ".join(
                    f"only the {'first' if missing is first else 'second'} has {_listed(missing)}"
                    for missing in (first, second)
                    if missing
                ),
                help="give both the same subdirectories",
            )
        others[HELD[name]] = _read(own)
    return Found(str(folder), _read(classes), others.get("val"), others.get("test"), tuple(classes))


def _read(classes: dict[str, list[Path]]) -> Part:
    files: list[Path] = []
    counts = []
    for label, folders in classes.items():
        own = [path for folder in folders for path in sorted(folder.rglob("*")) if _is_image(path)]
        if not own:
            raise fail(
                "E1006",
                f"the class `{label}` has no image in `{folders[0]}`",
                help=f"put images of {', '.join(ENDINGS)} there, or remove the directory",
            )
        files += own
        counts.append(len(own))
    remember(files)
    return Part(files, np.repeat(np.arange(len(classes)), counts))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
