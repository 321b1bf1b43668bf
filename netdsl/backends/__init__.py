"""Lowerings of a graph: what belongs to a backend as a whole (names, opset, initializers, files)."""
