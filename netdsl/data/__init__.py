"""Readers of data sets, arrays and images, with numpy and without PyTorch."""
