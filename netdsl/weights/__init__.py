"""Values of parameters: initial ones, and checkpoints of every form."""
