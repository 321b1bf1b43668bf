"""Training: PyTorch Lightning runs the recipe of a `.net` file on the net's torch.fx module.

The words of a recipe (`netdsl.recipe`) become PyTorch's own losses, optimizers and schedules, and Lightning runs the
loop. This room turns a data set into batches of tensors, and the trained module back into a graph's weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.packages import need
from netdsl.training.record import need_description

if TYPE_CHECKING:
    from pathlib import Path


def need_packages(folder: Path, *, resume: bool = False, tensorboard: bool = False) -> None:
    """Import the packages that training needs, before anything is done.

    Args:
        folder: the run's folder.
        resume: whether the run in the folder is resumed. Its description is read first; and Lightning, which takes
            seconds to import, is left out, since a finished run does without it.
        tensorboard: whether metrics will be written for TensorBoard.

    Raises:
        NetdslError: a package is not installed, or fails on import (E0907); the description of the run cannot be read
            (E0901, E1102).
    """
    if resume:
        need_description(folder)
    for module in ("torch", "kornia", "safetensors.torch", *(() if resume else ("pytorch_lightning",))):
        need(module, "training")
    if tensorboard:
        need("torch.utils.tensorboard", "`--tensorboard`")
