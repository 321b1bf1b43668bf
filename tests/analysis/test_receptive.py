"""How far a result sees, held to what PyTorch does when one row of the input changes."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from netdsl.analysis.receptive import WHOLE, views
from netdsl.backends.torch.lower import lower
from netdsl.compiler import check_text
from netdsl.weights.initial import Initializer


def positive(param):
    """Weights by which more of anything is more of everything: no change cancels out."""
    if not param.spec.dtype.is_float:
        return Initializer()(param)
    values = np.random.default_rng(len(param.name)).uniform(0.2, 1, param.spec.shape)
    return (values / max(1, np.prod(param.spec.shape[1:]))).astype(param.spec.dtype.value)


def measured(graph):
    """The most rows, columns, ... of the input, from first to last, that change one position of the output."""
    module = lower(graph, positive).double().eval()
    (given,) = graph.inputs
    shape = given.type.shape
    base = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for axis in range(1, len(shape)):
        changed = base.repeat(shape[axis], *(1 for _ in shape))
        for i in range(shape[axis]):
            changed[i].select(axis, i).add_(3 + base.select(axis, i).square())
        with torch.no_grad():
            before, after = module(base[None]), module(changed)
        # whether row i of the input changes each element of the output
        moved = ((after - before).abs() > 1e-12 * before.abs()).flatten(1)
        extents = [int(rows[-1] - rows[0]) + 1 for column in moved.T if len(rows := column.nonzero().flatten())]
        found.append(max(extents, default=0))
    return tuple(found)


def told(text):
    graph = check_text(text).graph
    (output,) = graph.outputs.values()
    view = views(graph.nodes)[output]
    assert view is not None
    sizes = graph.inputs[0].type.shape[1:]
    field = ("all",) * len(sizes) if view is WHOLE else view.field
    return tuple(size if side == "all" else side for side, size in zip(field, sizes, strict=True)), graph


def check(text):
    field, graph = told(text)
    assert field == measured(graph), text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("avgpool k4 -> upsample 4 -> conv 2 k3 p1", 8),
        ("avgpool k4 -> upsample 4 -> conv 2 k6", 12),
        ("maxpool k2 -> upsample 2 mode=linear", 4),
        ("maxpool k2 -> upsample 3 mode=linear -> maxpool k3", 6),
        ("avgpool k4 -> upsample 2 mode=linear align_corners=yes", 8),
        ("deconv 2 k3 s2 -> conv 2 k2 -> conv 2 k2", 3),
        ("deconv 2 k2 s4 -> maxpool k2 s1", 1),
        ("deconv 2 k3 s2 d3 p2 -> conv 2 k3", 5),
        ("conv 2 k3 d4 -> conv 2 k3 s2 -> conv 2 k2", 13),
        ("maxpool k3 s2 p1 -> slice 3 stop=4 axis=1 -> conv 2 k3 p1", 3),
        ("crop 20 -> conv 2 k5 -> global_avgpool -> upsample 4", 56),
        ("slice 0 step=3 axis=1 -> conv 2 k2", 4),
        ("pad 3 mode=reflect -> conv 2 k3 -> crop 2", 3),
        ("add { conv 2 k3 p1 -> maxpool k2; crop 24 }", 25),
        ("concat { conv 2 k3 p1; [ avgpool k2 -> upsample 2 ] } -> conv 2 k1", 3),
        ("concat axis=1 { conv 2 k3 p1; conv 2 k7 p3 } -> conv 2 k1", 7),
        ("mul { conv 2 k5 p2; [ slice 5 stop=6 axis=1 ] }", 91),
        ("conv 3 k3 p1 -> reshape [3, 12, 8] -> conv 2 k1", 3),
        ("transpose (1, 0) -> conv 4 k1", 96),
        ("flatten -> reshape [2, 96] -> reshape [2, 48, 2] -> flatten start=1", 1),
        ("adaptive_avgpool 7", 15),
        ("softmax axis=1", 96),
        ("conv 4 k3 p1 -> instance_norm", 96),
        ("conv 4 k3 p1 -> gn 2", 96),
        ("conv 4 k3 p1 -> ln", 96),
        ("conv 4 k3 p1 -> channel_ln", 3),
        ("conv 4 k3 p1 -> lrn 3", 3),
        ("conv 4 k3 p1 -> transpose (1, 0) -> ln", 3),
        ("conv 4 k3 p1 -> transpose (1, 0) -> attention 2", 96),
        ("slice 9 stop=20 axis=1 -> transpose (1, 0) -> lstm 4 last=yes", 11),
        ("slice 9 stop=20 axis=1 -> transpose (1, 0) -> gru 2", 11),
        ("conv 4 k3 p1 -> transpose (1, 0) -> dense 4 -> transpose (1, 0) -> conv 2 k3", 5),
        ("mul { conv 4 k3 p1; [ conv 4 k3 p1 -> global_avgpool -> conv 4 k1 -> sigmoid ] }", 96),
    ],
)
def test_along_one_dimension(body, field):
    text = f"net n {{ input x: 2x96\n {body} }}"
    assert told(text)[0] == (field,)
    check(text)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("conv 2 k3x5 p=(1, 2) -> maxpool (2, 1) -> pixel_shuffle 1", (4, 5)),
        ("conv 8 k3 p1 -> pixel_shuffle 2 -> conv 2 k3", (4, 4)),
        ("maxpool k2 -> upsample 2 mode=bicubic -> conv 2 k3 p1", (10, 10)),
        ("upsample (1, 3) mode=bilinear -> conv 2 k3", (3, 3)),
        ("dense 5", (1, 16)),
        ("softmax axis=1 -> conv 2 k3", (16, 3)),
        ("ln -> conv 2 k3", (3, 16)),
        ("ln dims=2", (16, 16)),
        ("transpose (0, 2, 1) -> conv 2 k3x1", (1, 3)),
        ("conv 4 k4 s4 -> flatten start=1 -> transpose (1, 0) -> ln -> dense 3", (4, 4)),
        ("conv 4 k4 s4 -> flatten start=1 -> transpose (1, 0) -> attention 2", (16, 16)),
        ("conv 4 k4 s4 -> reshape [4, 4, 2, 2] -> conv 2 k1", (4, 4)),
        ("adaptive_maxpool (1, 4)", (16, 4)),
        ("conv 2 k3 -> flatten -> dense 3", (16, 16)),
        ("conv 2 k3 s4 -> flatten -> dense 3", (15, 15)),
        ("split 2 1 axis=1 -> global_maxpool", (8, 16)),
        ("select [1, 5] axis=2 -> maxpool (1, 2)", (1, 5)),
    ],
)
def test_along_two_dimensions(body, field):
    text = f"net n {{ input x: 2x16x16\n {body} }}"
    assert told(text)[0] == field
    check(text)


# ------------------------------------------------------------------------------------------------ random nets


class Writer:
    """Writes a body over maps of two channels that is not the same twice, and knows the length of the map."""

    def __init__(self, seed):
        self.random = random.Random(seed)  # noqa: S311 - nothing secret

    def some(self, *options):
        return self.random.choice(options)

    def layer(self, n):
        """A layer, and the length that it makes of `n`; about as much as it was."""
        k, d, p = self.some(1, 2, 3, 4), self.some(1, 1, 2, 3), self.some(0, 1, 2)
        s = self.some(1, 1, 2, 3) if n > 60 else 1
        scale = self.some(2, 3, 4) if n < 90 else 1
        windows = (n + 2 * p - d * (k - 1) - 1) // s + 1
        match self.random.randrange(12):
            case 0 | 1:
                return f"conv 2 k{k} s{s} p{p} d{d}", windows
            case 2:
                return f"depthwise k{k} s{s} p{p} d{d}", windows
            case 3:
                p = min(p, k // 2)
                return f"maxpool k{k} s{s} p{p} d{d}", (n + 2 * p - d * (k - 1) - 1) // s + 1
            case 4:
                return f"avgpool k{k} s{s}", (n - k) // s + 1
            case 5:
                return f"upsample {scale}", n * scale
            case 6:
                corners = "yes" if self.random.random() < 0.3 else "no"
                return f"upsample {scale} mode=linear align_corners={corners}", n * scale
            case 7:
                return f"deconv 2 k{k} s{scale} d{d}", (n - 1) * scale + d * (k - 1) + 1
            case 8:
                return f"crop {p}", n - 2 * p
            case 9:
                return f"pad {p} mode={self.some('constant', 'replicate')}", n + 2 * p
            case 10:
                return f"slice {p} step={s} axis=1", -(-(n - p) // s)
            case 11:
                return self.some("relu", "affine", "identity"), n
        raise AssertionError

    def chain(self, n, layers):
        parts = []
        for _ in range(layers):
            part, n = self.join(n) if self.random.random() < 0.15 else self.layer(n)
            parts.append(part)
        return " -> ".join(parts), n

    def join(self, n):
        """Branches that differ in what they see, and keep the length if it is even."""
        k = self.some(1, 3, 5)
        wide = f"conv 2 k{k} p{k // 2}"
        small = f"maxpool k2 -> conv 2 k3 p1 -> upsample 2 mode={self.some('nearest', 'linear')}"
        other = small if n % 2 == 0 else "conv 2 k3 p2 d2"
        if self.random.random() < 0.5:
            return f"concat {{ {wide}; [ {other} ] }} -> conv 2 k1", n
        return f"add {{ {wide}; [ {other} ] }}", n


@pytest.mark.parametrize("seed", range(30))
def test_random_nets(seed):
    writer = Writer(seed)
    body, _ = writer.chain(72, writer.random.randint(2, 6))
    (field,), graph = told(f"net n {{ input x: 2x72\n {body} }}")
    (found,) = measured(graph)
    assert found == field if field <= 30 else found <= field, body  # near a border less may be there to see
