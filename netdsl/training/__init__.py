"""Training: the recipe of a `.net` file carried out by PyTorch Lightning on the net's torch.fx module.

The words of a recipe (`netdsl.recipe`) become PyTorch's own losses, optimizers and schedules; Lightning runs the loop.
What is ours is the way from a data set to batches of tensors, and from the trained module back to a graph's weights.
"""
