"""The losses of recipes, as PyTorch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from netdsl import recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.ir.graph import Node

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(word: Any, output: Node) -> Loss:
    """The mean loss over a batch, of what a node of the net gives and the targets.

    Outputs are N x C, or N x C x positions, with the classes along axis 1. Targets are class numbers N (or
    N x positions), or for several labels at once N x C of 0 and 1; `quadratic` takes both.
    """
    match word:
        case recipe.CrossEntropy():
            return lambda scores, target: functional.cross_entropy(scores, target, label_smoothing=word.label_smoothing)
        case recipe.NegativeLogLikelihood():
            return functional.nll_loss
        case recipe.BinaryCrossEntropy():
            if output.layer.kind == "sigmoid":
                return lambda scores, target: functional.binary_cross_entropy(scores, one_hot(target, scores))
            return lambda scores, target: functional.binary_cross_entropy_with_logits(scores, one_hot(target, scores))
        case recipe.Quadratic():
            return _half_squared_distance
    raise TypeError(f"{word} is no loss")


def one_hot(target: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Class numbers as vectors of 0 and 1 of the shape and type of `scores`; what has that shape stays."""
    if target.shape == scores.shape:
        return target.to(scores.dtype)
    return torch.zeros_like(scores).scatter_(1, target.unsqueeze(1), 1)


def _half_squared_distance(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(scores, one_hot(target, scores), reduction="sum") / (2 * len(scores))
