"""The learned tensors of shipped nets have the names, shapes and order of torchvision's checkpoints."""

import csv
from pathlib import Path

import pytest

from netdsl.compiler import check

FIGURES = Path(__file__).parent / "figures"
NORM = "weight {0} bias {0} running_mean {0} running_var {0}"
NAMES = sorted(path.stem for path in (FIGURES / "state_dicts").iterdir())
LAST = {"googlenet_aux": ("aux1", "aux2", "fc")}
"""Parts that torchvision's classes declare at the end, whatever their place in the graph."""


def checkpoint(name):
    """Key and shape of every tensor of a checkpoint of torchvision 0.28, without the counters of batches.

    A line of the file has a module and its tensors; `bn C` stands for the four of a batch norm.
    """
    tensors = []
    for line in (FIGURES / "state_dicts" / f"{name}.txt").read_text().splitlines():
        module, kind, *rest = line.split()
        words = NORM.format(*rest).split() if kind == "bn" else [kind, *rest]
        for role, shape in zip(words[::2], words[1::2], strict=True):
            tensors.append((f"{module}.{role}", tuple(map(int, shape.split("x")))))
    return tensors


def test_every_net_of_torchvision_has_its_keys():
    with (FIGURES / "torchvision.csv").open() as file:
        assert sorted(row["model"] for row in csv.DictReader(file)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_keys_shapes_and_order(name):
    ours = [(param.name, param.spec.shape) for param in check(name).graph.params.values()]
    last = LAST.get(name, ())
    ours.sort(key=lambda tensor: next((i for i, part in enumerate(last) if tensor[0].startswith(f"{part}.")), -1))
    assert ours == checkpoint(name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("resnext50_32x4d", "resnet50"),
        ("resnext101_32x8d", "resnet101"),
        ("resnext101_64x4d", "resnet101"),
        ("wide_resnet50_2", "resnet50"),
        ("wide_resnet101_2", "resnet101"),
    ],
)
def test_keys_of_other_bottlenecks(name, other):
    """In torchvision they are the same class."""
    assert list(check(name).graph.params) == [key for key, _ in checkpoint(other)]


VISION_TRANSFORMERS = {
    "vit_b_16": (16, 12, 768, 3072),
    "vit_b_32": (32, 12, 768, 3072),
    "vit_l_16": (16, 24, 1024, 4096),
    "vit_l_32": (32, 24, 1024, 4096),
    "vit_h_14": (14, 32, 1280, 5120),
}
"""Patch, layers, width and hidden width, as torchvision's functions give them to its VisionTransformer."""


@pytest.mark.parametrize("name", VISION_TRANSFORMERS)
def test_keys_of_vision_transformers(name):
    """Written down from torchvision's class, whose order is that of its modules, a module's own tensors first."""
    patch, layers, width, hidden = VISION_TRANSFORMERS[name]

    def affine(module, *shape):
        return [(f"{module}.weight", shape), (f"{module}.bias", shape[:1])]

    expected = [
        ("class_token", (1, 1, width)),
        *affine("conv_proj", width, 3, patch, patch),
        ("encoder.pos_embedding", (1, (224 // patch) ** 2 + 1, width)),
    ]
    for i in range(layers):
        layer = f"encoder.layers.encoder_layer_{i}"
        expected += [
            *affine(f"{layer}.ln_1", width),
            (f"{layer}.self_attention.in_proj_weight", (3 * width, width)),
            (f"{layer}.self_attention.in_proj_bias", (3 * width,)),
            *affine(f"{layer}.self_attention.out_proj", width, width),
            *affine(f"{layer}.ln_2", width),
            *affine(f"{layer}.mlp.0", hidden, width),
            *affine(f"{layer}.mlp.3", width, hidden),
        ]
    expected += [*affine("encoder.ln", width), *affine("heads.head", 1000, width)]
    assert [(param.name, param.spec.shape) for param in check(name).graph.params.values()] == expected
