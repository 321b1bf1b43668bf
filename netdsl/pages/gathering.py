"""The plots of a model on data: its answers, and the images that it misclassifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.evaluation import ClassEvaluation, ValueEvaluation
from netdsl.evaluation.runs import model_of, run_of
from netdsl.evaluation.samples import open_split
from netdsl.plots.examples import MAX_EXAMPLES
from netdsl.runtime import Session

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.evaluation.evaluating import Evaluation
    from netdsl.runtime.feeds import Array
    from netdsl.runtime.preparation import Preparation


def need_classes(found: Evaluation) -> ClassEvaluation:
    """Refuse evaluations of values, and of several labels per sample (E0917)."""
    if isinstance(found, ClassEvaluation):
        return found
    if isinstance(found, ValueEvaluation):
        raise fail("E0917", f"expected classes as targets of `{found.data}`, got values",
                   help="`netdsl test` shows the errors of the values")  # fmt: skip
    raise fail("E0917", f"expected one class for each sample of `{found.data}`, got several labels",
               help="`netdsl test` shows the metrics of each label")  # fmt: skip


def mistaken_pictures(
    model: Path, found: ClassEvaluation, data: str | None, split: str | None, preparation: Preparation
) -> list[Array]:
    """Return the images of the most confident mistakes, bytes of height x width x channels.

    Args:
        model: the model, as in `evaluate`.
        found: its evaluation.
        data: the data set, as in `evaluate`.
        split: the split, as in `evaluate`.
        preparation: how pixels are converted.

    Raises:
        NetdslError: there is no mistake, or the samples are not images or have a class for each position (E0917).
    """
    samples = open_split(data, split, [run_of(model)])
    feed, part = samples.feed(Session(model_of(model)), preparation), samples.part
    if not feed.pictures:
        raise fail("E0917", f"the samples of `{found.data}` are not images", help="give data of images")
    if len(part) != len(found.targets):
        raise fail("E0917", f"the model gives a class for each position of an image of `{found.data}`",
                              help="give a model with one class for each image")  # fmt: skip
    if not len(found.wrong):
        raise fail("E0917", f"there is no mistake in {len(part):,} {found.split} samples", help="draw something else")
    return [feed.pixels(int(number)) for number in found.wrong[:MAX_EXAMPLES]]
