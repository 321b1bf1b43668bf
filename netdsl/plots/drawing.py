"""What all plots share: figures, colours, text, and writing to a file."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from netdsl.base.diagnostics import visible
from netdsl.base.files import whole_file
from netdsl.base.packages import need

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.runtime.feeds import Array

FIRST, SECOND = "#0072B2", "#D55E00"
"""Blue and vermilion, which colour-blind people can distinguish (Okabe and Ito, "Color universal design", 2008)."""
GREY = "#767676"
MAP = "viridis"
"""A perceptually uniform colour map, which also works for colour-blind people and in print."""

WIDTH = 8.0
"""The width of a plot in inches, unless it must be wider."""
DPI = 150
TITLE, TEXT, SMALL = 11, 9, 7.5
"""Font sizes in points."""


def new_figure(width: float, height: float, title: str = "") -> Any:
    """Return an empty matplotlib Figure of a size in inches.

    Raises:
        NetdslError: matplotlib is not installed (E0907).
    """
    make = need("matplotlib.figure", "drawing").Figure
    figure = make(figsize=(width, height), layout="constrained", facecolor="white")
    if title:
        figure.suptitle(title, fontsize=TITLE)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure in the format of the path's ending: `.png` with 150 dots per inch, or `.svg`.

    Raises:
        NetdslError: the file cannot be written (E0902, E0903).
    """
    with whole_file(path) as file:
        _write(figure, file, path.suffix.lower().removeprefix("."))


def as_png(figure: Any) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = BytesIO()
    _write(figure, buffer, "png")
    return buffer.getvalue()


def _write(figure: Any, file: BinaryIO, form: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box replaces a character that the font lacks
        figure.savefig(file, format=form, dpi=DPI)


def words(text: str, most: int = 24) -> str:
    """Escape a text for matplotlib, and shorten it to `most` characters."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return visible(short).replace("\n", " ").replace("$", r"\$")


def number(value: float) -> str:
    """Format a number with three digits and a typographic minus sign."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def bare(axes: Any) -> None:
    """Remove ticks and frame, for images."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def show_picture(axes: Any, picture: Array) -> None:
    """Draw an image, bytes of height x width x channels, grey if it has one channel."""
    bare(axes)
    if picture.shape[2] == 1:
        axes.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    else:
        axes.imshow(picture, interpolation="nearest")


def mosaic(tiles: Array, columns: int) -> Array:
    """Arrange tiles of one size in rows, with gaps of NaN that are a tenth of a tile wide.

    Small tiles are enlarged first, every value to a square, so that the gap can be that narrow.

    Args:
        tiles: count x height x width, or count x height x width x 3.
        columns: the number of tiles in a row.
    """
    factor = max(1, round(20 / max(tiles.shape[1:3])))
    large = tiles.repeat(factor, 1).repeat(factor, 2)
    count, height, width, *depth = large.shape
    gap = round(max(height, width) / 10)
    rows = -(-count // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *depth), np.nan, np.float32)
    for place, tile in enumerate(large):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        whole[top : top + height, left : left + width] = tile
    return whole
