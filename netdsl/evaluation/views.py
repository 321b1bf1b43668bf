"""Ten views of an image: its corners and its centre, and the same mirrored.

Their probabilities are averaged. Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
convolutional neural networks" (2012), section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array

MARGIN = 8 / 7
"""The size of an image relative to a view of it: 256 to 224, as in the paper."""


def larger(side: int) -> int:
    """Return the size to which an image is scaled before views of size `side` are taken: 256 for 224, 32 for 28."""
    return round(side * MARGIN)


def ten_crops(pixels: Array, height: int, width: int) -> list[Array]:
    """Return the four corners and the centre of an image, H x W x channels, and the five mirrored left to right."""
    down, right = pixels.shape[0] - height, pixels.shape[1] - width
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    views = [pixels[top : top + height, left : left + width] for top, left in corners]
    return views + [view[:, ::-1] for view in views]
