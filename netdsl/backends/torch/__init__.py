"""From a graph to PyTorch modules."""
