"""Ten views of an image: its corners and its middle, and the same mirrored.

Their probabilities are averaged. Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
convolutional neural networks" (2012), section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array

MARGIN = 8 / 7
"""How much larger an image is than what is cut out of it: 256 for 224, as in the paper."""


def larger(side: int) -> int:
    """The side that an image is scaled to before views of `side` are cut out of it: 256 for 224, 32 for 28."""
    return round(side * MARGIN)


def ten_crops(pixels: Array, height: int, width: int) -> list[Array]:
    """The four corners and the middle of an image, H x W x channels, and the five mirrored left to right."""
    down, right = pixels.shape[0] - height, pixels.shape[1] - width
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    views = [pixels[top : top + height, left : left + width] for top, left in corners]
    return views + [view[:, ::-1] for view in views]
