"""What a training run does: the entries of a recipe, and what holds where it says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netdsl.recipe import words as recipe

if TYPE_CHECKING:
    from netdsl.recipe.words import Recipe


@dataclass(frozen=True)
class Settings:
    """The entries of a recipe with their defaults.

    `recipe.PURPOSES` and `recipe.NUMBERS` say what each is.

    Attributes:
        loss: one of `recipe.WORDS["loss"]`.
        optimizer: likewise.
        schedule: likewise.
        augment: any number of `recipe.WORDS["augment"]`.
        init: one of `recipe.WORDS["init"]`.
        clip: None leaves gradients as they are.
        early_stop: None goes on to the last epoch.
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
        """Whether the validation samples decide what becomes of the training: its end, or its rate."""
        return self.early_stop is not None or isinstance(self.schedule, recipe.Plateau)

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
