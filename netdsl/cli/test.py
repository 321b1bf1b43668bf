"""`netdsl test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netdsl.base.terminal import say_text
from netdsl.cli.common import MAX_BATCH, data_options, device_option, echo_json, format_option, need_data
from netdsl.cli.images import image_options

if TYPE_CHECKING:
    from netdsl.runtime.preparation import Preparation


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@data_options
@click.option("--batch", type=click.IntRange(1, MAX_BATCH), help="Samples at a time; 64 unless given.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Count the best so many, too.")
@click.option("--ten-crop", is_flag=True, help="Average ten views of each image: corners and middle, and mirrored.")
@image_options
@device_option
@format_option
def test(
    *,
    models: tuple[Path, ...],
    data: str | None,
    split: str | None,
    batch: int | None,
    top: int,
    ten_crop: bool,
    preparation: Preparation,
    device: str,
    form: str,
) -> None:
    """Test MODELs on the samples of a data set.

    A MODEL is an ONNX file, or the folder of a training run, whose model is judged by the samples that the run held
    out; the figures are those that the run printed.

    Gives accuracy and loss, the figures of each class, and which classes are confused. Of several models, which must
    have the same classes, the probabilities are averaged. For --ten-crop images are scaled to 8/7 of the model's input
    (256 for 224) and cropped to its size at their four corners and in their middle.
    """
    from netdsl.evaluation import evaluate

    need_data(models, data)
    found = evaluate(models, data, split=split, batch=batch, ten_crop=ten_crop, preparation=preparation, device=device)
    if form == "json":
        echo_json(found.as_json(top))
    else:
        say_text(found.text(top))
