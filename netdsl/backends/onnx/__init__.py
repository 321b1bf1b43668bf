"""From a graph to ONNX: lowering, messages, files."""
