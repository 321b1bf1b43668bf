"""Nets found by search: NASNet-A, and the macro and micro nets of ENAS."""

from torch import nn

from zoo_peers.parts import cat, head


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


def searched_operation(index, width, stride):
    """An operation of ENAS's micro search by its number."""
    if index in (0, 1):
        return Separable(width, (3, 5)[index], stride)
    if index in (2, 3):
        return average(stride) if index == 2 else nn.MaxPool2d(3, stride, 1)
    return Halve(width, width) if stride > 1 else nn.Identity()


class SearchedCell(nn.Module):
    """Five sums of two operations on earlier results; those that no sum reads are the output."""

    def __init__(self, arc, channels, previous, width, stride, halved):
        super().__init__()
        self.now = nn.Sequential(pointwise(channels, width), pointwise(width, width))
        self.was = nn.Sequential(nn.ReLU(), Halve(previous, width)) if halved else pointwise(previous, width)
        self.read = arc[::2]
        self.operations = nn.ModuleList(searched_operation(operation, width, stride if source < 2 else 1)
                                        for source, operation in zip(arc[::2], arc[1::2], strict=True))  # fmt: skip
        self.ends = [i for i in range(7) if i not in self.read]

    def forward(self, x, previous):
        now = self.now(x)
        results = [self.was(previous), now]
        parts = list(zip(self.read, self.operations, strict=True))
        for (i, left), (j, right) in zip(parts[::2], parts[1::2], strict=True):
            results.append(left(results[i]) + right(results[j]))
        return cat([results[i] for i in self.ends])


class EnasMicro(nn.Module):
    """Three stages of five cells with reduction cells between them, the cells as the authors' script encodes them."""

    def __init__(self, width=36):
        super().__init__()
        normal = [0, 2, 0, 0, 0, 4, 0, 1, 0, 4, 1, 1, 1, 0, 0, 1, 0, 2, 1, 1]
        reduction = [1, 0, 1, 0, 0, 3, 0, 2, 1, 1, 3, 1, 1, 0, 0, 4, 0, 3, 1, 1]
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * width, 3, padding=1, bias=False), nn.BatchNorm2d(3 * width))
        self.cells = nn.ModuleList()
        previous = channels = 3 * width
        for i in range(17):
            reduces = i in (5, 11)
            width *= 1 + reduces
            arc, stride = (reduction, 2) if reduces else (normal, 1)
            cell = SearchedCell(arc, channels, previous, width, stride, halved=i in (6, 12))
            self.cells.append(cell)
            previous, channels = channels, len(cell.ends) * width
        self.head = nn.Sequential(nn.ReLU(), *head(channels))

    def forward(self, x):
        previous = x = self.stem(x)
        for cell in self.cells:
            previous, x = x, cell(x, previous)
        return self.head(x)
