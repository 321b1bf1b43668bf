"""What a model gives as logarithms of probabilities, in which losses and averages lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.runtime.feeds import Array

LEAST = -100.0
"""The logarithm of a probability that is 0, as torch.nn.BCELoss takes it."""

SOFTMAX, SIGMOID, LOGITS = "probabilities", "a probability for each class", "logits"
"""What scores are."""


def meaning_of(scores: Array) -> str:
    """What the scores of all samples are, by the rule of `netdsl.runtime.feeds.rank`.

    Logarithms of probabilities are told from logits by nothing, and need not be: their softmax gives the probabilities.

    Args:
        scores: shape [samples, classes].
    """
    if not ((scores >= 0) & (scores <= 1)).all():
        return LOGITS
    sums = scores.sum(1, dtype=np.float64)
    return SOFTMAX if (np.abs(sums - 1) < 1e-3).all() else SIGMOID


def log_softmax(scores: Array) -> Array:
    """Logarithms of the softmax along the last axis, float64."""
    values = scores.astype(np.float64)
    values -= values.max(-1, keepdims=True)
    values -= np.log(np.exp(values).sum(-1, keepdims=True))
    return values


def log_of(probabilities: Array) -> Array:
    """Their logarithms, `LEAST` at the least, float64."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities.astype(np.float64)), LEAST)


def log_no_yes(scores: Array, meaning: str) -> Array:
    """Logarithms of the probabilities that each class is none of the sample's and that it is one, on a last axis of 2.

    Args:
        scores: any shape; probabilities, or logits of a sigmoid.
        meaning: `LOGITS` or something else.
    """
    values = scores.astype(np.float64)
    if meaning == LOGITS:
        return np.stack([-np.logaddexp(0, values), -np.logaddexp(0, -values)], -1)
    return np.stack([log_of(1 - values), log_of(values)], -1)


def log_mean(logs: Sequence[Array]) -> Array:
    """The logarithm of the mean of probabilities that are given by their logarithms."""
    if len(logs) == 1:
        return logs[0]
    mean: Array = np.logaddexp.reduce(np.stack(logs), axis=0) - np.log(len(logs))
    return mean
