"""The samples of a data set in batches, converted to the inputs of a model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.data.images import read_image
from netdsl.data.reading import read_data
from netdsl.evaluation.runs import DIGITS, SPLITS
from netdsl.evaluation.views import larger, ten_crops
from netdsl.runtime.feeds import fitted
from netdsl.runtime.preparation import channels_last, from_bytes, need_pixels, pixels_of
from netdsl.runtime.taking import arranged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netdsl.data.parts import Found, Part
    from netdsl.evaluation.runs import TrainedRun
    from netdsl.runtime import Port, Session
    from netdsl.runtime.feeds import Array
    from netdsl.runtime.preparation import Preparation


@dataclass(frozen=True)
class JudgedSamples:
    """The samples on which models are evaluated.

    Attributes:
        found: the data set.
        part: its samples.
        split: `test`, `val` or `train`.
        shape: the shape of a sample, recorded by a run on these data; empty if there is none.
    """

    found: Found
    part: Part
    split: str
    shape: tuple[int, ...] = ()

    def feed(self, session: Session, preparation: Preparation, *, crops: bool = False) -> ModelFeed:
        """Return the samples for a model; open sizes that the user does not set are those of the run."""
        port = session.inputs[0]
        pairs = zip(port.shape[1:], self.shape, strict=True) if len(self.shape) + 1 == len(port.shape) else ()
        sizes = {name: size for name, size in pairs if isinstance(name, str)}
        return ModelFeed(session, self.part, replace(preparation, sizes={**sizes, **preparation.sizes}), crops)


def open_split(data: str | Path | None, split: str | None, runs: Sequence[TrainedRun | None] = ()) -> JudgedSamples:
    """Return the samples on which models are evaluated.

    If the user named the folder of a run, its data are split as in the run; other data keep their own splits. The split
    of a run is also taken if a model lies in its folder and the data have no held-out samples.

    Args:
        data: a data set, as in `netdsl.data.reading.read_data`; None takes the data of the runs.
        split: `test`, `val` or `train`; None takes the validation samples of the runs, or else `test`, or else `val`.
        runs: the run of each model; None for a model that belongs to no run.

    Raises:
        NetdslError: there is no such data set or no such split (E1001), it has no samples (E1006), it cannot be used,
            or a package is missing (E0907); no data are named and the models belong to no run, or to runs with
            different samples, or these are gone or have changed (E1109).
    """
    if data is None:
        return _of_runs(split, [run for run in runs if run is not None])
    found = read_data(data)
    named = [run for run in runs if run is not None and run.named]
    own = next((word for word in ("test", "val") if SPLITS[word] in found.parts), None)
    asked = named if named or split or own else [run for run in runs if run is not None]
    note = None
    if asked and all(run.prints == asked[0].prints for run in asked):
        word = split or asked[0].split
        divided = asked[0].divided(found, word)
        if divided is not None:
            return _part(divided, word, asked[0].shape)
        note = f"they are not the data of the run in `{asked[0].folder}`"
    return _part(found, split or own or "test", note=note)


def _of_runs(split: str | None, runs: list[TrainedRun]) -> JudgedSamples:
    if not runs:
        raise fail("E1109", "no data are named, and no model lies in the folder of a run",
                              help="name a data set: `--data DATA`")  # fmt: skip
    first = runs[0]
    for run in runs[1:]:
        if run.prints != first.prints:
            raise fail("E1109", f"the runs in `{first.folder}` and `{run.folder}` held out different samples",
                                  help="name a data set with held-out samples: `--data DATA --split test`")  # fmt: skip
    remedy = "`--data DATA` gives their present location"
    if first.data != DIGITS and not Path(first.data).exists():
        raise fail("E1109", f"the data of the run in `{first.folder}` are gone: there is no `{first.data}`",
                   help=remedy)  # fmt: skip
    word = split or first.split
    found = first.divided(read_data(first.data), word)
    if found is None:
        raise fail("E1109", f"`{first.data}` has changed since the run in `{first.folder}` was trained on it",
                   help=f"restore it; if the data are kept elsewhere, {remedy}; `--data {first.data}` takes what is "
                   "there now")  # fmt: skip
    return _part(found, word, first.shape)


def _part(found: Found, split: str, shape: tuple[int, ...] = (), note: str | None = None) -> JudgedSamples:
    parts = found.parts
    if SPLITS[split] not in parts:
        own = [word for word, name in SPLITS.items() if name in parts]
        raise fail(
            "E1001",
            f"`{found.name}` has no {SPLITS[split]} samples",
            notes=(note,) if note else (),
            help=f"it has {' and '.join(SPLITS[word] for word in own)} samples: `--split {own[0]}`; `netdsl test "
            "runs/NAME` tests a run's model on the samples that the run held out",
        )
    if not len(parts[SPLITS[split]]):
        raise fail("E1006", f"the {SPLITS[split]} data of `{found.name}` have no samples", help="add samples")
    return JudgedSamples(found, parts[SPLITS[split]], split, shape)


@dataclass(frozen=True)
class ModelFeed:
    """The samples of a split for one model.

    Args:
        session: the model, which has one input.
        part: the samples.
        preparation: how pixels are converted.
        crops: take ten views of every image; see `netdsl.evaluation.views`.

    Raises:
        NetdslError: the samples do not fit the input (E1008).
    """

    session: Session
    part: Part
    preparation: Preparation
    crops: bool = False

    def __post_init__(self) -> None:
        self.session.need_samples()
        if len(self.session.inputs) != 1:
            raise self.session.input_error(f"expected a model with one input, got {len(self.session.inputs)} inputs")
        self.session.need_open(self.preparation.sizes)
        if self.pictures:
            if not isinstance(self.part.inputs, np.ndarray):
                need_pixels(self.port, self.preparation, "E1008")
            elif channels_last(self.part.inputs, self.port.shape[1:]) is None:
                own = "x".join(map(str, self.part.inputs.shape[1:]))
                raise fail("E1008", "expected images of height x width, or with 1, 3 or 4 channels, got data of "
                           f"{own}", help="save images with the channels last")  # fmt: skip
        elif self.part.pictures(pixels=True) and self._numbers_fit() is None:
            raise fail("E1008", f"the data are images, and do not fit the input {self.port}",
                       help="images fit inputs of 1, 3 or 4 channels, a height and a width")  # fmt: skip
        elif self.crops:
            raise fail("E1008", "ten views are taken of images, but the data are arrays of numbers",
                       help="leave out `--ten-crop`, or give images")  # fmt: skip

    @cached_property
    def pictures(self) -> bool:
        """Whether the samples are images for this model."""
        return self.part.pictures(pixels=self.preparation.taken(self.port) is not None)

    @property
    def port(self) -> Port:
        """The model's input."""
        return self.session.inputs[0]

    def batches(self, most: int) -> Iterator[list[Array]]:
        """Yield all samples in order, at most `most` at a time: one array for each view, N x shape of the input."""
        if not self.pictures:
            values = self._numbers()
            for start in range(0, len(values), most):
                yield [values[start : start + most]]
            return
        with ThreadPoolExecutor() as pool:  # Pillow decodes and scales without Python's lock
            chunks = [range(start, min(start + most, len(self.part))) for start in range(0, len(self.part), most)]
            coming = [pool.submit(self.views, number) for number in chunks[0]]
            for after in [*chunks[1:], range(0)]:
                images = [future.result() for future in coming]
                coming = [pool.submit(self.views, number) for number in after]
                yield [self._stack(views) for views in zip(*images, strict=True)]

    def views(self, number: int) -> list[Array]:
        """Return one image, or its ten views, C x H x W."""
        image, asks = self._image(number), need_pixels(self.port, self.preparation)
        height, width = self.preparation.size(image, self.port)
        if not self.crops:
            return [self.preparation.apply(pixels_of(image, asks, height, width), self.port)]
        pixels = pixels_of(image, asks, larger(height), larger(width))
        return [self.preparation.apply(view, self.port) for view in ten_crops(pixels, height, width)]

    def pixels(self, number: int) -> Array:
        """Return one image as the model sees it, as bytes of height x width x channels."""
        (view,) = replace(self, crops=False).views(number)
        return self.preparation.pixels(view, self.port)

    def _image(self, number: int) -> Any:
        inputs: Sequence[Path] | Array = self.part.inputs
        if not isinstance(inputs, np.ndarray):
            return _opened(inputs[number])
        images = channels_last(inputs[number : number + 1], self.port.shape[1:])
        assert images is not None  # noqa: S101 - checked in `__post_init__`
        return from_bytes(images[0])

    def _stack(self, images: Sequence[Array]) -> Array:
        if any(image.shape != images[0].shape for image in images):
            open_sizes = [size for size in self.port.shape[2:] if isinstance(size, str)]
            options = " ".join(f"--size {size}=224" for size in open_sizes)
            raise fail("E1008", f"expected images of one size in a batch, and {self.port} leaves it open",
                       help=f"set it: `{options}`")  # fmt: skip
        return np.stack(images)

    def _numbers(self) -> Array:
        """Return arrays of numbers in the shape and type of the input."""
        values = self._numbers_fit()
        if values is None:
            assert isinstance(self.part.inputs, np.ndarray)  # noqa: S101 - all others are pictures
            own = "x".join(map(str, self.part.inputs.shape[1:]))
            raise fail("E1008", f"expected samples for {self.port}, got {own}",
                       help="reshape the arrays")  # fmt: skip
        return fitted(values, self.port, self.preparation)

    def _numbers_fit(self) -> Array | None:
        """Return the samples with their axes in the model's order; None if their shape differs."""
        values = self.part.inputs
        return arranged(values, self.port.shape[1:]) if isinstance(values, np.ndarray) else None


def _opened(path: Path) -> Any:
    """Open an image of the data set; raise E1005 if it cannot be read."""
    try:
        return read_image(path)
    except NetdslError as error:
        (found,) = error.diagnostics
        if found.code == "E0907":
            raise
        raise fail("E1005", found.message, help="repair or remove it") from error
