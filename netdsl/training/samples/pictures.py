"""Images that worker processes read and scale when a batch needs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from netdsl.base.diagnostics import Diagnostic, NetdslError
from netdsl.base.processes import processors
from netdsl.data.images import read_image
from netdsl.runtime.preparation import from_bytes, pixels_of
from netdsl.training.samples.batches import as_input, shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from netdsl.data.parts import Array
    from netdsl.ir.meaning import Pixels

_MAX_IMAGES_READ_ALONE = 512
"""Up to this many images are read without worker processes, which would take longer to start."""


@dataclass(frozen=True)
class Pictures:
    """Images on disk, or small ones in memory, that are scaled as in `netdsl run` when a batch needs them.

    Attributes:
        images: files, or bytes N x H x W or N x H x W x channels.
        targets: N x anything.
        shape: channels, height and width for the net.
        asks: the pixels that the net takes.
        dtype: the type of its input; values from 0 to 1, or bytes.
        workers: the number of worker processes; None divides the cores, and takes none for few images.
    """

    images: Sequence[Path] | Array
    targets: torch.Tensor
    shape: tuple[int, int, int]
    asks: Pixels
    dtype: torch.dtype
    workers: int | None = None

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1) -> PictureBatches:
        """Return all images once, in batches read by worker processes; see `batches.Batches`."""
        return PictureBatches(self, size, order, rank=rank, world=world)

    def take(self, chosen: Sequence[int]) -> Pictures:
        """Return the images with these numbers."""
        picked = self.images[chosen] if isinstance(self.images, np.ndarray) else [self.images[i] for i in chosen]
        return replace(self, images=picked, targets=self.targets[chosen])

    def read(self, index: int) -> Array:
        """Read one image as bytes of `shape`.

        Raises:
            NetdslError: it cannot be read (E1005).
        """
        _, height, width = self.shape
        image = from_bytes(self.images[index]) if isinstance(self.images, np.ndarray) else _opened(self.images[index])
        return pixels_of(image, self.asks, height, width).transpose(2, 0, 1)


class PictureBatches:
    """The equivalent of `netdsl.training.samples.batches.Batches` for `Pictures`."""

    def __init__(
        self, pictures: Pictures, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1
    ) -> None:
        self.pictures, self.size, self.order, self.rank, self.world = pictures, size, order, rank, world

    def __len__(self) -> int:
        return ceil(len(self._order) / (self.size * self.world))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = self._order
        chunks = [order[share].tolist() for share in shares(len(order), self.size, self.rank, self.world)]
        for batch in read_chunks(self.pictures, chunks, self.world):
            if batch.troubles:
                raise NetdslError(list(batch.troubles.values()))
            inputs = torch.from_numpy(batch.pixels)
            dtype = None if self.pictures.dtype is torch.uint8 else self.pictures.dtype
            yield as_input(inputs, dtype), self.pictures.targets[batch.numbers]

    @property
    def _order(self) -> torch.Tensor:
        return torch.arange(len(self.pictures)) if self.order is None else self.order


@dataclass(frozen=True)
class Chunk:
    """The images that a worker has read: their numbers, their pixels, and the problems of others by number.

    The pixels are an array and not a tensor, because a tensor would need shared memory, which containers limit.
    """

    numbers: list[int]
    pixels: Array
    troubles: dict[int, Diagnostic]


class _Reader(Dataset[Chunk]):
    """Reads images by their numbers, in a worker process or not."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __getitem__(self, numbers: Any) -> Chunk:
        pixels = np.empty((len(numbers), *self.pictures.shape), np.uint8)
        good: list[int] = []
        troubles = {}
        for number in numbers:
            try:
                pixels[len(good)] = self.pictures.read(number)
                good.append(number)
            except NetdslError as error:  # passed on as a value: as an exception it would lose its diagnostics
                troubles[number] = error.diagnostics[0]
        return Chunk(good, pixels[: len(good)], troubles)


def read_chunks(pictures: Pictures, chunks: list[list[int]], world: int = 1) -> Iterator[Chunk]:
    """Yield the images of each chunk of numbers, in this order; `world` processes share the cores."""
    workers = pictures.workers
    if workers is None:
        workers = 0 if sum(map(len, chunks)) <= _MAX_IMAGES_READ_ALONE else max(1, processors() // world)
    return iter(
        DataLoader(
            _Reader(pictures),
            batch_size=None,
            sampler=chunks,
            num_workers=min(workers, len(chunks)),
            collate_fn=_unchanged,
            generator=torch.Generator(),  # otherwise it would advance the generator of the training
        )
    )


def _unchanged(batch: Any) -> Any:
    return batch


def _opened(path: Path) -> Any:
    try:
        return read_image(path)
    except NetdslError as error:
        (found,) = error.diagnostics
        if found.code == "E0907":
            raise
        remedy = f"repair or remove it, or continue without such images: `--skip-bad`; {found.help or ''}"
        raise NetdslError(replace(found, code="E1005", help=remedy.removesuffix("; "))) from error
