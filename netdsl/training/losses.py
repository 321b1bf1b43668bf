"""The losses of recipes, as PyTorch's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from netdsl.ir.meaning import Gives
from netdsl.recipe import words as recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(word: Any, gives: Gives) -> Loss:
    """Return the mean loss over a batch, as a function of an output of the net and the targets.

    Outputs are N x C, or N x C x positions, with the classes along axis 1. Targets are class numbers N (or
    N x positions), or for several labels at once N x C of 0 and 1; `quadratic` takes both.

    Args:
        word: one of `netdsl.recipe.WORDS["loss"]`.
        gives: the kind of the output; the logits and probabilities of `yes_or_no` need different functions.
    """
    match word:
        case recipe.CrossEntropy():
            return lambda scores, target: functional.cross_entropy(scores, target, label_smoothing=word.label_smoothing)
        case recipe.NegativeLogLikelihood():
            return functional.nll_loss
        case recipe.BinaryCrossEntropy():
            if gives is Gives.YES_PROBABILITIES:
                return lambda scores, target: functional.binary_cross_entropy(scores, one_hot(target, scores))
            return lambda scores, target: functional.binary_cross_entropy_with_logits(scores, one_hot(target, scores))
        case recipe.Quadratic():
            return _half_squared_distance
    raise TypeError(f"{word} is no loss")


def right_answers(gives: Gives, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
    """Return whether each answer is right, for each target or label; None if values are learned.

    The class is that of the largest score. For yes or no, yes is a probability above 0.5 or a logit above 0.
    """
    if not targets.is_floating_point():
        return scores.argmax(1) == targets
    if gives.yes_or_no:
        return (scores > (0.5 if gives is Gives.YES_PROBABILITIES else 0.0)) == (targets > 0.5)
    return None if gives is Gives.VALUES else scores.argmax(1) == targets.argmax(1)


def one_hot(target: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return class numbers as vectors of 0 and 1 of the shape and type of `scores`; vectors are only converted."""
    if target.shape == scores.shape:
        return target.to(scores.dtype)
    return torch.zeros_like(scores).scatter_(1, target.unsqueeze(1), 1)


def _half_squared_distance(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(scores, one_hot(target, scores), reduction="sum") / (2 * len(scores))
