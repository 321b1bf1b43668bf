"""Training: the recipe of a `.net` file carried out by PyTorch Lightning on the net's torch.fx module.

The words of a recipe (`netdsl.recipe`) become PyTorch's own losses, optimizers and schedules; Lightning runs the loop.
What is ours is the way from a data set to batches of tensors, and from the trained module back to a graph's weights.
"""

from netdsl.base.packages import need


def need_packages(*, tensorboard: bool = False) -> None:
    """Import what training takes, before anything is done.

    Args:
        tensorboard: whether figures are to be written for TensorBoard.

    Raises:
        NetdslError: some of it is not installed, or breaks (E0907).
    """
    for module in ("torch", "pytorch_lightning", "kornia", "safetensors.torch"):
        need(module, "training")
    if tensorboard:
        need("torch.utils.tensorboard", "`--tensorboard`")
