"""The shipped blocks: what they make is what the nets of the zoo make, wherever they are used from."""

from __future__ import annotations

from pathlib import Path

import pytest

from netdsl.base.diagnostics import NetdslError, render
from netdsl.base.resources import library, shipped
from netdsl.compiler import check, check_text, read_program
from netdsl.ir.printer import print_graph
from netdsl.reference.zoo import entries
from netdsl.syntax import tree


def with_library(net: str, file: str, names: dict[str, str]) -> str:
    """The file of a shipped net with some of its blocks taken from the library, by the names that they have there."""
    path = shipped()[net]
    text = path.read_text(encoding="utf-8")
    blocks = [
        d for d in read_program(path).file.declarations if isinstance(d, tree.BlockDeclaration) and d.name in names
    ]
    assert {block.name for block in blocks} == set(names)
    for block in blocks:
        text = text.replace(block.span.text, "")
    for ours, theirs in names.items():
        text = text.replace(f" {ours}", f" {theirs}")
    return f"use {file}\n{text}"


@pytest.mark.parametrize(
    ("net", "file", "names"),
    [
        ("resnet18", "residual", ["basic", "bottleneck"]),
        ("resnext50_32x4d", "residual", ["bottleneck"]),
        ("squeezenet1_1", "fire", ["fire"]),
        ("densenet121", "dense", ["dense_layer", "transition"]),
        ("googlenet_2014", "inception", ["inception"]),
    ],
)
def test_shipped_nets_can_be_made_of_the_library(net: str, file: str, names: list[str]) -> None:
    made = check_text(with_library(net, file, {name: name for name in names}), net=net).graph
    assert print_graph(made) == print_graph(check(net).graph)


def test_the_transformer_layer_is_that_of_the_vision_transformer() -> None:
    made = check_text(with_library("vit_b_32", "transformer", {"encoder_layer": "transformer_layer"}), net="vit_b_32")
    zoo = check("vit_b_32").graph.params
    assert [param.spec.shape for param in made.graph.params.values()] == [param.spec.shape for param in zoo.values()]
    assert set(made.graph.params) == {name.replace(".encoder_layer_", ".transformer_layer_") for name in zoo}


USES = {
    "mobilenet_v2": """
        use inverted_residual
        default conv bias=no
        net n {
            input image: 3x224x224
            conv 32 k3 s2 p1 -> bn -> relu6
            for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                               (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)] {
                inverted_residual c s t
                repeat n - 1 { inverted_residual c expansion=t }
            }
            conv 1280 k1 -> bn -> relu6 -> global_avgpool -> flatten -> dropout 0.2 -> dense 1000
        }""",
    "se_resnet50": """
        use squeeze_excitation
        default conv bias=no
        block unit(width, stride = 1) {
            skip {
                conv width k1 -> bn -> relu -> conv width k3 s=stride p1 -> bn -> relu
                conv 4*width k1 -> bn -> squeeze_excitation
            } shortcut if stride > 1 or in.channels != 4*width { conv 4*width k1 s=stride -> bn }
            relu
        }
        net n {
            input image: 3x224x224
            conv 64 k7 s2 p3 -> bn -> relu -> maxpool k3 s2 p1
            for width, stride, depth in [(64, 1, 3), (128, 2, 4), (256, 2, 6), (512, 2, 3)] {
                unit width stride -> repeat depth - 1 { unit width }
            }
            global_avgpool -> flatten -> dense 1000
        }""",
}


@pytest.mark.parametrize("net", USES)
def test_layers_are_those_of_a_shipped_net_under_other_names(net: str) -> None:
    made, zoo = check_text(USES[net]).graph, check(net).graph
    shapes = [[param.spec.shape for param in graph.params.values()] for graph in (made, zoo)]
    assert shapes[0] == shapes[1]
    values = [[(node.layer.kind, node.type) for node in graph.nodes] for graph in (made, zoo)]
    depthwise = [("conv" if kind == "depthwise" else kind, type_) for kind, type_ in values[0]]
    assert depthwise == values[1]


@pytest.mark.parametrize(
    ("file", "call", "params"),
    [
        ("residual", "preactivated 8", 2 * 16 + 2 * 8 * 8 * 9),
        ("residual", "preactivated 16 2", 16 + 32 + 8 * 16 * 9 + 16 * 16 * 9 + 8 * 16),
        ("inception", "inception_bn 4 2 4 2 4 4", 8 * 4 + 8 * 2 + 2 * 4 * 9 + 8 * 2 + 2 * 4 * 25 + 8 * 4 + 2 * 20),
        ("dense", "dense_block 2 4 factor=2", 2 * (8 + 8) + 8 * 8 + 8 * 4 * 9 + 2 * (12 + 8) + 12 * 8 + 8 * 4 * 9),
        ("squeeze_excitation", "squeeze_excitation 2 silu", 8 * 2 + 2 + 2 * 8 + 8),
        ("inverted_residual", "inverted_residual 8 k=5", 8 * 48 + 25 * 48 + 48 * 8 + 2 * (48 + 48 + 8)),
        ("transformer", "flatten start=1 -> transformer_layer 4 causal=yes", 4 * 64 + 4 * 64 * 65 + (8 * 64 + 5) * 64),
    ],
)  # fmt: skip
def test_parameters_counted_by_hand(file: str, call: str, params: int) -> None:
    check_text(f"use {file}\nnet n {{ input image: 8x8x8; {call}; assert params == {params} }}")


def test_what_each_file_gives() -> None:
    """The names that a `use` makes known: the blocks above, one that two of them share, and lists of classes."""
    modules = {name: read_program(path) for name, path in library().items()}
    assert {name: " ".join([*module.blocks, *module.lets]) for name, module in modules.items()} == {
        "class_names": "cifar10",
        "dense": "dense_layer dense_block transition",
        "fire": "fire",
        "inception": "inception conv_bn_relu inception_bn",
        "inverted_residual": "squeeze_excitation inverted_residual",
        "residual": "basic bottleneck preactivated",
        "squeeze_excitation": "squeeze_excitation",
        "transformer": "transformer_layer",
    }


def test_the_library_is_no_part_of_the_zoo() -> None:
    assert len(library()) == 8
    assert not set(library()) & {path.stem for path in shipped().values()}
    assert not set(library().values()) & {entry.path for entry in entries()}


def test_a_directory_of_its_own_can_use_the_library(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "blocks.net").write_text("use fire\nblock two { fire 2 4 -> fire 2 4 }")
    (tmp_path / "net.net").write_text('use "mine/blocks.net"\nuse fire\nnet n { input x: 3x8x8; two -> fire 4 8 }')
    assert str(check(str(tmp_path / "net.net")).graph.outputs["output"].type) == "16x8x8"


def test_an_error_inside_of_a_shipped_block_shows_the_call() -> None:
    with pytest.raises(NetdslError) as caught:
        check_text("use residual\nnet n { input x: 3x8x8; flatten -> basic 8 }", "mine.net")
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.span is not None
    assert Path(diagnostic.span.source.name).resolve() == library()["residual"].resolve()
    assert "in `basic`, called at mine.net:2:36" in render(diagnostic)
