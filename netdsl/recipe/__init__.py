"""The words of `train` blocks, and the settings that they make."""
