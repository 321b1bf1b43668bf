"""The plot of loss and accuracy over the epochs of a run."""

from __future__ import annotations

import csv
import math
from io import StringIO
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.files import is_standard_input, read_file
from netdsl.plots.drawing import FIRST, GREY, SECOND, TEXT, WIDTH, new_figure, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

METRICS = "metrics.csv"
"""The file in a run's folder with the metrics of its epochs."""
MAX_METRICS_BYTES = 2**26
"""The largest size of this file in bytes, enough for half a million epochs."""

Row = dict[str, float]


def read_metrics(path: Path) -> list[Row]:
    """Read the metrics of each epoch; a missing value is NaN.

    Args:
        path: a run's folder, or its `metrics.csv`.

    Raises:
        NetdslError: there is no such file (E0901), or it holds something else (E1002).
    """
    file = path / METRICS if path.is_dir() else path
    if not file.exists() and not is_standard_input(file):
        raise fail("E0901", f"cannot read `{file}`: there is no such file",
                              help="give the folder of a run, in which `netdsl train` writes its metrics")  # fmt: skip
    if file.suffix in (".net", ".onnx"):
        raise fail("E1002", f"expected the folder of a run, got `{file}`",
                   help="`netdsl train` writes such a folder; the metrics of its epochs are drawn")  # fmt: skip
    text = read_file(file, MAX_METRICS_BYTES)
    try:
        rows = list(csv.DictReader(StringIO(text.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _no_metrics(file) from error
    if not rows or not {"epoch", "train_loss"} <= set(rows[0]):
        raise _no_metrics(file)
    try:
        return [{key: float(value) if value else math.nan for key, value in row.items()} for row in rows]
    except (TypeError, ValueError) as error:
        raise _no_metrics(file) from error


def _no_metrics(file: Path) -> Exception:
    return fail("E1002", f"`{file}` has no metrics of epochs in columns `epoch`, `train_loss` and so on",
                help="give the folder of a run, or the `metrics.csv` in it")  # fmt: skip


def draw_curves(rows: Sequence[Mapping[str, float]], title: str) -> Any:
    """Draw the loss on the left and the accuracy on the right, of training and of validation."""
    figure = new_figure(WIDTH, 3.4, words(title, 80))
    panels = (("loss", "mean loss (nats)", 1), ("accuracy", "accuracy (%)", 100))
    for axes, (quantity, label, factor) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for phase, name, colour, style in (("train", "training", FIRST, "--"), ("val", "validation", SECOND, "-")):
            points = [(row["epoch"], factor * row.get(f"{phase}_{quantity}", math.nan)) for row in rows]
            points = [point for point in points if math.isfinite(point[1])]
            if points:
                marker = "o" if len(points) < 25 else None
                axes.plot(*zip(*points, strict=True), style, color=colour, label=name, marker=marker, markersize=3)
        axes.set_xlabel("epoch", fontsize=TEXT)
        axes.set_ylabel(label, fontsize=TEXT)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(labelsize=TEXT)
        axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(fontsize=TEXT, frameon=False)
    return figure
