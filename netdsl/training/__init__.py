"""Training: PyTorch Lightning runs the recipe of a `.net` file on the net's torch.fx module.

The words of a recipe (`netdsl.recipe`) become PyTorch's own losses, optimizers and schedules, and Lightning runs the
loop. This room turns a data set into batches of tensors, and the trained module back into a graph's weights.
"""

from netdsl.base.packages import need


def need_packages(*, tensorboard: bool = False) -> None:
    """Import the packages that training needs, before anything is done.

    Args:
        tensorboard: whether metrics will be written for TensorBoard.

    Raises:
        NetdslError: a package is not installed, or fails on import (E0907).
    """
    for module in ("torch", "pytorch_lightning", "kornia", "safetensors.torch"):
        need(module, "training")
    if tensorboard:
        need("torch.utils.tensorboard", "`--tensorboard`")
