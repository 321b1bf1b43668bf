"""Nets of the zoo by hand in plain PyTorch, layers in the order of the data: what their `.net` files must be."""

from __future__ import annotations

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


def densenet_bc(depth, growth):
    channels = 2 * growth
    layers = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    for stage in range(3):
        for _ in range((depth - 4) // 6):
            new = nn.Sequential(
                *norm_relu(channels), nn.Conv2d(channels, 4 * growth, 1, bias=False),
                *norm_relu(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
            )  # fmt: skip
            layers.append(Joined(cat, nn.Identity(), new))
            channels += growth
        if stage < 2:
            layers += [*norm_relu(channels), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, *norm_relu(channels), *head(channels))


def mobilenet(width):
    steps = [(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *[(16, 1)] * 5, (32, 2), (32, 1)]
    layers = [nn.Conv2d(3, width, 3, 2, 1, bias=False), *norm_relu(width)]
    channels = width
    for times, stride in steps:
        layers += [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), *norm_relu(channels),
                   nn.Conv2d(channels, times * width, 1, bias=False), *norm_relu(times * width)]  # fmt: skip
        channels = times * width
    return nn.Sequential(*layers, *head(channels, 1000))


PEERS = {
    "densenet_bc_100_12": lambda: densenet_bc(100, 12),
    "densenet_bc_250_24": lambda: densenet_bc(250, 24),
    "densenet_bc_190_40": lambda: densenet_bc(190, 40),
    "mobilenet": lambda: mobilenet(32),
    "mobilenet_075": lambda: mobilenet(24),
    "mobilenet_050": lambda: mobilenet(16),
    "mobilenet_025": lambda: mobilenet(8),
}
