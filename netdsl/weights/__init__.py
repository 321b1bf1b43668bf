"""Values of parameters: initial values, and checkpoints in every format."""
