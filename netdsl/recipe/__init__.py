"""The vocabulary of `train` blocks, and the settings of a training run."""
