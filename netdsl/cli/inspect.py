"""`netdsl inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netdsl.base.terminal import say
from netdsl.cli.common import data_options, device_option
from netdsl.cli.images import image_options

if TYPE_CHECKING:
    from netdsl.runtime.preparation import Preparation


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("image")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; the default is MODEL's name.html.")
@data_options
@image_options
@device_option
def inspect(
    *,
    model: Path,
    image: str,
    output: Path | None,
    data: str | None,
    split: str | None,
    preparation: Preparation,
    device: str,
) -> None:
    """Show MODEL and its activations for IMAGE on one page.

    MODEL is an ONNX file or the folder of a run, and IMAGE an image or an .npy file with one sample. The page is HTML
    and needs no other file. It has the layers, the most likely classes, the filters of the first layer and the
    activations of every layer; with --data, or for the folder of a run, the confusion matrix and the mistakes; and the
    curves of the training, if the model is in the folder of a run.
    """
    from netdsl.base.files import whole_file
    from netdsl.base.outputs import claim, remember
    from netdsl.evaluation.runs import model_of
    from netdsl.pages.inspecting import inspect_model

    file = model_of(model)
    path = output or Path(f"{file.stem}.html")
    remember([file, image])
    claim(path, "a page of HTML")
    page = inspect_model(model, image, preparation, data=data, split=split, device=device)
    with whole_file(path) as page_file:
        page_file.write(page.encode(errors="backslashreplace"))  # file names may be invalid Unicode
    say(str(path))
