"""The ONNX backend: lowering a graph to a model, and writing the model to a file."""
