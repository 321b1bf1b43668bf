"""The optimizers and schedules of recipes, as PyTorch's classes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from torch import optim
from torch.optim import lr_scheduler

from netdsl.recipe import words as recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

OPTIMIZERS: dict[type, type[optim.Optimizer]] = {
    recipe.Sgd: optim.SGD,
    recipe.Adagrad: optim.Adagrad,
    recipe.Adadelta: optim.Adadelta,
    recipe.RmsProp: optim.RMSprop,
    recipe.Adam: optim.Adam,
    recipe.AdamW: optim.AdamW,
}


def make_optimizer(word: Any, params: Iterable[nn.Parameter]) -> optim.Optimizer:
    """Return the optimizer for a word of a recipe; weight decay applies to all parameters, as in PyTorch."""
    arguments = asdict(word)
    if "beta1" in arguments:
        arguments["betas"] = (arguments.pop("beta1"), arguments.pop("beta2"))
    return OPTIMIZERS[type(word)](params, **arguments)


def make_schedule(
    word: Any, optimizer: optim.Optimizer, epochs: int
) -> lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau | None:
    """Return the schedule for a word, to be stepped after each of `epochs` epochs; None for a constant rate."""
    match word:
        case recipe.ConstantRate():
            return None
        case recipe.Step():
            return lr_scheduler.StepLR(optimizer, word.every, word.factor)
        case recipe.Milestones():
            return lr_scheduler.MultiStepLR(optimizer, list(word.at), word.factor)
        case recipe.Plateau():
            return lr_scheduler.ReduceLROnPlateau(optimizer, factor=word.factor, patience=word.patience)
        case recipe.TimeDecay():
            return lr_scheduler.LambdaLR(optimizer, _TimeDecay(word.decay))
        case recipe.Exponential():
            return lr_scheduler.ExponentialLR(optimizer, word.factor)
        case recipe.Linear():
            return lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs)
        case recipe.Cosine():
            return lr_scheduler.CosineAnnealingLR(optimizer, epochs, word.least)
    raise TypeError(f"{word} is no schedule")


class _TimeDecay:
    """1 / (1 + decay * epoch); a class, because checkpoints save the state of an object but not of a lambda."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, epoch: int) -> float:
        return 1 / (1 + self.decay * epoch)
