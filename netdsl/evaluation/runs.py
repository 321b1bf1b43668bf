"""The folder of a training run, which leads to a model and to the samples held out for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.files import reading
from netdsl.data.fingerprints import fingerprint
from netdsl.data.splits import with_validation
from netdsl.training.record import DESCRIPTION, read_description

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from netdsl.data.parts import Found

SPLITS = {"test": "test", "val": "validation", "train": "training"}
"""The splits of a data set: their names on the command line, and in messages."""
DIGITS = "digits"
_CODE = "E1109"


@dataclass(frozen=True)
class TrainedRun:
    """A training run as its folder describes it.

    Attributes:
        folder: the folder.
        model: its ONNX model.
        named: whether the user named the folder, not the model in it.
        data: the data set: `digits`, or an absolute path.
        held: the source of the validation samples: the data set's `validation` or `test` data, or `part` of the
            training data.
        fraction: the fraction of the training data in that part.
        seed: the seed of its draw.
        classes: whether the targets were classes.
        shape: the shape of a sample.
        prints: the fingerprints of the splits, by their names in messages.
    """

    folder: Path
    model: Path
    named: bool
    data: str
    held: str
    fraction: float | None
    seed: int
    classes: bool
    shape: tuple[int, ...]
    prints: Mapping[str, Mapping[str, Any]]

    @property
    def split(self) -> str:
        """The name of the split that was used for validation."""
        return "test" if self.held == "test" else "val"

    def divided(self, found: Found, split: str) -> Found | None:
        """Split a data set as in the run, and remove the samples that the run left out; return None if the data differ.

        Args:
            found: a data set as it was read.
            split: the split that is needed and whose fingerprint is compared: `test`, `val` or `train`.
        """
        try:
            own = with_validation(found, self.fraction, self.seed, classes=self.classes)
        except NetdslError:  # the data are too few to be those of the run
            return None
        if self.held == "test":  # the test data are also its validation data
            own = replace(own, test=own.val)
        name = SPLITS[split]
        part, known = own.parts.get(name), self.prints.get(name)
        if (None if part is None else fingerprint(part, known["left_out"] if known else ())) != known:
            return None
        if part is not None and known is not None:
            kept: dict[str, Any] = {split: part.without(known["left_out"])}
            own = replace(own, **kept)
        return own


def run_of(path: str | os.PathLike[str]) -> TrainedRun | None:
    """Return the run whose folder or model this is; None for a model outside of a run.

    Raises:
        NetdslError: it is a folder without a run, or the run has no model (E1109).
    """
    path = Path(path)
    if path.is_dir():
        if not (path / DESCRIPTION).is_file():
            raise fail(_CODE, f"`{path}` holds no run", help="give an ONNX file, or the folder of a run")
        run = _read(path, named=True)
        if not run.model.is_file():
            raise fail(_CODE, f"the run in `{path}` has no model yet: there is no `{run.model}`",
                                  help="a run writes it at its end; `netdsl train ... --resume` continues")  # fmt: skip
        return run
    if (path.parent / DESCRIPTION).is_file():
        with suppress(NetdslError):  # the description may belong to something else
            run = _read(path.parent, named=False)
            if run.model.name == path.name:
                return run
    return None


def model_of(path: str | os.PathLike[str]) -> Path:
    """Return the ONNX file: that of the run, if the path is a run's folder."""
    run = run_of(path) if Path(path).is_dir() else None
    return Path(path) if run is None else run.model


def _read(folder: Path, *, named: bool) -> TrainedRun:
    remedy = "name the model in it and a data set"
    known = read_description(folder, _CODE, remedy)
    with reading(folder / DESCRIPTION, _CODE, "the description of a run", remedy):
        data, fraction = known["data"], known["data"]["fraction"]
        return TrainedRun(
            folder,
            folder / f"{known['net']}.onnx",
            named,
            DIGITS if data["path"] is None else str(data["path"]),
            str(data["held"]),
            None if fraction is None else float(fraction),
            int(known["recipe"]["seed"]),
            bool(data["classes"]),
            tuple(map(int, known["shape"])),
            _prints(known),
        )  # fmt: skip


def _prints(known: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    prints: dict[str, Mapping[str, Any]] = {name: {**known[name], "left_out": [*map(int, known[name]["left_out"])]}
                                            for name in SPLITS.values() if name != "test" or name in known}  # fmt: skip
    if known["data"]["held"] == "test":
        prints["test"] = prints["validation"]
    return prints
