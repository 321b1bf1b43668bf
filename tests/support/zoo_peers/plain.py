"""Layers in a row: network in network, All-CNN-C, SimpleNet, maxout networks."""

import torch
from torch import nn

from zoo_peers.parts import norm_relu


def rows(*layers):
    """The layers, and ReLU after each convolution."""
    return [part for layer in layers for part in ((layer, nn.ReLU()) if isinstance(layer, nn.Conv2d) else (layer,))]


def nin():
    return nn.Sequential(
        *rows(nn.Conv2d(3, 192, 5, padding=2), nn.Conv2d(192, 160, 1), nn.Conv2d(160, 96, 1),
              nn.MaxPool2d(3, 2, ceil_mode=True),
              nn.Conv2d(96, 192, 5, padding=2), nn.Conv2d(192, 192, 1), nn.Conv2d(192, 192, 1),
              nn.AvgPool2d(3, 2, ceil_mode=True),
              nn.Conv2d(192, 192, 3, padding=1), nn.Conv2d(192, 192, 1), nn.Conv2d(192, 10, 1)),
        nn.AvgPool2d(8), nn.Flatten(),
    )  # fmt: skip


def all_cnn():
    return nn.Sequential(
        *rows(nn.Conv2d(3, 96, 3, padding=1), nn.Conv2d(96, 96, 3, padding=1), nn.Conv2d(96, 96, 3, 2, 1),
              nn.Conv2d(96, 192, 3, padding=1), nn.Conv2d(192, 192, 3, padding=1), nn.Conv2d(192, 192, 3, 2, 1),
              nn.Conv2d(192, 192, 3), nn.Conv2d(192, 192, 1), nn.Conv2d(192, 10, 1)),
        nn.AvgPool2d(6), nn.Flatten(),
    )  # fmt: skip


def simplenet():
    steps = [(64, 3), (128, 3), (128, 3), (128, 3), 2, (128, 3), (128, 3), (256, 3), 2, (256, 3), (256, 3), 2,
             (512, 3), (2048, 1), (256, 1), 2, (256, 3), 2]  # fmt: skip
    layers, channels = [], 3
    for step in steps:
        if step == 2:
            layers.append(nn.MaxPool2d(2))
            continue
        width, k = step
        layers += [nn.Conv2d(channels, width, k, padding=k // 2, bias=False), *norm_relu(width)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))


class Maxout(nn.Module):
    """The largest of each few consecutive channels."""

    def __init__(self, pieces):
        super().__init__()
        self.pieces = pieces

    def forward(self, x):
        return torch.stack([x[:, i :: self.pieces] for i in range(self.pieces)]).amax(0)


def maxout_mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1200), Maxout(5), nn.Linear(240, 1200), Maxout(5),
                         nn.Linear(240, 10))  # fmt: skip


def maxout_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 96, 8), Maxout(2), nn.MaxPool2d(4, 2, ceil_mode=True),
        nn.Conv2d(48, 96, 8, padding=3), Maxout(2), nn.MaxPool2d(4, 2, ceil_mode=True),
        nn.Conv2d(48, 96, 5, padding=3), Maxout(4), nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.Flatten(), nn.Linear(24 * 9, 10),
    )  # fmt: skip
