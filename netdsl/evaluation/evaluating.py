"""Running models over a data set."""

from __future__ import annotations

import os
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.evaluation.classes import ClassEvaluation
from netdsl.evaluation.labels import LabelEvaluation
from netdsl.evaluation.runs import SPLITS, model_of, run_of
from netdsl.evaluation.samples import open_split
from netdsl.evaluation.scores import class_logs, log_mean, log_no_yes
from netdsl.evaluation.targets import need_same_classes, question
from netdsl.evaluation.values import ValueEvaluation
from netdsl.ir.meaning import Gives
from netdsl.runtime import Session
from netdsl.runtime.preparation import Preparation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from netdsl.evaluation.samples import JudgedSamples, ModelFeed
    from netdsl.runtime.feeds import Array

    PathLike: TypeAlias = str | os.PathLike[str]

Evaluation: TypeAlias = ClassEvaluation | LabelEvaluation | ValueEvaluation

DEFAULT_BATCH = 64
"""The batch size for models that leave it open."""


def evaluate(
    models: PathLike | Sequence[PathLike],
    data: str | Path | None = None,
    *,
    split: str | None = None,
    batch: int | None = None,
    ten_crop: bool = False,
    preparation: Preparation | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Run models in onnxruntime on a data set, and compare their answers with the true ones.

    The first output of a model is evaluated: a score for each class, or values. The probabilities of several models, or
    their other scores, are averaged; `members` has the evaluation of each.

    Args:
        models: an ONNX file or the folder of a run, or several.
        data: `digits`, a directory or a file, as for `netdsl train`; None takes the data of the run.
        split: `test`, `val` or `train`; None takes the samples that the run held out, or, for other data, `test`, or
            else `val`.
        batch: the batch size; None takes the model's own, or 64.
        ten_crop: average ten views of every image: corners and centre of the image scaled to 8/7 of the input, and
            the same mirrored (Krizhevsky et al. 2012).
        preparation: how pixels are converted; None scales them to 0 to 1, as netdsl trains.
        device: the device to run on.

    Raises:
        NetdslError: a model cannot be used (E0901, E0904, E0905, E0907) or returns no scores of classes (E0916), the
            data cannot be used (E0901, E0907, E1001 to E1006) or found (E1109), or do not fit a model (E0906, E1004,
            E1007, E1008).
    """
    paths = [models] if isinstance(models, str | os.PathLike) else list(models)
    if not paths:
        raise ValueError("expected at least one model, got none")
    runs = [run_of(path) for path in paths]
    samples = open_split(data, split, runs)
    members = [
        _evaluate(Session(model_of(path), device), samples, batch, preparation or Preparation(), crops=ten_crop)
        for path in paths
    ]
    first: Any = members[0]  # the others agree with it, as is checked below
    if len(members) == 1:
        return members[0]
    for member in members[1:]:
        if not _can_be_averaged(first, member):
            raise fail("E1007", f"`{member.model}` and `{first.model}` have different classes or kinds of scores",
                       help="average models of the same classes")  # fmt: skip
    averaged: Evaluation = replace(
        first,
        model=f"{len(members)} models averaged",
        **_mean(members),
        members=tuple(members),
    )
    return averaged


def _can_be_averaged(first: Evaluation, second: Evaluation) -> bool:
    """Whether the probabilities of two models can be averaged."""
    return (
        type(first) is type(second)
        and first.logs.shape == second.logs.shape
        and first.labels == second.labels
        and (
            first.meaning == second.meaning
            or isinstance(first, LabelEvaluation)
            or (_are_probabilities((first, second)) and len({Gives(e.meaning).yes_or_no for e in (first, second)}) == 1)
        )
    )


def _are_probabilities(members: Sequence[Evaluation]) -> bool:
    """Whether the scores of all are probabilities, or can be converted to them."""
    return all(Gives(e.meaning) not in (Gives.SCORES, Gives.DISTANCES, Gives.VALUES) for e in members)


def _mean(members: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the fields of an averaged evaluation that differ from those of its members."""
    meanings = {Gives(member.meaning) for member in members}
    if not _are_probabilities(members):
        return {"logs": np.stack([member.logs for member in members]).mean(0)}
    if len(meanings) == 1:
        meaning = meanings.pop()
    else:
        meaning = Gives.YES_PROBABILITIES if meanings.pop().yes_or_no else Gives.PROBABILITIES
    return {"meaning": meaning.value, "logs": log_mean([member.logs for member in members])}


def _evaluate(
    session: Session,
    samples: JudgedSamples,
    batch: int | None,
    preparation: Preparation,
    *,
    crops: bool,
) -> Evaluation:
    found, part = samples.found, samples.part
    need_same_classes(session, found)
    scores = _scores(session, samples.feed(session, preparation, crops=crops), batch)
    asked_question = question(session, found, part, scores[0])
    outputs = scores[0].shape[1]
    classes = 2 if asked_question.paired else outputs
    common: dict[str, Any] = {
        "model": str(session.path),
        "data": found.name,
        "split": SPLITS[samples.split],
        "labels": next((names for names in (session.labels, found.labels) if len(names) == classes), ()),
        "views": len(scores),
        "positions": prod(scores[0].shape[2:]),
    }
    scores = [np.moveaxis(view, 1, -1).reshape(-1, outputs) for view in scores]
    common["meaning"] = asked_question.gives.value
    if asked_question.targets.ndim > 1 and asked_question.targets.dtype.kind in "bf":
        truth = np.moveaxis(asked_question.targets, 1, -1).reshape(-1, outputs)
        if asked_question.gives is Gives.VALUES:
            return ValueEvaluation(**common, targets=truth, logs=np.stack(scores).mean(0, dtype=np.float64))
        return LabelEvaluation(**common, targets=truth,
                               logs=log_mean([log_no_yes(view, asked_question.gives) for view in scores]))  # fmt: skip
    if asked_question.paired:
        logs = [log_no_yes(view[:, 0], asked_question.gives) for view in scores]
    else:
        logs = [class_logs(view, asked_question.gives) for view in scores]
    ranked = asked_question.gives in (Gives.SCORES, Gives.DISTANCES)
    mean = np.stack(logs).mean(0) if ranked else log_mean(logs)
    return ClassEvaluation(
        **common, targets=asked_question.targets.reshape(-1), logs=mean, paired=asked_question.paired
    )


def _scores(session: Session, feed: ModelFeed, batch: int | None) -> list[Array]:
    """Return the scores of all samples: samples x classes x positions, one array for each view."""
    name, fixed = feed.port.name, feed.port.shape[0]
    if isinstance(fixed, int) and batch not in (None, fixed):
        raise session.input_error(f"expected the model's fixed batch size {fixed}, got {batch}", "leave out `--batch`")
    size = fixed if isinstance(fixed, int) else batch or DEFAULT_BATCH
    collected: list[list[Array]] = []
    for views in feed.batches(size):
        count = len(views[0])
        padding = [(0, size - count if isinstance(fixed, int) else 0)] + [(0, 0)] * (views[0].ndim - 1)
        outputs = [session.run({name: np.pad(view, padding)}) for view in views]
        collected.append([next(iter(output.values()))[:count] for output in outputs])
    scores = [np.concatenate(view) for view in zip(*collected, strict=True)]
    _need_scores(session, scores[0])
    for view in scores:
        if strange := int((~np.isfinite(view.reshape(len(view), -1))).any(1).sum()):
            problem = f"gives NaN or infinite scores for {strange:,} of {len(view):,} samples"
            raise fail("E0916", f"`{session.path}` {problem}",
                       help="its weights have diverged: train with a lower rate, or with `clip 1`")  # fmt: skip
    return scores


def _need_scores(session: Session, scores: Array) -> None:
    if scores.ndim < 2 or not np.issubdtype(scores.dtype, np.floating):
        port = session.outputs[0]
        raise fail("E0916", f"expected a float for each class of a sample from `{session.path}`, got {port}",
                              help="test a model whose output is scores of classes")  # fmt: skip
