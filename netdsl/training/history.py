"""The metrics of every epoch, kept in the checkpoints and written as a table."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from netdsl.base.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, float]

COLUMNS = ("epoch", "rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy")


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Write the metrics of all epochs as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
