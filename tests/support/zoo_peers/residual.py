"""Classifiers of many like units: DenseNet-BC, MobileNet v1, ResNet for CIFAR, SE-ResNet."""

import itertools

from torch import nn

from zoo_peers.parts import Joined, cat, head, norm_relu


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


class SqueezedBottleneck(nn.Module):
    """A bottleneck of ResNet whose result is weighed, channel by channel, before the shortcut is added."""

    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), *norm_relu(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), *norm_relu(width),
            nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(out, out // 16, 1), nn.ReLU(),
                                  nn.Conv2d(out // 16, out, 1), nn.Sigmoid())  # fmt: skip
        self.shortcut = nn.Identity()
        if stride > 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.body(x)
        return (y * self.gate(y) + self.shortcut(x)).relu()


def se_resnet(depths):
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), *norm_relu(64), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, depth in zip((64, 128, 256, 512), depths, strict=True):
        for i in range(depth):
            layers.append(SqueezedBottleneck(channels, width, 2 if i == 0 and width > 64 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, *head(channels, 1000))


class PlainUnit(nn.Module):
    """Two convolutions; a shortcut that takes every other position and adds maps of zeros."""

    def __init__(self, channels, width):
        super().__init__()
        self.new, self.stride = width - channels, width // channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, self.stride, 1, bias=False), *norm_relu(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return (self.body(x) + nn.functional.pad(shortcut, (0, 0, 0, 0, 0, self.new))).relu()


def resnet_cifar(depth):
    n = (depth - 2) // 6
    widths = [16, *[16] * n, *[32] * n, *[64] * n]
    units = [PlainUnit(channels, width) for channels, width in itertools.pairwise(widths)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), *norm_relu(16), *units, *head(64))
