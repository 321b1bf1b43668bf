"""The plot of a confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.plots.drawing import SMALL, TEXT, new_figure, words

if TYPE_CHECKING:
    from netdsl.evaluation import ClassEvaluation

MAX_CLASSES_WITH_NUMBERS, MAX_CLASSES_WITH_NAMES = 20, 60
"""With more classes, the cells have no counts; with still more, the axes have no names."""


def draw_confusion(found: ClassEvaluation) -> Any:
    """Draw the confusion matrix.

    A row is a true class, and the colour of a cell is the fraction of its samples predicted as each class.
    """
    count = found.classes
    side = float(np.clip(2.6 + 0.3 * count, 4.2, 13))
    unit = "samples" if found.positions == 1 else "positions"
    figure = new_figure(side + 1, side, f"{100 * found.accuracy:.2f} % of {len(found.targets):,} {unit} right")
    from matplotlib.colors import PowerNorm  # noqa: PLC0415 - `new_figure` has said what to do if it is missing

    axes = figure.subplots()
    samples = found.confusion.sum(1, keepdims=True)
    parts = 100 * found.confusion / np.maximum(samples, 1)
    norm = PowerNorm(1 if count <= MAX_CLASSES_WITH_NAMES else 0.5, vmin=0, vmax=100)  # small cells need strong colours
    image = axes.imshow(parts, cmap="Blues", norm=norm, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("part of the true class (%)", fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
    axes.set_xlabel("predicted class", fontsize=TEXT)
    axes.set_ylabel("true class", fontsize=TEXT)
    axes.tick_params(labelsize=SMALL)
    if count <= MAX_CLASSES_WITH_NAMES:
        names = [words(found.name(number), 16) for number in range(count)]
        long = max(map(len, names)) > 2
        axes.set_xticks(range(count), names, rotation=90 if long else 0)
        axes.set_yticks(range(count), names)
    if count <= MAX_CLASSES_WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(found.confusion):
            if value:
                shade = "white" if parts[row, column] > 55 else "black"
                axes.text(column, row, f"{value}", ha="center", va="center", fontsize=SMALL, color=shade)
    return figure
