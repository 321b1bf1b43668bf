"""Nets of the zoo in plain PyTorch, as a user would write them; netdsl is compared with them.

`python tools/peers.py NAME FILE.onnx --exporter dynamo` does the same as `netdsl compile NAME`: it builds the net with
initial weights and writes it as ONNX. Modules have the names that torchvision gives them, so that the keys of a
`state_dict` agree with those of the nets in `nets/`.
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class LeNet5(nn.Module):
    """LeNet-5 as it is taught, with ReLU and max pooling."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.conv3 = nn.Conv2d(16, 120, 5)
        self.dense1 = nn.Linear(120, 84)
        self.dense2 = nn.Linear(84, classes)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of 1x28x28 images."""
        x = self.pool(self.conv1(x).relu())
        x = self.pool(self.conv2(x).relu())
        x = self.conv3(x).relu().flatten(1)
        return self.dense2(self.dense1(x).relu())  # type: ignore[no-any-return] # a Module's call is untyped


class VGG16(nn.Module):
    """VGG-16: thirteen 3x3 convolutions in five groups, then three dense layers."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of 3x224x224 images."""
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return] # a Module's call is untyped


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, with the input or its projection added."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))  # type: ignore[no-any-return] # a Module's call is untyped


class ResNet(nn.Module):
    """A residual net made of bottlenecks."""

    def __init__(self, depths: tuple[int, int, int, int], classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        stages: list[nn.Module] = []
        for width, depth, stride in zip((64, 128, 256, 512), depths, (1, 2, 2, 2), strict=True):
            blocks: list[nn.Module] = []
            for index in range(depth):
                blocks.append(Bottleneck(channels, width, stride if index == 0 else 1))
                channels = 4 * width
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of 3x224x224 images."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(self.avgpool(x).flatten(1))  # type: ignore[no-any-return] # a Module's call is untyped


class ConvBN(nn.Module):
    """A convolution without bias, batch norm and ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated feature maps."""
        return self.bn(self.conv(x)).relu()  # type: ignore[no-any-return] # a Module's call is untyped


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 3x3 (5x5 in the paper); pool and 1x1."""

    def __init__(self, channels: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        c1, r3, c3, r5, c5, pool = widths
        self.branch1 = ConvBN(channels, c1, 1)
        self.branch2 = nn.Sequential(ConvBN(channels, r3, 1), ConvBN(r3, c3, 3, padding=1))
        self.branch3 = nn.Sequential(ConvBN(channels, r5, 1), ConvBN(r5, c5, 3, padding=1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), ConvBN(channels, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the concatenated feature maps of the branches."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """GoogLeNet with batch norm, without its auxiliary classifiers, in torchvision's arrangement."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = ConvBN(3, 64, 7, 2, 3)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = ConvBN(64, 64, 1)
        self.conv3 = ConvBN(64, 192, 3, padding=1)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception3a = Inception(192, (64, 96, 128, 16, 32, 32))
        self.inception3b = Inception(256, (128, 128, 192, 32, 96, 64))
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception4a = Inception(480, (192, 96, 208, 16, 48, 64))
        self.inception4b = Inception(512, (160, 112, 224, 24, 64, 64))
        self.inception4c = Inception(512, (128, 128, 256, 24, 64, 64))
        self.inception4d = Inception(512, (112, 144, 288, 32, 64, 64))
        self.inception4e = Inception(528, (256, 160, 320, 32, 128, 128))
        self.pool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.inception5a = Inception(832, (256, 160, 320, 32, 128, 128))
        self.inception5b = Inception(832, (384, 192, 384, 48, 128, 128))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of 3x224x224 images."""
        x = self.pool2(self.conv3(self.conv2(self.pool1(self.conv1(x)))))
        x = self.pool3(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.pool4(self.inception4e(self.inception4d(x)))
        x = self.avgpool(self.inception5b(self.inception5a(x)))
        return self.fc(self.dropout(x.flatten(1)))  # type: ignore[no-any-return] # a Module's call is untyped


PEERS: dict[str, Callable[[], nn.Module]] = {
    "lenet5": LeNet5,
    "resnet50": lambda: ResNet((3, 4, 6, 3)),
    "resnet152": lambda: ResNet((3, 8, 36, 3)),
    "vgg16": VGG16,
    "googlenet": GoogLeNet,
}
"""The nets by their names in `nets/`."""

SHAPES = {name: (1, 28, 28) if name == "lenet5" else (3, 224, 224) for name in PEERS}
"""The shapes of the inputs, without the batch."""

PARAMETERS = {
    "lenet5": 61_706,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
    "vgg16": 138_357_544,
    "googlenet": 6_624_904,
}
"""The numbers of trainable parameters, as the literature (LeNet-5) and torchvision (the others) give them."""


def export(name: str, path: str, *, dynamo: bool) -> None:
    """Build a peer and write it as ONNX with a free batch size.

    Args:
        name: a key of `PEERS`.
        path: the file to write; the dynamo exporter puts the weights beside it.
        dynamo: whether `torch.export` (dynamo) or TorchScript traces the net.
    """
    model = PEERS[name]().eval()
    sample = (torch.zeros(2, *SHAPES[name]),)
    if dynamo:
        batch = torch.export.Dim("N")
        torch.onnx.export(model, sample, path, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    else:
        torch.onnx.export(model, sample, path, dynamo=False, dynamic_axes={"x": {0: "N"}}, input_names=["x"])


def main() -> None:
    """Command line: `peers.py NAME FILE --exporter dynamo|torchscript`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("net", choices=PEERS)
    parser.add_argument("file")
    parser.add_argument("--exporter", choices=("dynamo", "torchscript"), default="dynamo")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # deprecation notes of the exporters, which the caller cannot act on
    export(arguments.net, arguments.file, dynamo=arguments.exporter == "dynamo")


if __name__ == "__main__":
    main()
