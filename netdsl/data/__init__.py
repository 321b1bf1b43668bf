"""Readers of data sets, arrays and images: numpy, no PyTorch."""
