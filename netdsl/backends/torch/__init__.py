"""The PyTorch backend: lowering a graph to a torch.fx.GraphModule."""
