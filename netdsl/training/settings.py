"""What a training run does: the entries of a recipe, and what holds where it says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netdsl import recipe

if TYPE_CHECKING:
    from netdsl.recipe import Recipe


@dataclass(frozen=True)
class Settings:
    """The entries of a recipe with their defaults.

    Attributes:
        loss: one of `recipe.WORDS["loss"]`.
        optimizer: likewise.
        schedule: likewise.
        augment: what happens to the images of a training batch, in this order.
        init: how the initial weights are drawn.
        batch: samples of a step, in each process.
        epochs: times that all samples are seen.
        accumulate: batches whose gradients are added up before a step.
        clip: the largest norm of all gradients together; None leaves them as they are.
        early_stop: epochs without a lower validation loss after which training ends; None goes on to the last.
        aux_weight: what the losses of auxiliary outputs are multiplied with (0.3 in Szegedy et al., "Going deeper with
            convolutions", 2014).
        seed: another seed draws other weights, another order of samples, and drops other units.
    """

    loss: Any = field(default_factory=recipe.CrossEntropy)
    optimizer: Any = field(default_factory=lambda: recipe.Sgd(lr=0.01, momentum=0.9))
    schedule: Any = field(default_factory=recipe.Constant)
    augment: tuple[Any, ...] = ()
    init: Any = field(default_factory=recipe.PytorchInit)
    batch: int = 64
    epochs: int = 10
    accumulate: int = 1
    clip: float | None = None
    early_stop: int | None = None
    aux_weight: float = 0.3
    seed: int = 0

    @staticmethod
    def of(written: Recipe | None) -> Settings:
        """The settings that a recipe asks for; all defaults where a net has none."""
        given: dict[str, Any] = {}
        for key, items in (written.entries if written else {}).items():
            if key in recipe.NUMBERS:
                given[key] = items[0].value
            else:
                given[key] = items if key == "augment" else items[0]
        return Settings(**given)
