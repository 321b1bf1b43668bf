"""The samples of a data set as a model takes them, in batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.diagnostics import NetdslError, fail
from netdsl.evaluation.views import larger, ten_crops
from netdsl.packages import need
from netdsl.runtime.feeds import fitted
from netdsl.runtime.images import read_image
from netdsl.runtime.pictures import MODES, pixels_of, takes_pictures
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
        if self.part.pictures:
            own: tuple[int, ...] = self.part.inputs.shape if isinstance(self.part.inputs, np.ndarray) else ()
            if len(own) > 4 or (len(own) == 4 and own[3] not in MODES):
                raise fail("E1008", "an image is height x width, or that and 1, 3 or 4 channels, and the data are "
                           f"{'x'.join(map(str, own[1:]))}", help="save images with the channels last")  # fmt: skip
            if not takes_pictures(self.port):
                raise fail("E1008", f"the data are images, and do not fit the input {self.port}",
                           help="images fit inputs of 1, 3 or 4 channels, a height and a width")  # fmt: skip
        elif self.crops:
            raise fail("E1008", "ten views are cut out of images, and the data are arrays of numbers",
                       help="leave out `--ten-crop`, or give images")  # fmt: skip

    @property
    def port(self) -> Port:
        """The model's input."""
        return self.session.inputs[0]

    def batches(self, most: int) -> Iterator[list[Array]]:
        """All samples in order, `most` or fewer at a time: one array for each view, N x shape of the input."""
        if not self.part.pictures:
            values = fitted(self._arranged(), self.port, self.preparation)
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
        image = self._image(number)
        channels, (height, width) = int(self.port.shape[1]), self.preparation.size(image, self.port)
        if not self.crops:
            return [self.preparation.apply(pixels_of(image, channels, height, width), self.port)]
        pixels = pixels_of(image, channels, larger(height), larger(width))
        return [self.preparation.apply(view, self.port) for view in ten_crops(pixels, height, width)]

    def pixels(self, number: int) -> Array:
        """One image as the model sees it, bytes of shape height x width x channels."""
        image = self._image(number)
        return pixels_of(image, int(self.port.shape[1]), *self.preparation.size(image, self.port))

    def _image(self, number: int) -> Any:
        inputs: Sequence[Path] | Array = self.part.inputs
        if not isinstance(inputs, np.ndarray):
            return _opened(inputs[number])
        pixels = inputs[number][..., 0] if inputs.shape[3:] == (1,) else inputs[number]
        return need("PIL.Image", "reading images").fromarray(pixels)

    def _stack(self, images: Sequence[Array]) -> Array:
        if any(image.shape != images[0].shape for image in images):
            open_sizes = [size for size in self.port.shape[2:] if isinstance(size, str)]
            options = " ".join(f"--size {size}=224" for size in open_sizes)
            raise fail("E1008", f"images of a batch must be of one size, and {self.port} leaves it open",
                       help=f"give one: `{options}`")  # fmt: skip
        return np.stack(images)

    def _arranged(self) -> Array:
        """Arrays of numbers with the channels first, as netdsl's trainer arranges them."""
        values, shape = self.part.inputs, self.port.shape[1:]
        assert isinstance(values, np.ndarray)  # noqa: S101 - what is no array are pictures
        own = values.shape[1:]
        if _fits(own, shape):
            return values
        if len(own) == len(shape) == 3 and _fits((own[2], *own[:2]), shape):
            return values.transpose(0, 3, 1, 2)
        if len(own) == 2 and len(shape) == 3 and _fits((1, *own), shape):
            return values[:, None]
        raise fail("E1008", f"a sample of the data is {'x'.join(map(str, own))}, and the model takes {self.port}",
                   help="reshape the arrays")  # fmt: skip


def _opened(path: Path) -> Any:
    """An image of the data set; E1005 where it cannot be read."""
    try:
        return read_image(path)
    except NetdslError as error:
        (found,) = error.diagnostics
        if found.code == "E0907":
            raise
        raise fail("E1005", found.message, help="mend or remove it") from error


def _fits(own: tuple[int, ...], due: Sequence[int | str]) -> bool:
    return len(own) == len(due) and all(isinstance(d, str) or d == o for o, d in zip(own, due, strict=True))
