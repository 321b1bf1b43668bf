"""Nets of torchvision whose checkpoints we have no list of: the modules are called as torchvision calls them."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from math import ceil

import torch
from torch import nn


def unit(channels, width, k=1, s=1, act=nn.ReLU, g=1, norm=nn.BatchNorm2d):
    conv = nn.Conv2d(channels, width, k, s, k // 2, groups=g, bias=False)
    return nn.Sequential(conv, norm(width), *([act()] if act else []))


def depthwise(channels, k, s, **options):
    return unit(channels, channels, k, s, g=channels, **options)


def in_order(**modules):
    return nn.Sequential(OrderedDict(modules))


def classified(features, *classifier):
    return in_order(
        features=features, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), classifier=nn.Sequential(*classifier)
    )


def eights(channels):
    """The nearest multiple of 8, or the next, if that is less than nine tenths."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


class Inverted(nn.Module):
    """Layers under a name, and their input added where that has the shape of the result."""

    def __init__(self, name, layers, same):
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))
        self.same = same

    def forward(self, x):
        (body,) = self.children()
        return x + body(x) if self.same else body(x)


class Excite(nn.Module):
    def __init__(self, channels, squeezed, act, gate):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


# ------------------------------------------------------------------------------------------------ ShuffleNet v2


class Shuffled(nn.Module):
    """Both branches of all channels, or the second of half of them; then the halves are interleaved."""

    def __init__(self, channels, width):
        super().__init__()
        s, first = (1, width) if channels == 2 * width else (2, channels)
        self.branch1 = nn.Sequential(
            *(() if s == 1 else (*depthwise(channels, 3, 2, act=None), *unit(channels, width)))
        )
        self.branch2 = nn.Sequential(*unit(first, width), *depthwise(width, 3, s, act=None), *unit(width, width))

    def forward(self, x):
        left, right = (x, x) if len(self.branch1) else x.split(x.shape[1] // 2, 1)
        return torch.stack([self.branch1(left), self.branch2(right)], 2).flatten(1, 2)


def shufflenet_v2(width, last=1024):
    parts = {"conv1": unit(3, 24, 3, 2), "pool": nn.MaxPool2d(3, 2, 1)}
    channels = 24
    for i, depth in ((2, 4), (3, 8), (4, 4)):
        units = []
        for _ in range(depth):
            units.append(Shuffled(channels, width))
            channels = 2 * width
        parts[f"stage{i}"] = nn.Sequential(*units)
        width *= 2
    parts |= {"conv5": unit(channels, last), "mean": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    return in_order(**parts, fc=nn.Linear(last, 1000))


# ------------------------------------------------------------------------------------------------ MobileNetV3

LARGE = """16 3 16 16 - R 1; 16 3 64 24 - R 2; 24 3 72 24 - R 1; 24 5 72 40 E R 2; 40 5 120 40 E R 1; 40 5 120 40 E R 1
40 3 240 80 - H 2; 80 3 200 80 - H 1; 80 3 184 80 - H 1; 80 3 184 80 - H 1; 80 3 480 112 E H 1; 112 3 672 112 E H 1
112 5 672 160 E H 2; 160 5 960 160 E H 1; 160 5 960 160 E H 1"""
SMALL = """16 3 16 16 E R 2; 16 3 72 24 - R 2; 24 3 88 24 - R 1; 24 5 96 40 E H 2; 40 5 240 40 E H 1; 40 5 240 40 E H 1
40 5 120 48 E H 1; 48 5 144 48 E H 1; 48 5 288 96 E H 2; 96 5 576 96 E H 1; 96 5 576 96 E H 1"""


def mobilenet_v3(table, last):
    of = partial(unit, norm=partial(nn.BatchNorm2d, eps=0.001))
    layers = [of(3, 16, 3, 2, nn.Hardswish)]
    for row in table.replace("\n", ";").split(";"):
        *numbers, excite, letter, s = row.split()
        channels, k, wide, width = map(int, numbers)
        act = {"R": nn.ReLU, "H": nn.Hardswish}[letter]
        body = [] if wide == channels else [of(channels, wide, act=act)]
        body.append(of(wide, wide, k, int(s), act, wide))
        if excite == "E":
            body.append(Excite(wide, eights(wide // 4), nn.ReLU, nn.Hardsigmoid))
        layers.append(Inverted("block", [*body, of(wide, width, act=None)], same=s == "1" and channels == width))
    layers.append(of(width, 6 * width, act=nn.Hardswish))
    return classified(
        nn.Sequential(*layers), nn.Linear(6 * width, last), nn.Hardswish(), nn.Dropout(), nn.Linear(last, 1000)
    )


# ------------------------------------------------------------------------------------------------ EfficientNet, MnasNet


def efficientnet(wider, deeper, eps=1e-5, **_):
    of = partial(unit, norm=partial(nn.BatchNorm2d, eps=eps), act=nn.SiLU)
    channels = eights(32 * wider)
    stages = [of(3, channels, 3, 2)]
    for t, k, s, c, n in ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
                          (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)):  # fmt: skip
        units = []
        for i in range(ceil(n * deeper)):
            wide, width, stride = t * channels, eights(c * wider), s if i == 0 else 1
            layers = [*([of(channels, wide)] if t > 1 else []), of(wide, wide, k, stride, g=wide),
                      Excite(wide, channels // 4, nn.SiLU, nn.Sigmoid), of(wide, width, act=None)]  # fmt: skip
            units.append(Inverted("block", layers, same=stride == 1 and channels == width))
            channels = width
        stages.append(nn.Sequential(*units))
    stages.append(of(channels, 4 * channels))
    return classified(nn.Sequential(*stages), nn.Dropout(), nn.Linear(4 * channels, 1000))


def efficientnet_v2_s(depths=(2, 4, 4, 6, 9, 15, 0), **_):
    of = partial(unit, norm=partial(nn.BatchNorm2d, eps=0.001), act=nn.SiLU)
    stages, channels = [of(3, 24, 3, 2)], 24
    rows = ((1, 1, 24), (4, 2, 48), (4, 2, 64), (4, 2, 128), (6, 1, 160), (6, 2, 256))
    for (t, s, width), n in zip(rows, depths, strict=False):
        units = []
        for i in range(n):
            wide, stride = t * channels, s if i == 0 else 1
            if len(stages) > 3:
                layers = [of(channels, wide), of(wide, wide, 3, stride, g=wide),
                          Excite(wide, channels // 4, nn.SiLU, nn.Sigmoid), of(wide, width, act=None)]  # fmt: skip
            else:
                spread = of(channels, wide, 3, stride)
                layers = [spread, of(wide, width, act=None)] if t > 1 else [spread]
            units.append(Inverted("block", layers, same=stride == 1 and channels == width))
            channels = width
        stages.append(nn.Sequential(*units))
    return classified(nn.Sequential(*stages, of(channels, 1280)), nn.Dropout(), nn.Linear(1280, 1000))


def mnasnet(wider):
    first, channels = eights(32 * wider), eights(16 * wider)
    layers = [*unit(3, first, 3, 2), *depthwise(first, 3, 1), *unit(first, channels, act=None)]
    for k, s, t, c, n in ((3, 2, 3, 24, 3), (5, 2, 3, 40, 3), (5, 2, 6, 80, 3), (3, 1, 6, 96, 2), (5, 2, 6, 192, 4),
                          (3, 1, 6, 320, 1)):  # fmt: skip
        units = []
        for i in range(n):
            wide, width, stride = t * channels, eights(c * wider), s if i == 0 else 1
            body = [*unit(channels, wide), *depthwise(wide, k, stride), *unit(wide, width, act=None)]
            units.append(Inverted("layers", body, same=stride == 1 and channels == width))
            channels = width
        layers.append(nn.Sequential(*units))
    layers = nn.Sequential(*layers, *unit(channels, 1280))
    head = nn.Sequential(nn.Dropout(), nn.Linear(1280, 1000))
    return in_order(layers=layers, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), classifier=head)


# ------------------------------------------------------------------------------------------------ ConvNeXt


class LastAxis(nn.LayerNorm):
    """Layer norm of channels that are not last."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Permute(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


class Modern(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.ones(width, 1, 1))
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width), Permute(0, 2, 3, 1), nn.LayerNorm(width, 1e-6),
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), Permute(0, 3, 1, 2),
        )  # fmt: skip

    def forward(self, x):
        return x + self.layer_scale * self.block(x)


def convnext(width, depths):
    stages = [nn.Sequential(nn.Conv2d(3, width, 4, 4), LastAxis(width, 1e-6))]
    for i, depth in enumerate(depths):
        if i > 0:
            stages.append(nn.Sequential(LastAxis(width, 1e-6), nn.Conv2d(width, 2 * width, 2, 2)))
            width *= 2
        stages.append(nn.Sequential(*(Modern(width) for _ in range(depth))))
    head = nn.Sequential(LastAxis(width, 1e-6), nn.Flatten(), nn.Linear(width, 1000))
    return in_order(features=nn.Sequential(*stages), pool=nn.AdaptiveAvgPool2d(1), classifier=head)


NAMED = {
    "shufflenet_v2_x0_5": lambda: shufflenet_v2(24),
    "shufflenet_v2_x2_0": lambda: shufflenet_v2(122, 2048),
    "mobilenet_v3_large": lambda: mobilenet_v3(LARGE, 1280),
    "mobilenet_v3_small": lambda: mobilenet_v3(SMALL, 1024),
    "efficientnet_b0": lambda: efficientnet(1, 1),
    "efficientnet_b2": lambda: efficientnet(1.1, 1.2),
    "efficientnet_b5": lambda deeper=2.2, **_: efficientnet(1.6, deeper, eps=0.001),
    "efficientnet_v2_s": efficientnet_v2_s,
    "mnasnet0_75": lambda: mnasnet(0.75),
    "mnasnet1_3": lambda: mnasnet(1.3),
    "convnext_tiny": lambda: convnext(96, [3, 3, 9, 3]),
}
