"""One pass over all images before the first epoch: check them, compute statistics, and keep small sets in memory."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch

from netdsl.base.diagnostics import NetdslError
from netdsl.training.samples.batches import Samples
from netdsl.training.samples.moments import Moments
from netdsl.training.samples.pictures import read_chunks

if TYPE_CHECKING:
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.training.samples.pictures import Pictures

MAX_KEPT_BYTES = 2 * 10**9
"""The images of a split are kept in memory if they take at most this many bytes, one for each value."""
_IMAGES_AT_ONCE = 64
"""The number of images read at a time."""


def prepare(
    pictures: Pictures, *, skip_bad: bool = False, most_bytes: int = MAX_KEPT_BYTES
) -> tuple[Samples | Pictures, Moments, dict[int, Diagnostic]]:
    """Read all images once, and keep them in memory if they take at most `most_bytes`.

    Returns:
        The images that can be read, in memory or on disk; mean and deviation of their channels; and the problems of
        the others, by their numbers.

    Raises:
        NetdslError: an image cannot be read (E1005), unless bad ones are skipped; all bad ones of a chunk are named.
    """
    count = len(pictures)
    dtype = None if pictures.dtype is torch.uint8 else pictures.dtype
    if (stored := _fitting(pictures)) is not None and stored.numel() <= most_bytes:
        moments = Moments(pictures.shape[0])
        moments.add(stored)
        return Samples(stored, pictures.targets, dtype), moments, {}
    keep = count * prod(pictures.shape) <= most_bytes
    kept = np.empty((count if keep else 0, *pictures.shape), np.uint8)
    moments, good = Moments(pictures.shape[0]), list[int]()
    troubles: dict[int, Diagnostic] = {}
    chunks = [list(range(first, min(first + _IMAGES_AT_ONCE, count))) for first in range(0, count, _IMAGES_AT_ONCE)]
    for chunk in read_chunks(pictures, chunks):
        troubles |= chunk.troubles
        if chunk.troubles and not skip_bad:
            raise NetdslError([*troubles.values()])
        if keep:
            kept[len(good) : len(good) + len(chunk.numbers)] = chunk.pixels
        moments.add(torch.from_numpy(chunk.pixels))
        good += chunk.numbers
    if not keep:
        return (pictures.take(good) if troubles else pictures), moments, troubles
    return (
        Samples(torch.from_numpy(kept[: len(good)]), pictures.targets[good] if troubles else pictures.targets, dtype),
        moments,
        troubles,
    )


def _fitting(pictures: Pictures) -> torch.Tensor | None:
    """Return the images as they are in memory, if they have the net's size and channels already."""
    images, (channels, height, width) = pictures.images, pictures.shape
    if not isinstance(images, np.ndarray) or pictures.asks.order == "bgr":
        return None
    if images.shape[1:] not in ((height, width), (height, width, channels)):
        return None
    if images.ndim == 3:
        return torch.from_numpy(np.array(images[:, None])) if channels == 1 else None
    return torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C"))
