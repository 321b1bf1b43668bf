"""Counts and keys from other sources, with which tests and `docs/zoo_figures.md` compare the nets of the zoo."""

from __future__ import annotations

import csv
from typing import Any

from processes import ROOT

FIGURES = ROOT / "tests" / "figures"


def figures(file: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table in `tests/figures` by net."""
    with (FIGURES / file).open(encoding="utf-8") as text:
        return {row["model"]: row for row in csv.DictReader(text)}


TORCHVISION = figures("torchvision.csv")
"""The figures of torchvision's modules."""
DOCUMENTED = figures("documented.csv")
"""The figures of torchvision's documentation of weights, whose "GFLOPS" are multiply-accumulates."""

PUBLISHED: dict[str, int] = {
    # counted by hand from the papers' tables; see the headers of the files
    "softmax_regression": 7_850,
    "hidden": 785 * 100 + 10 * 101,
    "nielsen": 23_860,
    "lenet5": 61_706,
    "lenet5_1998": 60_000,
    "mnist_cnn": 28_938,
    "cifar10_cnn": 34_538,
    "alexnet_2012": 60_965_224,
    "zfnet": 62_357_608,
    "zfnet_wide": 107_627_624,
    "vgg11_lrn": 132_863_336,
    "vgg16_c": 133_638_952,
    "vgg16_c_bn": 133_647_400,
    "googlenet_2014": 6_998_552,
    "nin": 966_986,
    "all_cnn": 1_369_738,
    "simplenet": 5_493_834,
    "maxout_mlp": 785 * 1200 + 241 * 1200 + 241 * 10,
    "maxout_cnn": 65 * 96 + (48 * 64 + 1) * 96 + (48 * 25 + 1) * 96 + (24 * 9 + 1) * 10,
    "unet": 31_030_658,
    "unet_same": 31_030_658,
    "tcn": (7 + 1) * 25 + (1 + 1) * 25 + 15 * (7 * 25 + 1) * 25 + 260,
    "c3d": 79_991_015,
    "autoencoder": 4_385,
    "dcgan_generator": 3_576_704,
    "dcgan_discriminator": 2_765_568,
    "mcdnn": 5 * (17 * 20 + (20 * 25 + 1) * 40 + 361 * 150 + 151 * 10),
    "ten_crop": 76 * 32 + 801 * 32 + 801 * 64 + 577 * 64 + 65 * 10,
    "siamese": 38_951_745,
    "se_resnet50": 28_088_024,
    "se_resnet101": 49_326_872,
    "se_resnet152": 66_821_848,
    "multilabel": 9 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256) + 257 * 20,
    "features": 61_706,
    # the papers round, or give no figures; these were counted on zoo_peers, in plain PyTorch
    "densenet_bc_100_12": 769_162,
    "densenet_bc_250_24": 15_324_406,
    "densenet_bc_190_40": 25_624_430,
    "mobilenet": 4_231_976,
    "mobilenet_075": 2_585_560,
    "mobilenet_050": 1_331_592,
    "mobilenet_025": 470_072,
    "fcn32s": 134_346_581 + 21 * 21 * 64 * 64,  # VGG-16 with 21 classes, and its last stage
    "fcn16s": 134_346_581 + 21 * 21 * (4 * 4 + 32 * 32) + 513 * 21,
    "fcn8s": 134_346_581 + 21 * 21 * (2 * 4 * 4 + 16 * 16) + (513 + 257) * 21,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "nasnet_a": 3_328_234,
    "enas_macro": 42_559_402,
    "mixer_s_32": 19_104_624,
    "mixer_s_16": 18_528_264,
    "mixer_b_32": 60_293_428,
    "mixer_b_16": 59_880_472,
    # nanoGPT counts 10.65 M without the positions; the others are from Hugging Face
    "gpt": 10_745_088,
    "gpt2": 124_439_808,
    "gpt2_medium": 354_823_168,
    "gpt2_large": 774_030_080,
    "gpt2_xl": 1_557_611_200,
    "lstm_classifier": 20_000 * 128 + 4 * 128 * (256 + 2) + 129 * 2,
    "gru_classifier": 20_000 * 128 + 3 * 128 * (256 + 2) + 129 * 2,
    "bilstm_tagger": 40_000 * 50 + 8 * 300 * (350 + 2) + 601 * 45,
    "char_rnn": 65 * 128 + 2 * 4 * 128 * (256 + 2) + 129 * 65,
    "enas_micro": 3_894_382,
}
"""The numbers of trainable parameters of the nets that torchvision does not have."""

MILLION_MACS = {"mobilenet": 569, "mobilenet_075": 325, "mobilenet_050": 149, "mobilenet_025": 41}
"""Multiply-accumulates in millions, from table 6 of Howard et al., MobileNets, 2017."""

SHORTER: dict[str, dict[str, Any]] = {
    "resnext101_32x8d": {"depths": [2, 1, 1, 1]},
    "resnext101_64x4d": {"depths": [2, 1, 1, 1]},
    "wide_resnet101_2": {"depths": [2, 1, 1, 1]},
    **{f"efficientnet_b{i}": {"size": 96, "deeper": 1} for i in range(2, 8)},
    "efficientnet_v2_s": {"size": 96, "depths": [1, 2, 2, 1, 2, 2, 0]},
    "efficientnet_v2_m": {"size": 96, "depths": [2, 2, 1, 1, 2, 1, 2]},
    "efficientnet_v2_l": {"size": 96, "depths": [1, 2, 1, 1, 2, 1, 1]},
    **{f"convnext_{size}": {"width": 32} for size in ("small", "base", "large")},
    "se_resnet101": {"depths": [2, 1, 1, 1]},
    "se_resnet152": {"depths": [2, 1, 1, 1]},
    **{f"fcn{step}s": {"width": 8, "hidden": 64} for step in (32, 16, 8)},
    "enas_macro": {"width": 24},
    "densenet_bc_250_24": {"size": 16},
    "densenet_bc_190_40": {"size": 16},
    "siamese": {"size": 65},
    "unet": {"size": 188},
    "unet_same": {"size": 64},
    "c3d": {"size": 32},
    "vit_b_16": {"depth": 1},
    **{f"vit_{size}": {"depth": 1, "width": 192, "mlp": 256} for size in ("b_32", "l_16", "l_32", "h_14")},
    **{f"mixer_{size}": {"depth": 1, "width": 128, "channels": 256} for size in ("s_32", "s_16", "b_32", "b_16")},
    **{
        f"gpt2{size}": {"depth": 1, "width": 4 * heads, "vocab": 500}
        for size, heads in (("", 12), ("_medium", 16), ("_large", 20), ("_xl", 25))
    },
    "gpt": {"depth": 2},
}
"""The arguments with which large nets are run: smaller images, or fewer repetitions of the same blocks.

They are counted in full. The deepest nets cannot be compared in float32 with random weights: EfficientNetV2's logits
change by half when its input changes by a millionth.
"""

# ------------------------------------------------------------------------------------------------ keys

Tensors = list[tuple[str, tuple[int, ...]]]
"""The keys and shapes of the tensors of a checkpoint, in order, without the counters of batches."""

BATCH_NORM = "weight {0} bias {0} running_mean {0} running_var {0}"

SAME_CLASS = {
    "resnext50_32x4d": "resnet50",
    "resnext101_32x8d": "resnet101",
    "resnext101_64x4d": "resnet101",
    "wide_resnet50_2": "resnet50",
    "wide_resnet101_2": "resnet101",
}
"""Nets that have the same class, and so the same keys, as another net in torchvision."""

VISION_TRANSFORMERS = {
    "vit_b_16": (16, 12, 768, 3072),
    "vit_b_32": (32, 12, 768, 3072),
    "vit_l_16": (16, 24, 1024, 4096),
    "vit_l_32": (32, 24, 1024, 4096),
    "vit_h_14": (14, 32, 1280, 5120),
}
"""The patch size, layers, width and hidden width of torchvision's vision transformers."""


def checkpoint(name: str) -> Tensors:
    """Return the tensors of a checkpoint of torchvision 0.28.

    Each line of its file has a module and its tensors; `bn C` stands for the four tensors of a batch norm.
    """
    tensors: Tensors = []
    for line in (FIGURES / "state_dicts" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        module, kind, *rest = line.split()
        words = BATCH_NORM.format(*rest).split() if kind == "bn" else [kind, *rest]
        for role, shape in zip(words[::2], words[1::2], strict=True):
            tensors.append((f"{module}.{role}", tuple(map(int, shape.split("x")))))
    return tensors


def vision_transformer(name: str) -> Tensors:
    """Return the tensors of torchvision's class, in the order of its modules, the tensors of a module first."""
    patch, layers, width, hidden = VISION_TRANSFORMERS[name]

    def affine(module: str, *shape: int) -> Tensors:
        return [(f"{module}.weight", shape), (f"{module}.bias", shape[:1])]

    tensors = [
        ("class_token", (1, 1, width)),
        *affine("conv_proj", width, 3, patch, patch),
        ("encoder.pos_embedding", (1, (224 // patch) ** 2 + 1, width)),
    ]
    for i in range(layers):
        layer = f"encoder.layers.encoder_layer_{i}"
        tensors += [
            *affine(f"{layer}.ln_1", width),
            (f"{layer}.self_attention.in_proj_weight", (3 * width, width)),
            (f"{layer}.self_attention.in_proj_bias", (3 * width,)),
            *affine(f"{layer}.self_attention.out_proj", width, width),
            *affine(f"{layer}.ln_2", width),
            *affine(f"{layer}.mlp.0", hidden, width),
            *affine(f"{layer}.mlp.3", width, hidden),
        ]
    return [*tensors, *affine("encoder.ln", width), *affine("heads.head", 1000, width)]
