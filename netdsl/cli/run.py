"""`netdsl run`."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netdsl.base.terminal import say_text
from netdsl.cli.common import claim_output, device_option, echo_json, format_option
from netdsl.cli.images import image_options

if TYPE_CHECKING:
    from netdsl.runtime import Session
    from netdsl.runtime.feeds import Array
    from netdsl.runtime.preparation import Preparation


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="The number of classes to show.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the outputs to this .npy or .npz file.")
@image_options
@click.option("--tf32/--no-tf32", default=True, show_default=True, help="Let CUDA round float32 factors to TF32.")
@device_option
@format_option
def run(
    *,
    model: Path,
    inputs: tuple[str, ...],
    top: int,
    output: Path | None,
    preparation: Preparation,
    tf32: bool,
    device: str,
    form: str,
) -> None:
    """Run MODEL, an ONNX file, on images or arrays.

    An INPUT is an image, or a .npy file with one sample or a batch, in which bytes (uint8) are images if the model
    takes pixels. A model with several inputs takes NAME=FILE for each, or one .npz file. Images are scaled until they
    cover the model's input and cropped to its centre; along sizes that the model leaves open they keep their own, or
    take those of --size.
    """
    import numpy as np

    from netdsl.runtime import Session
    from netdsl.runtime.feeds import batches, save_arrays

    if output is not None:
        claim_output(output, "arrays of numpy", [model, *(Path(name) for text in inputs for name in _names(text))])
    session = Session(model, device, tf32=tf32)
    session.need_open(preparation.sizes)
    results: list[dict[str, Array]] = []
    shown: list[dict[str, Any]] = []
    for batch in batches(session, inputs, preparation):
        outputs = session.run(batch.feeds)
        session.need_rows(outputs)
        results.append(outputs)
        shown += _shown(session, outputs, batch.files, top)
    if output is not None:
        save_arrays(output, {name: np.concatenate([result[name] for result in results]) for name in results[0]})
    if form == "json":
        echo_json(shown)
    else:
        say_text("\n".join(map(_text, shown)))


def _names(text: str) -> tuple[str, str]:
    """Return the two files that an INPUT may mean: all of the text, or the part after the name of a model's input."""
    return text, text.partition("=")[2]


def _shown(session: Session, outputs: dict[str, Array], files: tuple[str, ...], top: int) -> list[dict[str, Any]]:
    """Return the results of a batch: an object for every sample and output."""
    import numpy as np

    from netdsl.runtime.feeds import rank

    results: list[dict[str, Any]] = []
    for port, (name, array) in zip(session.outputs, outputs.items(), strict=True):
        gives, labels = session.gives(port), session.labels
        for index, scores in enumerate(array):
            file = files[index] if len(files) == len(array) else f"{files[0]}[{index}]"
            result: dict[str, Any] = {"input": file, "output": name, "shape": list(scores.shape)}
            result["finite"] = bool(np.isfinite(scores).all())
            if (ranking := rank(scores, labels, top, gives)) is not None:
                classes = [{"name": label, "value": _finite(value)} for label, value in ranking.classes]
                result |= {"meaning": ranking.meaning, "classes": classes}
            elif result["finite"] and scores.size:
                result |= {"least": float(scores.min()), "mean": float(scores.mean()), "most": float(scores.max())}
            results.append(result)
    return results


def _text(result: dict[str, Any]) -> str:
    from netdsl.base.diagnostics import visible
    from netdsl.ir.types import format_shape

    head = visible(f"{result['input']}: {result['output']}")
    warning = "" if result["finite"] else "  (holds NaN or infinite values)"
    if "classes" in result:
        lines = [f"  {_figure(item['value']):>10}  {visible(item['name'])}" for item in result["classes"]]
        return "\n".join([f"{head}, {result['meaning']}{warning}", *lines])
    figures = (
        f", from {result['least']:.4g} to {result['most']:.4g}, mean {result['mean']:.4g}" if "least" in result else ""
    )
    return f"{head} {format_shape(result['shape'])}{figures}{warning}"


def _finite(value: float) -> float | None:
    """Return a number for JSON, which has no NaN and no infinity."""
    return value if isfinite(value) else None


def _figure(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4f}"
