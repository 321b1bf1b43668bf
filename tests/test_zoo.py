"""Every shipped net, end to end: counts as published, shapes as ONNX infers them, one function at -O0 and -O1."""

import csv
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from models import SIZES, feeds, same_shapes, weights

from netdsl.backends.onnx_file import write
from netdsl.compiler import check, compile_graph, load, locate
from netdsl.counts import count_macs, count_params
from netdsl.ir.dim import evaluate
from netdsl.syntax import tree
from netdsl.zoo import entries

NAMES = [entry.name for entry in entries()]


def figures(file):
    with (Path(__file__).parent / "figures" / file).open() as text:
        return {row["model"]: row for row in csv.DictReader(text)}


TORCHVISION = figures("torchvision.csv")
"""What torchvision's own modules have."""
DOCUMENTED = figures("documented.csv")
"""What torchvision's documentation says of its weights; "GFLOPS" there are multiply-accumulates."""

PUBLISHED = {
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
    # the papers round, and give no figures for these nets of ENAS; the digits are those of zoo_peers, in plain PyTorch
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
    # nanoGPT counts 10.65 M without the positions; the others are Hugging Face's
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
"""Trainable parameters of the nets that torchvision does not have."""

SHORTER = {
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
    **{f"gpt2{size}": {"depth": 1, "width": 4 * heads, "vocab": 500}
       for size, heads in (("", 12), ("_medium", 16), ("_large", 20), ("_xl", 25))},
    "gpt": {"depth": 2},
}
"""Large nets are run on smaller images, or with fewer repetitions of what others have; they are counted in full.

Of the deepest, random weights make functions that no float32 can compute: EfficientNetV2's logits change by half when
its input changes by a millionth.
"""


def test_every_net_has_a_figure():
    assert sorted([*PUBLISHED, *TORCHVISION, *DOCUMENTED]) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_counts(name):
    graph = check(name).graph
    if name in PUBLISHED:
        assert count_params(graph) == PUBLISHED[name]
        return
    if name in DOCUMENTED:
        assert count_params(graph) == int(DOCUMENTED[name]["params"])
        assert round(count_macs(graph) / 1e9, 3) == float(DOCUMENTED[name]["gmacs"])
        return
    row = TORCHVISION[name]
    assert count_params(graph) == int(row["trainable_params"])
    assert count_macs(graph) == int(row["conv_linear_macs"])
    trainable = [p for p in graph.params.values() if p.spec.trainable]
    assert len(trainable) == int(row["param_tensors"])
    batch_norms = sum(node.layer.kind == "bn" for node in graph.nodes)
    buffers = sum(p.spec.elements for p in graph.params.values() if not p.spec.trainable)
    assert buffers + batch_norms == int(row["buffer_elems"])  # PyTorch also counts the batches each norm has seen


def test_connections_of_lenet5():
    """LeCun et al. 1998, section II.B, layer by layer and in all."""
    graph = check("lenet5_1998").graph
    connections = {node.name: node.layer.connections(node.type, *node.input_types) for node in graph.nodes}
    of = {
        layer: sum(n for name, n in connections.items() if name.split(".")[0] == layer) for layer in ("c1", "s2", "c3")
    }
    assert of == {"c1": 122_304, "s2": 5_880, "c3": 151_600}
    assert sum(connections.values()) == 340_908


def test_neurons_of_alexnet():
    """Outputs of the convolutions and dense layers, counted from the shapes of the paper."""
    graph = check("alexnet_2012").graph
    assert sum(node.type.elements for node in graph.nodes if node.layer.kind in ("conv", "dense")) == 659_272


RUNS = [(1, SIZES), (3, {"H": 96, "W": 64, "T": 7})]
"""Numbers of samples, and values of sizes left open."""


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_optimizes(name, tmp_path):
    """Full check, shape inference on every value, onnxruntime at batch 1 and 3 and at two sizes, -O1 against -O0."""
    graph = check(name, SHORTER.get(name)).graph
    batches = [feeds(graph, batch, sizes) for batch, sizes in RUNS]
    results = {}
    for level in (0, 1):
        path = tmp_path / f"o{level}.onnx"
        write(compile_graph(graph, level=level), path, weights, external=True)
        onnx.checker.check_model(path, full_check=True)
        same_shapes(onnx.load(path, load_external_data=False))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        results[level] = [session.run(None, arrays) for arrays in batches]
        for file in tmp_path.iterdir():
            file.unlink()
    for (batch, sizes), plain, optimized in zip(RUNS, results[0], results[1], strict=True):
        for node, a, b in zip(graph.outputs.values(), plain, optimized, strict=True):
            assert a.shape == (batch, *(evaluate(dim, sizes) for dim in node.type.shape))
            assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("resnet50", 30),
        ("googlenet", 35),
        ("googlenet_2014", 35),
        ("vgg16", 20),
        ("lenet5", 15),
        ("densenet121", 30),
        ("squeezenet1_0", 25),
        ("mobilenet_v2", 30),
        ("inception_v3", 80),
        ("vit_b_16", 35),
        ("gpt2", 30),
        ("lstm_classifier", 8),
        ("shufflenet_v2_x1_0", 35),
        ("mobilenet_v3_large", 45),
        ("efficientnet_b0", 60),
        ("convnext_tiny", 40),
        ("mnasnet1_0", 35),
    ],
)
def test_nets_are_short(name, most):
    """Lines of text that a net needs, comments and empty lines aside: itself, its base, its blocks and defaults."""
    path, _ = locate(name)
    module = load(path)
    declarations = {d.name: d for d in module.file.declarations if hasattr(d, "name")}
    needed, pending = set(), [name]
    while pending:
        here = declarations[pending.pop()]
        needed.add(here)
        words = set(re.findall(r"\w+", here.span.text))
        pending += [d.name for d in declarations.values() if d not in needed and d.name in words]
    texts = [d.span.text for d in module.file.declarations if d in needed or isinstance(d, tree.Default)]
    lines = [line for text in texts for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= most
