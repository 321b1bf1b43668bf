"""A model on one HTML page, which needs no other file."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import visible
from netdsl.base.table import Table, exact, short
from netdsl.evaluation import ClassEvaluation
from netdsl.ir.types import format_shape
from netdsl.plots.activations import draw_activations
from netdsl.plots.confusion import draw_confusion
from netdsl.plots.curves import draw_curves
from netdsl.plots.drawing import as_png
from netdsl.plots.examples import draw_classes, draw_mistakes
from netdsl.plots.filters import draw_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.evaluation.evaluating import Evaluation
    from netdsl.pages.looking import LayerResult, Look
    from netdsl.plots.curves import Row
    from netdsl.runtime import Session
    from netdsl.runtime.feeds import Array

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: 2px 12px 2px 0; text-align: left; }
th { border-bottom: 1px solid #888; } figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
pre { font-size: 12px; overflow-x: auto; } .wide { overflow-x: auto; }
"""


def write_page(
    session: Session,
    look: Look,
    *,
    filters: tuple[str, Array] | None = None,
    curves: Sequence[Row] | None = None,
    found: Evaluation | None = None,
    mistakes: Sequence[Array] = (),
) -> str:
    """Return the text of the page.

    Args:
        session: the model.
        look: its results for one sample.
        filters: the weights of its first layer; None if there are none to show.
        curves: the metrics of its training; None if they are not known.
        found: its evaluation on a data set; None if there is none.
        mistakes: misclassified images, as for `draw_mistakes`.
    """
    name = visible(session.metadata.get("netdsl.net", session.path.stem))
    parts = [_section("The model", _facts(session, look.steps))]
    sample = _ranking(look)
    if look.picture is not None and look.ranking is not None:
        figure = draw_classes(look.picture, look.ranking, look.file)
        sample = _figure(figure, f"{look.file}, as the model sees it, and its most likely classes") + sample
    parts.append(_section("One sample", sample))
    if curves is not None:
        parts.append(_section("Training", _figure(draw_curves(curves, ""), "loss and accuracy over the epochs")))
    if filters is not None:
        parts.append(_section("First filters", _figure(draw_filters(*filters), f"filters of {filters[0]}")))
    shown = _figure(draw_activations(look.steps, ""), f"what each layer gives for {look.file}")
    parts.append(_section("Activations", shown))
    if found is not None:
        parts.append(_section("Test", _test(found, mistakes)))
    parts.append(_section("Layers", _layers(look.steps)))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(name)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(name)}</h1>\n{''.join(parts)}</body>\n</html>\n"
    )


def _facts(session: Session, steps: Sequence[LayerResult]) -> str:
    """Return the inputs and outputs of the model, and its size."""
    rows = [("file", str(session.path))]
    rows += [("takes", str(port).replace("`", "")) for port in session.inputs]
    rows += [("gives", str(port).replace("`", "")) for port in session.outputs]
    rows.append(("weights", exact(sum(step.layer.weights for step in steps))))
    macs = session.metadata.get("netdsl.macs", "")
    if macs.isdecimal():
        rows.append(("multiply-accumulates", f"{exact(int(macs))} ({short(int(macs))})"))
    if session.labels:
        rows.append(("classes", str(len(session.labels))))
    return Table(("", ""), [(name, visible(value)) for name, value in rows]).html()


def _ranking(look: Look) -> str:
    if look.ranking is None:
        return f"<p>{escape(visible(look.file))}: the model has no scores of classes for it.</p>\n"
    rows = [(visible(name), f"{value:.4f}") for name, value in look.ranking.classes]
    return Table(("class", f">{look.ranking.meaning}"), rows).html()


def _test(found: Evaluation, mistakes: Sequence[Array]) -> str:
    text = f"<pre>{escape(str(found))}</pre>\n"
    if isinstance(found, ClassEvaluation):
        text = _figure(draw_confusion(found), "confusion matrix") + text
        if mistakes:
            text += _figure(draw_mistakes(found, mistakes), "misclassified images")
    return text


def _layers(steps: Sequence[LayerResult]) -> str:
    rows = [
        (visible(step.layer.name), step.layer.kind, format_shape(step.values.shape), exact(step.layer.weights))
        for step in steps
    ]
    return f'<div class="wide">{Table(("name", "layer", "output", ">weights"), rows).html()}</div>\n'


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}\n"


def _figure(figure: Any, description: str) -> str:
    """Return a plot as a part of the page, with a description of it in words."""
    data = b64encode(as_png(figure)).decode()
    return f'<figure><img alt="{escape(visible(description))}" src="data:image/png;base64,{data}"></figure>\n'
