"""Data to train on: found, read, checked against the net, and cut into batches of tensors.

`reading` and what it calls need no PyTorch: models are evaluated on the same data.
"""
