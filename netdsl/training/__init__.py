"""Training: the recipe of a `.net` file carried out by PyTorch Lightning on the net's torch.fx module.

The words of a recipe (`netdsl.recipe`) become PyTorch's own losses, optimizers and schedules; Lightning runs the loop.
What is ours is the way from a data set to batches of tensors, and from the trained module back to a graph's weights.
"""

from importlib.util import find_spec

from netdsl.diagnostics import fail


def need_packages() -> None:
    """See that what training takes is installed.

    Raises:
        NetdslError: it is not (E0907).
    """
    missing = [name for name in ("torch", "pytorch_lightning", "kornia") if find_spec(name) is None]
    if missing:
        raise fail("E0907", f"training needs {', '.join(missing)}", help="`pip install 'netdsl[train]'`")
