"""Training data: read, checked against the net, and cut into batches of tensors.

The readers are in `netdsl.data`, without PyTorch, because models are evaluated on the same data.
"""
