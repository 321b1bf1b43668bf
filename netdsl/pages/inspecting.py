"""Inspecting a model: everything about it on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError
from netdsl.evaluation import ClassEvaluation, evaluate
from netdsl.evaluation.runs import model_of
from netdsl.pages.gathering import mistaken_pictures
from netdsl.pages.layers import first_filters
from netdsl.pages.looking import look
from netdsl.pages.page import write_page
from netdsl.plots.curves import METRICS, read_metrics
from netdsl.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    from netdsl.runtime.preparation import Preparation

    T = TypeVar("T")


def inspect_model(
    model: Path, image: str, preparation: Preparation, *, data: str | None, split: str | None, device: str
) -> str:
    """Return the text of an HTML page; see `netdsl.pages.page`.

    Args:
        model: an ONNX file, or the folder of a run. The curves of a run are shown in both cases, but only the folder
            makes the model be tested on the run's data.
        image: an image or an array of one sample, as for `netdsl run`.
        preparation: how pixels are converted.
        data: a data set to test the model on; None takes that of the run, or tests nothing.
        split: the split of the data; see `evaluate`.
        device: the device to run on.

    Raises:
        NetdslError: a file or a device cannot be used, or a package is missing, as in `look`, `evaluate` and
            `read_metrics`.
    """
    file = model_of(model)
    session = Session(file, device)
    seen = look(session, image, preparation)
    metrics = file.parent / METRICS
    found = None
    if data is not None or file != model:
        found = evaluate(model, data, split=split, preparation=preparation, device=device)
    mistakes = None
    if isinstance(found, ClassEvaluation):
        mistakes = _if_any(lambda: mistaken_pictures(model, found, data, split, preparation))
    return write_page(
        session,
        seen,
        filters=_if_any(lambda: first_filters(session)),
        curves=read_metrics(metrics) if metrics.is_file() else None,
        found=found,
        mistakes=mistakes or (),
    )


def _if_any(gather: Callable[[], T]) -> T | None:
    """Return the result of `gather`; None if there is nothing to draw (E0917), and the page omits it."""
    try:
        return gather()
    except NetdslError as error:
        if error.diagnostics[0].code != "E0917":
            raise
        return None
