"""Data to train on: found, read, checked against the net, and cut into batches of tensors."""

from netdsl.training.data.opening import Data, open_data

__all__ = ["Data", "open_data"]
