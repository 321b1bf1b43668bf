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


class Separable(nn.Sequential):
    """Two depthwise separable convolutions, ReLU first."""

    def __init__(self, width, k, stride=1):
        layers = []
        for s in (stride, 1):
            layers += [nn.ReLU(), nn.Conv2d(width, width, k, s, k // 2, groups=width, bias=False),
                       nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)]  # fmt: skip
        super().__init__(*layers)


class Halve(nn.Module):
    """Every other position, once from the first and once from the second on, half of the maps each."""

    def __init__(self, channels, width):
        super().__init__()
        self.even = nn.Conv2d(channels, width // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(channels, width // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return self.norm(cat([self.even(x), self.odd(x[:, :, 1:, 1:])]))


def pointwise(channels, width):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))


def average(stride=1):
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


class Normal(nn.Module):
    """NASNet-A's normal cell, of the present and the previous output."""

    def __init__(self, channels, previous, width, halved):
        super().__init__()
        self.now = pointwise(channels, width)
        self.was = nn.Sequential(nn.ReLU(), Halve(previous, width)) if halved else pointwise(previous, width)
        self.a1, self.a2 = Separable(width, 5), Separable(width, 3)
        self.b1, self.b2 = Separable(width, 5), Separable(width, 3)
        self.e = Separable(width, 3)
        self.pool = average()

    def forward(self, x, previous):
        now, was = self.now(x), self.was(previous)
        return cat([was, self.a1(now) + self.a2(was), self.b1(was) + self.b2(was), self.pool(now) + was,
                    2 * self.pool(was), self.e(now) + now])  # fmt: skip


class Reduction(nn.Module):
    """NASNet-A's reduction cell, of the present and the previous output."""

    def __init__(self, channels, previous, width):
        super().__init__()
        self.now, self.was = pointwise(channels, width), pointwise(previous, width)
        self.a1, self.a2 = Separable(width, 5, 2), Separable(width, 7, 2)
        self.b, self.c, self.e = Separable(width, 7, 2), Separable(width, 5, 2), Separable(width, 3)
        self.largest, self.fewer, self.pool = nn.MaxPool2d(3, 2, 1), average(2), average()

    def forward(self, x, previous):
        now, was = self.now(x), self.was(previous)
        a, b = self.a1(now) + self.a2(was), self.largest(now) + self.b(was)
        return cat([b, self.fewer(now) + self.c(was), self.pool(a) + b, self.e(a) + self.largest(now)])


class NasNetA(nn.Module):
    """Three stages of normal cells with reduction cells between them."""

    def __init__(self, cells=6, width=32):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * width, 3, padding=1, bias=False), nn.BatchNorm2d(3 * width))
        self.cells = nn.ModuleList()
        previous = channels = 3 * width
        for stage in range(3):
            if stage > 0:
                width *= 2
                self.cells.append(Reduction(channels, previous, width))
                previous, channels = channels, 4 * width
            for i in range(cells):
                self.cells.append(Normal(channels, previous, width, halved=stage > 0 and i == 0))
                previous, channels = channels, 6 * width
        self.head = nn.Sequential(nn.ReLU(), *head(channels))

    def forward(self, x):
        previous = x = self.stem(x)
        for cell in self.cells:
            previous, x = x, cell(x, previous)
        return self.head(x)


ENAS = """0
3 0
0 1 0
2 0 0 1
2 0 0 0 0
3 1 1 0 1 0
2 0 0 0 0 0 1
2 0 1 1 0 1 1 1
1 0 1 1 1 0 1 0 1
0 0 0 0 0 0 0 0 0 0
2 0 0 0 0 0 1 0 0 0 0
0 1 0 0 1 1 0 0 0 0 1 1
2 0 1 0 0 0 0 0 1 0 1 1 0
1 0 0 1 0 0 0 1 1 1 0 1 0 1
0 1 1 0 1 0 1 0 0 0 0 0 1 0 0
2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1
2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0
2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1
3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0
3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1
0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0
3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0
0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0
0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0"""
"""The arcs of the final net as the authors' script encodes them: an operation, then which earlier outputs are read."""


class EnasMacro(nn.Module):
    """Layers of two convolutions each, which also read earlier outputs; all outputs are halved twice."""

    def __init__(self, width=96):
        super().__init__()
        self.arcs = [[int(word) for word in line.split()] for line in ENAS.splitlines()]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.steps = nn.ModuleList()
        for i, (operation, *skips) in enumerate(self.arcs):
            if i in (8, 16):
                self.steps.append(nn.ModuleList(Halve(width, 2 * width) for _ in range(i + 1)))
                width *= 2
            k = (3, 3, 5, 5)[operation]
            conv = nn.Conv2d(width, width, k, padding=k // 2, bias=False)
            unit = nn.Sequential(*pointwise(width, width), nn.ReLU(), conv, nn.BatchNorm2d(width))
            self.steps.append(nn.ModuleList([unit, *[pointwise((sum(skips) + 1) * width, width)] * (i > 0)]))
        self.head = nn.Sequential(*head(width))

    def forward(self, x):
        outputs = [self.stem(x)]
        steps = iter(self.steps)
        for i, (_, *skips) in enumerate(self.arcs):
            if i in (8, 16):
                outputs = [halve(output) for halve, output in zip(next(steps), outputs, strict=True)]
            unit, *mix = next(steps)
            result = unit(outputs[-1])
            for layer in mix:
                read = [output for output, skip in zip(outputs, skips, strict=False) if skip]
                result = layer(cat([*read, result]))
            outputs.append(result)
        return self.head(outputs[-1])


PEERS = {
    "densenet_bc_100_12": lambda: densenet_bc(100, 12),
    "densenet_bc_250_24": lambda: densenet_bc(250, 24),
    "densenet_bc_190_40": lambda: densenet_bc(190, 40),
    "mobilenet": lambda: mobilenet(32),
    "mobilenet_075": lambda: mobilenet(24),
    "mobilenet_050": lambda: mobilenet(16),
    "mobilenet_025": lambda: mobilenet(8),
    "nasnet_a": NasNetA,
    "enas_macro": EnasMacro,
}
