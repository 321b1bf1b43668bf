"""What is drawn of a model on data: its answers, and the images it was wrong about."""

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
    """Refuse values, and answers with several labels for a sample (E0917)."""
    if isinstance(found, ClassEvaluation):
        return found
    if isinstance(found, ValueEvaluation):
        raise fail("E0917", f"the targets of `{found.data}` are values, and no classes",
                   help="`netdsl test` tells how far the model is from them")  # fmt: skip
    raise fail("E0917", f"a sample of `{found.data}` has several labels at once, so that none is taken for another",
               help="`netdsl test` gives the figures of each label")  # fmt: skip


def mistaken_pictures(
    model: Path, found: ClassEvaluation, data: str | None, split: str | None, preparation: Preparation
) -> list[Array]:
    """The images of the surest mistakes, bytes of shape height x width x channels.

    Args:
        model: as `evaluate` takes it, and so the rest.
        found: its evaluation.
        data: the data set.
        split: the split of it.
        preparation: what happens to pixels.

    Raises:
        NetdslError: there is no mistake, the samples are no images, or have a class for each position (E0917).
    """
    samples = open_split(data, split, [run_of(model)])
    feed, part = samples.feed(Session(model_of(model)), preparation), samples.part
    if not feed.pictures:
        raise fail("E0917", f"the samples of `{found.data}` are no images", help="give data of images")
    if len(part) != len(found.targets):
        raise fail("E0917", f"the model gives a class for each position of an image of `{found.data}`",
                   help="give a model of one class for each image")  # fmt: skip
    if not len(found.wrong):
        raise fail("E0917", f"there is no mistake in {len(part):,} {found.split} samples", help="draw something else")
    return [feed.pixels(int(number)) for number in found.wrong[:MAX_EXAMPLES]]
