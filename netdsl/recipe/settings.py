"""The settings of a training run: the entries of a recipe, with defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netdsl.recipe import words as recipe

if TYPE_CHECKING:
    from netdsl.recipe.words import Recipe


@dataclass(frozen=True)
class Settings:
    """The entries of a recipe with their defaults.

    `recipe.PURPOSES` and `recipe.NUMBERS` describe each of them.

    Attributes:
        loss: one of `recipe.WORDS["loss"]`.
        optimizer: one of `recipe.WORDS["optimizer"]`.
        schedule: one of `recipe.WORDS["schedule"]`.
        augment: any number of `recipe.WORDS["augment"]`.
        init: one of `recipe.WORDS["init"]`.
        clip: the largest norm of the gradients; None does not clip them.
        early_stop: None trains to the last epoch.
    """

    loss: Any = field(default_factory=recipe.CrossEntropy)
    optimizer: Any = field(default_factory=lambda: recipe.Sgd(lr=0.01, momentum=0.9))
    schedule: Any = field(default_factory=recipe.ConstantRate)
    augment: tuple[Any, ...] = ()
    init: Any = field(default_factory=recipe.PytorchInit)
    batch: int = 64
    epochs: int = 10
    accumulate: int = 1
    clip: float | None = None
    early_stop: int | None = None
    aux_weight: float = 0.3
    seed: int = 0

    @property
    def choosing(self) -> bool:
        """Whether the validation samples affect training: when it ends, or its learning rate."""
        return self.early_stop is not None or isinstance(self.schedule, recipe.Plateau)

    @staticmethod
    def of(written: Recipe | None) -> Settings:
        """The settings of a recipe; all defaults where a net has none."""
        given: dict[str, Any] = {}
        for key, items in (written.entries if written else {}).items():
            if key in recipe.NUMBERS:
                given[key] = items[0].value
            else:
                given[key] = items if key == "augment" else items[0]
        return Settings(**given)
