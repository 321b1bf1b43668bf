"""`netdsl plot`: plots of runs and models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netdsl.base.terminal import say
from netdsl.cli.common import F, claim_output, data_options, device_option, echo_json, formats, need_data, wants_json
from netdsl.cli.images import image_options

if TYPE_CHECKING:
    from netdsl.evaluation import ClassEvaluation
    from netdsl.runtime.preparation import Preparation


@click.group()
def plot() -> None:
    """Draw plots of training runs and models, as PNG or SVG."""


def output_option(command: F) -> F:
    """`-o FILE`, given to the command as the path `output`; the default is the command's name with `.png`.

    And `--format`, which is for `_save` alone.
    """
    explanation = "The plot, .png or .svg; the default is the command's name with .png."
    path = click.Path(path_type=Path)
    command = formats("text", "json", expose_value=False)(command)
    return click.option("-o", "--output", type=path, callback=_picture, metavar="FILE", help=explanation)(command)


def _picture(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path:
    path = path or Path(f"{ctx.info_name}.png")
    claim_output(path, "a drawing")
    return path


def _save(figure: Any, path: Path) -> None:
    from netdsl.plots.drawing import save

    save(figure, path)
    if wants_json(click.get_current_context()):
        echo_json({"picture": str(path)})
    else:
        say(str(path))


def _evaluated(
    model: Path, data: str | None, split: str | None, preparation: Preparation, device: str
) -> ClassEvaluation:
    """Evaluate a model that gives classes."""
    from netdsl.evaluation import evaluate
    from netdsl.pages.gathering import need_classes

    need_data([model], data)
    return need_classes(evaluate(model, data, split=split, preparation=preparation, device=device))


@plot.command()
@click.argument("run", type=click.Path(path_type=Path))
@output_option
def curves(*, run: Path, output: Path) -> None:
    """Draw loss and accuracy over the epochs of RUN.

    RUN is the folder of a training run, or the metrics.csv in it.
    """
    from netdsl.plots.curves import draw_curves, read_metrics

    folder = run if run.is_dir() else run.parent
    _save(draw_curves(read_metrics(run), folder.resolve().name), output)


@plot.command()
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@image_options
@output_option
@device_option
def confusion(
    *, model: Path, data: str | None, split: str | None, preparation: Preparation, output: Path, device: str
) -> None:
    """Draw the confusion matrix of MODEL on a data set."""
    from netdsl.plots.confusion import draw_confusion

    _save(draw_confusion(_evaluated(model, data, split, preparation, device)), output)


@plot.command()
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@image_options
@output_option
@device_option
def errors(
    *, model: Path, data: str | None, split: str | None, preparation: Preparation, output: Path, device: str
) -> None:
    """Draw images that MODEL misclassifies.

    The most confident mistakes come first; at most 40 are drawn.
    """
    from netdsl.pages.gathering import mistaken_pictures
    from netdsl.plots.examples import draw_mistakes

    found = _evaluated(model, data, split, preparation, device)
    pictures = mistaken_pictures(model, found, data, split, preparation)
    _save(draw_mistakes(found, pictures), output)


@plot.command()
@click.argument("model", type=click.Path(path_type=Path))
@output_option
def filters(*, model: Path, output: Path) -> None:
    """Draw the weights of MODEL's first layer as images.

    All are on one scale, so that weak filters look weak; those of three channels are coloured. At most 256 are
    drawn.
    """
    from netdsl.evaluation.runs import model_of
    from netdsl.pages.layers import first_filters
    from netdsl.plots.filters import draw_filters
    from netdsl.runtime import Session

    _save(draw_filters(*first_filters(Session(model_of(model)))), output)


@plot.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("image")
@image_options
@output_option
@device_option
def activations(*, model: Path, image: str, preparation: Preparation, output: Path, device: str) -> None:
    """Draw the activations of every layer of MODEL for IMAGE.

    IMAGE is an image, or an .npy file with one sample. At most 40 layers are drawn, evenly spread, and at most 12
    channels of each.
    """
    from netdsl.evaluation.runs import model_of
    from netdsl.pages.looking import look
    from netdsl.plots.activations import draw_activations
    from netdsl.runtime import Session

    seen = look(Session(model_of(model), device), image, preparation)
    _save(draw_activations(seen.steps, f"{model.name}, {image}"), output)


@plot.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("image")
@click.option("--top", type=click.IntRange(1, 40), default=5, show_default=True, help="The number of classes to show.")
@image_options
@output_option
@device_option
def classes(*, model: Path, image: str, top: int, preparation: Preparation, output: Path, device: str) -> None:
    """Draw IMAGE as MODEL sees it, and its most likely classes."""
    from netdsl.base.diagnostics import fail
    from netdsl.evaluation.runs import model_of
    from netdsl.pages.looking import look
    from netdsl.plots.examples import draw_classes
    from netdsl.runtime import Session

    seen = look(Session(model_of(model), device), image, preparation, top=top)
    if seen.picture is None or seen.ranking is None:
        raise fail("E0917", f"`{model}` does not give scores of classes for an image",
                   help="`netdsl plot activations` shows what its layers give")  # fmt: skip
    _save(draw_classes(seen.picture, seen.ranking, f"{image}, {model.name}"), output)
