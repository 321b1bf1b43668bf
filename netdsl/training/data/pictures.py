"""Images that are scaled to what a net takes: once, where memory holds them all, or when a batch asks for them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from netdsl.diagnostics import Diagnostic, NetdslError
from netdsl.runtime.pictures import pixels_of, read_image
from netdsl.training.batches import Samples, as_input, shares
from netdsl.training.data.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from netdsl.training.data.parts import Array

MOST_BYTES = 2 * 10**9
"""Images of a split that take no more, a byte for each value, are kept in memory."""
_CHUNK = 64
"""Images that are read at a time in the pass before the first epoch."""
_FEW = 512
"""So many are read without help from other processes, which would take longer to start."""


@dataclass(frozen=True)
class Pictures:
    """Images on disk, or smaller ones in memory, that are scaled as `netdsl run` does when a batch asks for them.

    Attributes:
        images: files, or bytes N x H x W or N x H x W x channels.
        targets: N x anything.
        shape: channels, height and width that a net takes.
        dtype: what its input holds; values from 0 to 1, or bytes.
        workers: processes that read; None takes one for each core, or none for a few images.
    """

    images: Sequence[Path] | Array
    targets: torch.Tensor
    shape: tuple[int, int, int]
    dtype: torch.dtype
    workers: int | None = None

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1) -> PictureBatches:
        """All images once, in batches, read by processes of their own; see `netdsl.training.batches.Batches`."""
        return PictureBatches(self, size, order, rank=rank, world=world)

    def take(self, chosen: Sequence[int]) -> Pictures:
        """The images of these numbers."""
        picked = self.images[chosen] if isinstance(self.images, np.ndarray) else [self.images[i] for i in chosen]
        return replace(self, images=picked, targets=self.targets[chosen])

    def read(self, index: int) -> Array:
        """One image, bytes of `shape`.

        Raises:
            NetdslError: it cannot be read (E1005).
        """
        from PIL import Image  # noqa: PLC0415 - Pillow comes with the extras that run models

        channels, height, width = self.shape
        if not isinstance(self.images, np.ndarray):
            return pixels_of(_opened(self.images[index]), channels, height, width).transpose(2, 0, 1)
        pixels = self.images[index]
        pixels = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
        return pixels_of(Image.fromarray(pixels), channels, height, width).transpose(2, 0, 1)


class PictureBatches:
    """As `netdsl.training.batches.Batches`, for `Pictures`."""

    def __init__(
        self, pictures: Pictures, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1
    ) -> None:
        self.pictures, self.size, self.order, self.rank, self.world = pictures, size, order, rank, world

    def __len__(self) -> int:
        return ceil(len(self.pictures) / (self.size * self.world))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.pictures)
        order = torch.arange(count) if self.order is None else self.order
        chunks = [order[share].tolist() for share in shares(count, self.size, self.rank, self.world)]
        for batch in _read(self.pictures, chunks):
            if batch.troubles:
                raise NetdslError(list(batch.troubles.values()))
            inputs = torch.from_numpy(batch.pixels)
            dtype = None if self.pictures.dtype is torch.uint8 else self.pictures.dtype
            yield as_input(inputs, dtype), self.pictures.targets[batch.numbers]


@dataclass(frozen=True)
class _Batch:
    """What a process has read: the numbers of images, their pixels, and what was wrong with others by number."""

    numbers: list[int]
    pixels: Array
    troubles: dict[int, Diagnostic]


class _Reader(Dataset[_Batch]):
    """Reads images by their numbers, in whichever process."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __getitem__(self, numbers: Any) -> _Batch:
        pixels = np.empty((len(numbers), *self.pictures.shape), np.uint8)
        good: list[int] = []
        troubles = {}
        for number in numbers:
            try:
                pixels[len(good)] = self.pictures.read(number)
                good.append(number)
            except NetdslError as error:  # handed over as a value: an exception would lose its diagnostics on the way
                troubles[number] = error.diagnostics[0]
        return _Batch(good, pixels[: len(good)], troubles)


def _read(pictures: Pictures, chunks: list[list[int]]) -> Iterator[_Batch]:
    """The images of each chunk, in this order."""
    few = sum(map(len, chunks)) <= _FEW
    workers = pictures.workers if pictures.workers is not None else 0 if few else len(os.sched_getaffinity(0))
    return iter(
        DataLoader(
            _Reader(pictures),
            batch_size=None,
            sampler=chunks,
            num_workers=min(workers, len(chunks)),
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # or it would draw from the one that training draws from
        )
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def prepare(
    pictures: Pictures, *, skip_bad: bool = False, most_bytes: int = MOST_BYTES
) -> tuple[Samples | Pictures, Moments, tuple[Diagnostic, ...]]:
    """Read all images once, and keep them if they take no more than `most_bytes`.

    Returns:
        The images that can be read, in memory or still to be read; mean and deviation of their channels; and what is
        wrong with the others.

    Raises:
        NetdslError: an image cannot be read (E1005), unless bad ones are skipped; the first of them are named.
    """
    count = len(pictures)
    dtype = None if pictures.dtype is torch.uint8 else pictures.dtype
    if (stored := _fitting(pictures)) is not None and stored.numel() <= most_bytes:
        moments = Moments(pictures.shape[0])
        moments.add(stored)
        return Samples(stored, pictures.targets, dtype), moments, ()
    keep = count * prod(pictures.shape) <= most_bytes
    kept = np.empty((count if keep else 0, *pictures.shape), np.uint8)
    moments, good = Moments(pictures.shape[0]), list[int]()
    troubles: list[Diagnostic] = []
    for batch in _read(pictures, [list(range(first, min(first + _CHUNK, count))) for first in range(0, count, _CHUNK)]):
        troubles += batch.troubles.values()
        if batch.troubles and not skip_bad:
            raise NetdslError(troubles)
        if keep:
            kept[len(good) : len(good) + len(batch.numbers)] = batch.pixels
        moments.add(torch.from_numpy(batch.pixels))
        good += batch.numbers
    if not keep:
        return (pictures.take(good) if troubles else pictures), moments, tuple(troubles)
    return (
        Samples(torch.from_numpy(kept[: len(good)]), pictures.targets[good] if troubles else pictures.targets, dtype),
        moments,
        tuple(troubles),
    )


def _fitting(pictures: Pictures) -> torch.Tensor | None:
    """The images as they lie in memory, if they have the net's size and channels already."""
    images, (channels, height, width) = pictures.images, pictures.shape
    if not isinstance(images, np.ndarray) or images.shape[1:] not in ((height, width), (height, width, channels)):
        return None
    if images.ndim == 3:
        return torch.from_numpy(np.array(images[:, None])) if channels == 1 else None
    return torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C"))


def _opened(path: Path) -> Any:
    try:
        return read_image(path)
    except NetdslError as error:
        (found,) = error.diagnostics
        if found.code == "E0907":
            raise
        remedy = f"mend or remove it, or go on without such images: `--bad-images skip`; {found.help or ''}"
        raise NetdslError(replace(found, code="E1005", help=remedy.removesuffix("; "))) from error
