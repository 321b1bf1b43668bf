"""The samples of a data set as a model takes them, in batches."""

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
    """What models are judged by.

    Attributes:
        found: the data set.
        part: the samples of it.
        split: `test`, `val` or `train`.
        shape: the shape of a sample that a run of these data has recorded; empty where there is none.
    """

    found: Found
    part: Part
    split: str
    shape: tuple[int, ...] = ()

    def feed(self, session: Session, preparation: Preparation, *, crops: bool = False) -> ModelFeed:
        """The samples for a model; images get the size that the run gave them, where model and user leave it open."""
        port = session.inputs[0]
        pairs = zip(port.shape[1:], self.shape, strict=True) if len(self.shape) + 1 == len(port.shape) else ()
        sizes = {name: size for name, size in pairs if isinstance(name, str)}
        return ModelFeed(session, self.part, replace(preparation, sizes={**sizes, **preparation.sizes}), crops)


def open_split(data: str | Path | None, split: str | None, runs: Sequence[TrainedRun | None] = ()) -> JudgedSamples:
    """The samples by which models are judged.

    On the data of a run whose folder was named they are divided as the run divided them, and else as they divide
    themselves. Those of a run are also taken where a model lies in its folder and the data hold nothing out.

    Args:
        data: a data set as `netdsl.data.reading.read_data` reads it; None takes the runs'.
        split: `test`, `val` or `train`; None takes what judged the runs' epochs, or else `test`, or else `val`.
        runs: the run of each model, None for a model that belongs to none.

    Raises:
        NetdslError: there is no such data or no such split (E1001), it has no samples (E1006), it cannot be used, or a
            package is missing (E0907); no data are named and the models belong to no run, or to runs of different
            samples, or these are gone or have changed (E1109).
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
                   help="name data to judge by: `--data DATA`")  # fmt: skip
    first = runs[0]
    for run in runs[1:]:
        if run.prints != first.prints:
            raise fail("E1109", f"the runs in `{first.folder}` and `{run.folder}` held out different samples",
                       help="name data that hold samples out: `--data DATA --split test`")  # fmt: skip
    remedy = "`--data DATA` says where they are now"
    if first.data != DIGITS and not Path(first.data).exists():
        raise fail("E1109", f"the data of the run in `{first.folder}` are gone: there is no `{first.data}`",
                   help=remedy)  # fmt: skip
    word = split or first.split
    found = first.divided(read_data(first.data), word)
    if found is None:
        raise fail("E1109", f"`{first.data}` has changed since the run in `{first.folder}` learned from it",
                   help=f"restore it; where the data are kept elsewhere, {remedy}; `--data {first.data}` judges by "
                   "what is there now")  # fmt: skip
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
            "runs/NAME` judges a run's model by what the run held out",
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
        preparation: what happens to pixels.
        crops: cut ten views out of every image; see `netdsl.evaluation.views`.

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
            raise self.session.input_error(f"data have one input, and the model takes {len(self.session.inputs)}")
        self.session.need_open(self.preparation.sizes)
        if self.pictures:
            if not isinstance(self.part.inputs, np.ndarray):
                need_pixels(self.port, self.preparation, "E1008")
            elif channels_last(self.part.inputs, self.port.shape[1:]) is None:
                own = "x".join(map(str, self.part.inputs.shape[1:]))
                raise fail("E1008", "an image is height x width, or that and 1, 3 or 4 channels, and the data are "
                           f"{own}", help="save images with the channels last")  # fmt: skip
        elif self.part.pictures(pixels=True) and self._numbers_fit() is None:
            raise fail("E1008", f"the data are images, and do not fit the input {self.port}",
                       help="images fit inputs of 1, 3 or 4 channels, a height and a width")  # fmt: skip
        elif self.crops:
            raise fail("E1008", "ten views are cut out of images, and the data are arrays of numbers",
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
        """All samples in order, `most` or fewer at a time: one array for each view, N x shape of the input."""
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
        """One image, or its ten views, C x H x W."""
        image, asks = self._image(number), need_pixels(self.port, self.preparation)
        height, width = self.preparation.size(image, self.port)
        if not self.crops:
            return [self.preparation.apply(pixels_of(image, asks, height, width), self.port)]
        pixels = pixels_of(image, asks, larger(height), larger(width))
        return [self.preparation.apply(view, self.port) for view in ten_crops(pixels, height, width)]

    def pixels(self, number: int) -> Array:
        """One image as the model sees it, bytes of shape height x width x channels."""
        (view,) = replace(self, crops=False).views(number)
        return self.preparation.pixels(view, self.port)

    def _image(self, number: int) -> Any:
        inputs: Sequence[Path] | Array = self.part.inputs
        if not isinstance(inputs, np.ndarray):
            return _opened(inputs[number])
        images = channels_last(inputs[number : number + 1], self.port.shape[1:])
        assert images is not None  # noqa: S101 - seen to at the start
        return from_bytes(images[0])

    def _stack(self, images: Sequence[Array]) -> Array:
        if any(image.shape != images[0].shape for image in images):
            open_sizes = [size for size in self.port.shape[2:] if isinstance(size, str)]
            options = " ".join(f"--size {size}=224" for size in open_sizes)
            raise fail("E1008", f"images of a batch must be of one size, and {self.port} leaves it open",
                       help=f"give one: `{options}`")  # fmt: skip
        return np.stack(images)

    def _numbers(self) -> Array:
        """Arrays of numbers as the model takes them."""
        values = self._numbers_fit()
        if values is None:
            assert isinstance(self.part.inputs, np.ndarray)  # noqa: S101 - what is no array are pictures
            own = "x".join(map(str, self.part.inputs.shape[1:]))
            raise fail("E1008", f"a sample of the data is {own}, and the model takes {self.port}",
                       help="reshape the arrays")  # fmt: skip
        return fitted(values, self.port, self.preparation)

    def _numbers_fit(self) -> Array | None:
        """The samples with their axes in the model's order; None where they have another shape."""
        values = self.part.inputs
        return arranged(values, self.port.shape[1:]) if isinstance(values, np.ndarray) else None


def _opened(path: Path) -> Any:
    """An image of the data set; E1005 where it cannot be read."""
    try:
        return read_image(path)
    except NetdslError as error:
        (found,) = error.diagnostics
        if found.code == "E0907":
            raise
        raise fail("E1005", found.message, help="mend or remove it") from error
