"""Backends: lower a graph to ONNX, to a PyTorch module, or to PyTorch source."""
