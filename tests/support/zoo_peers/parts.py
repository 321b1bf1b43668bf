"""What the nets share."""

import torch
from torch import nn


class Joined(nn.Module):
    """Branches that all see the input, and a join of their results."""

    def __init__(self, join, *branches):
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return self.join([branch(x) for branch in self.branches])


def cat(tensors):
    return torch.cat(tensors, 1)


def norm_relu(channels):
    return nn.BatchNorm2d(channels), nn.ReLU()


def head(channels, classes=10):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
