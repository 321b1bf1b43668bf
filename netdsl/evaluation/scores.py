"""Converting scores to logarithms of probabilities, so that losses and averages keep their precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netdsl.ir.meaning import Gives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.runtime.feeds import Array

MIN_LOG_PROBABILITY = -100.0
"""The logarithm used for a probability of 0, as in torch.nn.BCELoss."""

LOGITS, SOFTMAX, SIGMOID = Gives.LOGITS.value, Gives.PROBABILITIES.value, Gives.YES_PROBABILITIES.value
"""The kinds of scores of most models."""


def class_logs(scores: Array, gives: Gives) -> Array:
    """Return logarithms of the probabilities of classes; scores and negative distances are returned unchanged.

    Args:
        scores: shape [..., classes].
        gives: the kind of the scores.
    """
    match gives:
        case Gives.LOGITS:
            return log_softmax(scores)
        case Gives.PROBABILITIES | Gives.YES_PROBABILITIES:
            return log_of(scores)
        case Gives.YES_LOGITS:
            return log_no_yes(scores, gives)[..., 1]
        case Gives.DISTANCES:
            return -scores.astype(np.float64)
    return scores.astype(np.float64)


def log_softmax(scores: Array) -> Array:
    """Return the logarithm of the softmax along the last axis, float64."""
    values = scores.astype(np.float64)
    values -= values.max(-1, keepdims=True)
    values -= np.log(np.exp(values).sum(-1, keepdims=True))
    return values


def log_of(probabilities: Array) -> Array:
    """Return the logarithms of probabilities, float64, not below `MIN_LOG_PROBABILITY`."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities.astype(np.float64)), MIN_LOG_PROBABILITY)


def log_no_yes(scores: Array, gives: Gives) -> Array:
    """Return the logarithms of the probabilities of no and of yes for each class, on a last axis of size 2.

    Args:
        scores: any shape.
        gives: whether they are logits or probabilities of yes.
    """
    values = scores.astype(np.float64)
    if gives is Gives.YES_LOGITS:
        return np.stack([-np.logaddexp(0, values), -np.logaddexp(0, -values)], -1)
    return np.stack([log_of(1 - values), log_of(values)], -1)


def log_mean(logs: Sequence[Array]) -> Array:
    """Return the logarithm of the mean of probabilities given by their logarithms."""
    if len(logs) == 1:
        return logs[0]
    mean: Array = np.logaddexp.reduce(np.stack(logs), axis=0) - np.log(len(logs))
    return mean
