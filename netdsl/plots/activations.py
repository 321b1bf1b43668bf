"""The plot of every layer's activations for one input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.ir.types import format_shape
from netdsl.plots.drawing import GREY, MAP, SMALL, WIDTH, bare, mosaic, new_figure, number, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.pages.looking import LayerResult
    from netdsl.runtime.feeds import Array

MAX_LAYERS_SHOWN, MAX_MAPS_SHOWN = 40, 12
"""The number of layers that are shown, evenly spread from first to last; and of channels, the first of each layer."""

MAX_NAME_SHOWN = 44
"""The longest layer name, in characters."""


def draw_activations(steps: Sequence[LayerResult], title: str) -> Any:
    """Draw a row for each layer: its first channels as maps, or its values as a strip.

    The colours of each row range from its smallest value to its largest, which are written beside it.
    """
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MAX_LAYERS_SHOWN)).round().astype(int))
    shown = [steps[index] for index in chosen]
    if len(shown) < len(steps):
        title = f"{title}: {len(shown)} of {len(steps)} layers"
    heights = [0.36 if _is_strip(step.values) else 0.62 for step in shown]
    figure = new_figure(WIDTH + 2, sum(heights) + 0.12 * len(shown) + 0.9, words(title, 90))
    grid = figure.subplots(len(shown), 2, width_ratios=(1, 2.6), height_ratios=heights, squeeze=False)
    for step, (label, axes) in zip(shown, grid, strict=True):
        bare(axes)
        bare(label)
        _draw(axes, step.values)
        label.text(1, 0.5, words(_end(step.layer.name), MAX_NAME_SHOWN), ha="right", va="bottom", fontsize=SMALL + 1)
        caption = f"{step.layer.kind} {format_shape(step.values.shape)}, {_range(step.values)}"
        label.text(1, 0.44, words(caption, 60), ha="right", va="top", fontsize=SMALL, color=GREY)
    figure.supxlabel(
        "colours from the smallest value of a row (dark) to its largest (bright); "
        f"at most {MAX_MAPS_SHOWN} channels each",
        fontsize=SMALL,
    )
    return figure


def _end(name: str) -> str:
    """Shorten a path at its beginning, because the end distinguishes layers."""
    return name if len(name) <= MAX_NAME_SHOWN else f"…{name[1 - MAX_NAME_SHOWN :]}"


def _range(values: Array) -> str:
    finite = values[np.isfinite(values)]
    return f"{number(float(finite.min()))} to {number(float(finite.max()))}" if finite.size else "no finite value"


def _is_strip(values: Array) -> bool:
    return values.squeeze().ndim < 2


def _is_table(values: Array) -> bool:
    """Whether values are positions by features, or so long and narrow that they are not an image."""
    flat = values.squeeze()
    return values.ndim == 2 or (flat.ndim == 2 and max(flat.shape) > 3 * min(flat.shape))


def _draw(axes: Any, values: Array) -> None:
    if _is_strip(values):
        axes.imshow(values.reshape(1, -1), cmap=MAP, aspect="auto")
    elif _is_table(values):
        axes.imshow(values.squeeze(), cmap=MAP, aspect="auto")
    else:
        maps = values.reshape(-1, *values.shape[-2:])[:MAX_MAPS_SHOWN]
        axes.imshow(mosaic(maps, MAX_MAPS_SHOWN), cmap=MAP, interpolation="nearest" if maps.shape[-1] < 64 else None)
        axes.set_anchor("W")
