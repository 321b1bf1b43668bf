"""The nets that onnx ships to test backends have the convolutions, pools and dense layers of ours, layer by layer.

Where they part from ours, our file is edited until both are the same; the edits are all the differences there are.
"""

from collections import Counter
from pathlib import Path

import onnx
import pytest

from netdsl.compiler import check_text, compile_graph
from netdsl.elaborate.specs import locate

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

EDITS = {
    "bvlc_alexnet": ("alexnet_2012", [
        ("3x227x227", "3x224x224", 1, "smaller images, and so smaller maps: 54, 26 and 12 instead of 55, 27 and 13"),
        ("conv 256 k3 p1 g2  -> relu -> maxpool k3 s2 ", "conv 256 k3 p1 g2  -> relu -> maxpool k3 s2 ceil=yes ", 1,
         "Caffe rounds the sizes of pools up, and 12 still becomes 6"),
    ]),
    "densenet121": ("densenet121", [
        ("flatten -> classifier: dense classes", "classifier: conv classes k1 bias=yes -> flatten", 1,
         "a 1x1 convolution of one pixel instead of the dense layer"),
    ]),
    "inception_v1": ("googlenet_2014", [
        (" ceil=yes", "", 4, "the pools round down: 55, 27, 13 and 6 instead of 56, 28, 14 and 7"),
    ]),
    "resnet50": ("resnet50", []),
    "squeezenet": ("squeezenet1_1", []),
    "vgg19": ("vgg19", []),
    "zfnet512": ("zfnet_wide", [
        ("[512, 1024, 512]", "[512, 512, 512]", 1, "each of the three has 512 maps"),
        ("k7 s2 p1", "k7 s2", 1, "no padding: 109 and 54 instead of 110 and 55"),
        ("maxpool k3 s2 p1", "maxpool k3 s2", 2, "likewise: 25 and 12 instead of 26 and 13"),
        ("maps[2] k3 p1 -> relu -> maxpool k3 s2", "maps[2] k3 p1 -> relu -> maxpool k2", 1,
         "windows of two, and 12 still becomes 6"),
        ("dropout\n    dense 4096", "dropout\n    dense 1024", 1, "the second dense layer is narrower"),
    ]),
}  # fmt: skip
"""The net of `nets/` for each file, and its edits: what stands there, what theirs has, how often, and why."""

OTHERS = {
    "inception_v2": """
default conv bias=no
default maxpool ceil=yes
default avgpool count_pad=no
block unit(width, k, s = 1) { conv width k=k s=s p=k//2 -> bn -> relu }
block inception(c1, r3, c3, r5, c5, pool, width) {
    concat {
        unit c1 1
        { unit r3 1 -> unit c3 3 }
        { unit r5 1 -> unit c5 3 -> unit c5 3 }
        { pool k3 s1 p1 -> unit width 1 }
    }
}
block smaller(r3, c3, r5, c5) {
    concat {
        { unit r3 1 -> unit c3 3 2 }
        { unit r5 1 -> unit c5 3 -> unit c5 3 2 }
        maxpool k3 s2
    }
}
net inception_v2 {
    input image: 3x224x224
    unit 64 7 2 -> maxpool k3 s2 -> unit 64 1 -> unit 192 3 -> maxpool k3 s2
    inception 64  64  64  64  96  avgpool 32
    inception 64  64  96  64  96  avgpool 64
    smaller       128 160 64  96
    inception 224 64  96  96  128 avgpool 128
    inception 192 96  128 96  128 avgpool 128
    inception 160 128 160 128 160 avgpool 96
    inception 96  128 192 160 192 avgpool 96
    smaller       128 192 192 256
    inception 352 192 320 160 224 avgpool 128
    inception 352 192 320 192 224 maxpool 128
    global_avgpool -> flatten -> dense 1000
}""",
    "shufflenet": """
default conv bias=no
default avgpool count_pad=no
block branch(width, stride) {
    conv width k1 g4 -> bn -> relu -> channel_shuffle 4
    conv width k3 s=stride p1 g=width -> bn -> conv width k1 g4 -> bn
}
net shufflenet {
    input image: 3x224x224
    conv 24 k3 s2 p1 bias=yes -> bn -> relu -> maxpool k3 s2 p1
    for width, depth in zip([136, 272, 544], [4, 8, 4]) {
        concat { avgpool k3 s2 p1 ; branch width-in.channels 2 } -> relu
        repeat depth - 1 { skip { branch width 1 } -> relu }
    }
    global_avgpool -> flatten -> dense 1000
}""",
}
"""Nets that `nets/` does not have: Inception with batch norm and ShuffleNet, in the widths of onnx's files."""


def layers(model, shapes):
    """Count the layers of a model: op, kernel, strides, pads, whether they count, groups, weights, bias and result.

    Args:
        model: the model.
        shapes: the shapes of its parameters, which are inputs without values.
    """
    known = {value.name: shape(value) for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)}
    known |= shapes
    found = Counter()
    for node in model.graph.node:
        if node.op_type not in ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "Gemm"):
            continue
        said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        op, kernel = node.op_type, said.get("kernel_shape", ())
        if op == "AveragePool" and all(k >= size for k, size in zip(kernel, known[node.input[0]][2:], strict=True)):
            op, kernel, said = "GlobalAveragePool", (), {}  # the one window sees all, and padding does not count
        assert not said.get("ceil_mode")  # ours is written as padding
        strides = tuple(said.get("strides", [1] * len(kernel)))
        pads = tuple(said.get("pads", [0] * 2 * len(kernel)))
        weights = known[node.input[1]] if len(node.input) > 1 else None
        found[
            op, tuple(kernel), strides, pads, any(pads) and said.get("count_include_pad", 0), said.get("group", 1),
            weights, len(node.input) > 2, known[node.output[0]],
        ] += 1  # fmt: skip
    return found


def shape(value):
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def theirs(name):
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    return layers(onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True), {})


def ours(text, net):
    lowered = compile_graph(check_text(text, net=net).graph, level=0, batch=1)
    return layers(lowered.proto, {param.name: param.spec.shape for param in lowered.params})


def test_every_file_is_compared():
    assert {path.stem for path in LIGHT.glob("*.onnx")} == {f"light_{name}" for name in EDITS | OTHERS}


@pytest.mark.parametrize("name", EDITS)
def test_nets_of_the_zoo(name):
    net, edits = EDITS[name]
    path, _ = locate(net)
    text = path.read_text(encoding="utf-8")
    for before, after, times, _ in edits:
        assert text.count(before) == times, before
        text = text.replace(before, after)
    found, expected = ours(text, net), theirs(name)
    assert found - expected == expected - found == Counter()


@pytest.mark.parametrize("name", OTHERS)
def test_other_nets(name):
    found, expected = ours(OTHERS[name], name), theirs(name)
    assert found - expected == expected - found == Counter()
