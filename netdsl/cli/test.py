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
@click.option("--batch", type=click.IntRange(1, MAX_BATCH), help="The batch size; the default is 64.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Also show the top-N accuracy.")
@click.option("--ten-crop", is_flag=True, help="Average ten views of each image: corners and centre, and mirrored.")
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

    A MODEL is an ONNX file, or the folder of a training run, whose model is tested on the samples that the run held
    out; the metrics are those that the run printed.

    Prints accuracy and loss, the metrics of each class, and the confused classes. The probabilities of several models,
    which must have the same classes, are averaged. With --ten-crop, images are scaled to 8/7 of the model's input
    (256 for 224) and cropped to its size at their four corners and in their centre.
    """
    from netdsl.evaluation import evaluate

    need_data(models, data)
    found = evaluate(models, data, split=split, batch=batch, ten_crop=ten_crop, preparation=preparation, device=device)
    if form == "json":
        echo_json(found.as_json(top))
    else:
        say_text(found.text(top))
