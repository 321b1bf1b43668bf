"""`netdsl inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netdsl.cli.common import device_option
from netdsl.cli.images import image_options
from netdsl.terminal import say

if TYPE_CHECKING:
    from netdsl.runtime.pictures import Preparation


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("image")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; MODEL's name with .html unless given.")
@click.option("--data", help="Test the model, too: `digits`, a directory or a file, as `netdsl train` takes it.")
@click.option(
    "--split", type=click.Choice(["test", "val", "train"]), default="test", show_default=True, help="Samples of --data."
)
@image_options
@device_option
def inspect(
    *,
    model: Path,
    image: str,
    output: Path | None,
    data: str | None,
    split: str,
    preparation: Preparation,
    device: str,
) -> None:
    """Show MODEL and what it does to IMAGE on one page.

    MODEL is an ONNX file, and IMAGE an image or an .npy file with one sample. The page is HTML and needs no other file.
    It has the layers, the most likely classes, the filters of the first layer and what every layer gives; with --data
    the confusion matrix and the mistakes; and the curves of the training, if the model lies in the folder of a run.
    """
    from netdsl.files import whole_file
    from netdsl.inspection.inspecting import inspect_model
    from netdsl.outputs import claim, remember

    path = output or Path(f"{model.stem}.html")
    remember([model, image])
    claim(path, "a page of HTML")
    page = inspect_model(model, image, preparation, data=data, split=split, device=device)
    with whole_file(path) as file:
        file.write(page.encode(errors="backslashreplace"))  # names of files may be no text
    say(str(path))
