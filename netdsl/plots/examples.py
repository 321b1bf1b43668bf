"""Plots of images with the answers of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.plots.drawing import FIRST, SMALL, TEXT, WIDTH, bare, new_figure, show_picture, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.evaluation import ClassEvaluation
    from netdsl.runtime.feeds import Array, Ranking

MAX_EXAMPLES, COLUMNS = 40, 8


def draw_classes(picture: Array, ranking: Ranking, title: str) -> Any:
    """Draw an image as the model sees it, and its most likely classes as bars.

    Args:
        picture: bytes of height x width x channels.
        ranking: the classes.
        title: the title of the figure.
    """
    names = [words(name, 28) for name, _ in ranking.classes]
    values = [value for _, value in ranking.classes]
    figure = new_figure(WIDTH, max(2.8, 0.32 * len(names) + 1), words(title, 80))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    show_picture(left, picture)
    percent = ranking.meaning not in ("score", "distance")
    factor = 100 if percent else 1
    bars = right.barh(range(len(names)), [factor * value for value in values], color=FIRST, height=0.7)
    right.bar_label(bars, [f"{factor * value:.3g}" for value in values], fontsize=SMALL, padding=3)
    right.set_yticks(range(len(names)), names, fontsize=TEXT)
    right.invert_yaxis()
    if percent:
        right.set_xlim(0, 112)
        right.set_xticks([0, 25, 50, 75, 100])
    right.set_xlabel(f"{ranking.meaning} (%)" if percent else ranking.meaning, fontsize=TEXT)
    right.tick_params(axis="x", labelsize=SMALL)
    right.spines[["top", "right"]].set_visible(False)
    return figure


def draw_mistakes(found: ClassEvaluation, pictures: Sequence[Array]) -> Any:
    """Draw misclassified images, in the order of decreasing confidence.

    Args:
        found: the evaluation.
        pictures: the images of the first samples in `found.wrong`, bytes of height x width x channels.
    """
    total = len(found.wrong)
    count = f"{total:,}" if len(pictures) == total else f"the most confident {len(pictures)} of {total:,}"
    title = f"{count} mistakes in {len(found.targets):,} {found.split} samples: true class → predicted class"
    rows = -(-len(pictures) // COLUMNS)
    figure = new_figure(WIDTH + 2, 1.55 * rows + 0.7, title)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        bare(axes)
    for axes, picture, sample in zip(grid.flat, pictures, found.wrong, strict=False):
        show_picture(axes, picture)
        given = found.predicted[sample]
        sure = f", {100 * np.exp(found.logs[sample, given]):.0f} %" if found.probable else ""
        true = words(found.name(found.targets[sample]), 18)
        axes.set_title(f"{true}\n→ {words(found.name(given), 14)}{sure}", fontsize=SMALL)
    return figure
