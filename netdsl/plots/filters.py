"""The plot of the first layer's filters."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.plots.drawing import SMALL, WIDTH, bare, mosaic, new_figure, number, words

if TYPE_CHECKING:
    from netdsl.runtime.feeds import Array

MAX_TILES, MIN_COLUMNS = 256, 8


def draw_filters(name: str, weights: Array) -> Any:
    """Draw filters as images, all on one scale, so that weak filters look weak.

    Filters of three channels are shown in colour, red, green and blue as in the image; otherwise each channel is a grey
    tile, with the channels of a filter side by side.

    Args:
        name: the name of the weights.
        weights: filters x channels x height x width; at most `MAX_TILES` tiles are shown, the first ones.
    """
    values = weights.astype(np.float32)
    coloured = values.shape[1] == 3
    each = 1 if coloured else values.shape[1]
    chosen = values[: max(1, MAX_TILES // each)]
    tiles = chosen.transpose(0, 2, 3, 1) if coloured else chosen.reshape(-1, *values.shape[2:])[:MAX_TILES]
    low, high = float(tiles.min()), float(tiles.max())
    columns = max(MIN_COLUMNS, ceil(sqrt(2 * len(tiles)) / each) * each)
    rows = ceil(len(tiles) / columns)
    count, *shape = values.shape
    some = f"the first {len(chosen)} of " if len(chosen) < count else ""
    title = f"{words(name, 60)}: {some}{count} filters of {'x'.join(map(str, shape))}"
    figure = new_figure(WIDTH, WIDTH * rows / columns * tiles.shape[1] / tiles.shape[2] + 0.8, title)
    axes = figure.subplots()
    bare(axes)
    whole = mosaic((tiles - low) / (high - low or 1), columns)
    if coloured:
        whole = np.nan_to_num(whole, nan=1.0)
        axes.imshow(whole, interpolation="nearest")
        note = f"red, green and blue from {number(low)} (dark) to {number(high)} (bright), one scale for all"
    else:
        axes.imshow(whole, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        note = f"from {number(low)} (black) to {number(high)} (white), one scale for all"
    axes.set_xlabel(note, fontsize=SMALL)
    return figure
