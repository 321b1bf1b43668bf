"""The samples of a data set as a model takes them, in batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.diagnostics import NetdslError, fail
from netdsl.evaluation.views import larger, ten_crops
from netdsl.runtime.feeds import fitted
from netdsl.runtime.images import read_image
from netdsl.runtime.pictures import channels_last, from_bytes, need_pixels, pixels_of
from netdsl.runtime.taking import arranged
from netdsl.training.data.reading import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from netdsl.runtime import Port, Session
    from netdsl.runtime.feeds import Array
    from netdsl.runtime.pictures import Preparation
    from netdsl.training.data.parts import Found, Part

SPLITS = {"test": "test", "val": "validation", "train": "training"}
"""The splits of a data set: the word for the command line, and that for a message."""


def open_split(data: str | Path, split: str) -> tuple[Found, Part]:
    """A data set and one of its splits, as `netdsl.training.data.reading.read_data` reads it.

    Raises:
        NetdslError: there is no such data or no such split (E1001), it has no samples (E1006), it cannot be used, or a
            package is missing (E0907).
    """
    found = read_data(data)
    parts = found.parts
    if SPLITS[split] not in parts:
        own = [word for word, name in SPLITS.items() if name in parts]
        raise fail(
            "E1001",
            f"`{data}` has no {SPLITS[split]} samples",
            help=f"it has {' and '.join(SPLITS[word] for word in own)} samples: `--split {own[0]}`",
        )
    part = parts[SPLITS[split]]
    if not len(part):
        raise fail("E1006", f"the {SPLITS[split]} data of `{data}` have no samples", help="add samples")
    return found, part


@dataclass(frozen=True)
class Feed:
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
