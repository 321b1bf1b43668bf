"""Nets of the zoo by hand in plain PyTorch, layers in the order of the data: what their `.net` files must be."""

from __future__ import annotations

import itertools
from functools import partial

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


def double(channels, width, pad):
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=pad), nn.ReLU(),
                         nn.Conv2d(width, width, 3, padding=pad), nn.ReLU())  # fmt: skip


class UNet(nn.Module):
    """Four steps down and four up; what is skipped is cut to the size of what comes from below."""

    def __init__(self, pad):
        super().__init__()
        widths = [64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(double(c, w, pad) for c, w in zip([1, *widths], widths, strict=False))
        self.grow = nn.ModuleList(nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 2, 2), double(2 * w, w, pad)])
                                  for w in (512, 256, 128, 64))  # fmt: skip
        self.last = nn.Conv2d(64, 2, 1)

    def forward(self, x):
        skipped = []
        for step in self.down:
            x = step(x if not skipped else nn.functional.max_pool2d(x, 2))
            skipped.append(x)
        for (deconv, mix), old in zip(self.grow, skipped[-2::-1], strict=True):
            x = deconv(x)
            start, side = (old.shape[-1] - x.shape[-1]) // 2, x.shape[-1]
            x = mix(cat([old[:, :, start : start + side, start : start + side], x]))
        return self.last(x)


class Level(nn.Module):
    """Two causal convolutions around a shortcut: padded on both sides, and what is too much cut off the end."""

    def __init__(self, channels, width, k, dilation):
        super().__init__()
        self.cut = (k - 1) * dilation
        self.first = nn.Conv1d(channels, width, k, padding=self.cut, dilation=dilation)
        self.second = nn.Conv1d(width, width, k, padding=self.cut, dilation=dilation)
        self.shortcut = nn.Conv1d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x):
        y = self.first(x)[:, :, : -self.cut].relu()
        return (self.second(y)[:, :, : -self.cut].relu() + self.shortcut(x)).relu()


class Last(nn.Module):
    """The last position of a sequence."""

    def forward(self, x):
        return x[:, :, -1]


def tcn():
    levels = [Level(25 if i else 1, 25, 7, 2**i) for i in range(8)]
    return nn.Sequential(*levels, Last(), nn.Linear(25, 10))


def c3d(size):
    layers = []
    channels = 3
    pools = [((1, 2, 2), 0), (2, 0), (2, 0), (2, 0), (2, (0, 1, 1))]
    for widths, (k, pad) in zip([[64], [128], [256] * 2, [512] * 2, [512] * 2], pools, strict=True):
        for width in widths:
            layers += [nn.Conv3d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool3d(k, k, pad))
    side = size // 32 + 1
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * side**2, 4096), nn.ReLU(), nn.Linear(4096, 4096),
                         nn.ReLU(), nn.Linear(4096, 487))  # fmt: skip


def autoencoder():
    fewer, more = nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)
    steps = [(16, 1, fewer), (8, 1, fewer), (8, 1, fewer), (8, 1, more), (8, 1, more), (16, 0, more)]
    layers = []
    channels = 1
    for width, pad, resize in steps:
        layers += [nn.Conv2d(channels, width, 3, padding=pad), nn.ReLU(), resize]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid())


def dcgan_generator():
    layers = [nn.ConvTranspose2d(100, 512, 4, bias=False)]
    for width in (512, 256, 128):
        layers += [*norm_relu(width), nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, *norm_relu(64), nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())


def dcgan_discriminator():
    layers = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for width in (128, 256, 512):
        layers += [nn.Conv2d(width // 2, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False), nn.Flatten(), nn.Sigmoid())


class ScaledTanh(nn.Module):
    """LeCun's: 1.7159 tanh(2x/3)."""

    def forward(self, x):
        return 1.7159 * torch.tanh(x * (2 / 3))


def column():
    return nn.Sequential(
        nn.Conv2d(1, 20, 4), ScaledTanh(), nn.MaxPool2d(2), nn.Conv2d(20, 40, 5), ScaledTanh(), nn.MaxPool2d(3),
        nn.Flatten(), nn.Linear(360, 150), ScaledTanh(), nn.Linear(150, 10), nn.Softmax(1),
    )  # fmt: skip


def average_of(tensors):
    return torch.stack(tensors).mean(0)


class TenCrop(nn.Module):
    """The average answer to five views of 24 x 24 and their mirror images."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(),
            nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Flatten(), nn.Linear(576, 64), nn.Linear(64, 10), nn.Softmax(1),
        )  # fmt: skip

    def forward(self, x):
        corners = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
        views = [x[:, :, top : top + 24, left : left + 24] for top, left in corners]
        return average_of([self.net(view) for view in [*views, *(view.flip(3) for view in views)]])


class Siamese(nn.Module):
    """The weighted distance of two images' features."""

    def __init__(self):
        super().__init__()
        layers, channels = [], 1
        for width, k in ((64, 10), (128, 7), (128, 4)):
            layers += [nn.Conv2d(channels, width, k), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        layers += [nn.Conv2d(128, 256, 4), nn.ReLU(), nn.Flatten(), nn.Linear(256 * 6 * 6, 4096), nn.Sigmoid()]
        self.tower = nn.Sequential(*layers)
        self.last = nn.Linear(4096, 1)

    def forward(self, first, second):
        return self.last((self.tower(first) - self.tower(second)).abs())


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
    "unet": lambda size: UNet(0),  # noqa: ARG005 - the weights fit images of any size
    "unet_same": lambda size: UNet(1),  # noqa: ARG005 - likewise
    "tcn": tcn,
    "c3d": c3d,
    "autoencoder": autoencoder,
    "dcgan_generator": dcgan_generator,
    "dcgan_discriminator": dcgan_discriminator,
    "mcdnn": lambda: Joined(average_of, *(column() for _ in range(5))),
    "ten_crop": TenCrop,
    "siamese": Siamese,
    **{f"resnet{depth}": partial(resnet_cifar, depth) for depth in (20, 32, 44, 56, 110)},
    "se_resnet50": lambda: se_resnet([3, 4, 6, 3]),
}
"""Each by its name in the zoo; where `ARGUMENTS` has some, they are given to both."""

ARGUMENTS = {"unet": {"size": 188}, "unet_same": {"size": 64}, "c3d": {"size": 32}}
