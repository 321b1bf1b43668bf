"""Segmentation, sequences, video, generators, and nets of several towers or views."""

import torch
from torch import nn

from zoo_peers.parts import cat, norm_relu


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


def c3d(size=112):
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

    def __init__(self, size=105):
        super().__init__()
        layers, channels = [], 1
        for width, k in ((64, 10), (128, 7), (128, 4)):
            layers += [nn.Conv2d(channels, width, k), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        side = (((size - 9) // 2 - 6) // 2 - 3) // 2 - 3
        layers += [nn.Conv2d(128, 256, 4), nn.ReLU(), nn.Flatten(), nn.Linear(256 * side**2, 4096), nn.Sigmoid()]
        self.tower = nn.Sequential(*layers)
        self.last = nn.Linear(4096, 1)

    def forward(self, first, second):
        return self.last((self.tower(first) - self.tower(second)).abs())


class Features(nn.Module):
    """LeNet-5, which gives its last features too."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten(), nn.Linear(120, 84), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(84, 10)

    def forward(self, x):
        features = self.body(x)
        return self.last(features), features


class MultiLabel(nn.Module):
    """Logits, and a probability for each class by itself."""

    def __init__(self):
        super().__init__()
        layers = []
        for channels, width in ((3, 32), (32, 64), (64, 128), (128, 256)):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), *norm_relu(width), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(256, 20))

    def forward(self, x):
        logits = self.body(x)
        return logits, logits.sigmoid()
