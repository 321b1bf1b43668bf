"""Optimized graphs are whole, smaller, and compute what the graph as written does; see also `test_pass_texts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from graphs import Sketch, chain, run, sample

from netdsl.compiler import check_text, compile_graph
from netdsl.ir import invariants
from netdsl.ir.invariants import verify
from netdsl.layers.activation import Relu
from netdsl.layers.affine import Affine, Normalize
from netdsl.layers.conv import Conv, Deconv, Depthwise
from netdsl.layers.linear import Dense
from netdsl.layers.merge import Add
from netdsl.layers.norm import BatchNorm
from netdsl.layers.pool import MaxPool
from netdsl.layers.regularise import Dropout
from netdsl.layers.shape import Flatten
from netdsl.passes import PASSES, optimize
from netdsl.passes.standardize import standardize

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph
    from netdsl.layers.base import Layer

BN = BatchNorm()
IMAGE, VECTOR = (4, 9, 8), (12,)


def optimized(graph: Graph) -> Graph:
    """The graph after all passes, each of which is held to the invariants and to linear size."""
    verify(graph)
    for optimization in PASSES.values():
        graph = optimization(graph)
        verify(graph)
    return graph


def kinds(graph: Graph) -> list[str]:
    return [node.layer.kind for node in graph.nodes]


def same_results(graph: Graph, *shape: int) -> None:
    x = sample(3, *shape)
    for plain, fast in zip(run(graph, x), run(optimized(graph), x), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * np.abs(plain).max())


FOLDED_BACK = {
    "conv": [Conv(6, 3), BN],
    "conv without bias": [Conv(6, 3, p=1, bias=False), BN],
    "grouped conv": [Conv(6, 3, g=2), BN],
    "strided and dilated conv": [Conv(6, 3, s=2, d=2, p=2), BN],
    "depthwise": [Depthwise(3, mult=2), BN],
    "deconv": [Deconv(6, 3, s=2, p=1), BN],
    "grouped deconv": [Deconv(6, 2, g=2, bias=False), BN],
    "affine": [Conv(6, 3), Affine()],
    "scale alone": [Conv(6, 3), Affine(bias=False)],
    "shift alone": [Conv(6, 3), Affine(scale=False)],
    "bn without scale and shift": [Conv(6, 3), BatchNorm(affine=False, eps=0.01)],
    "normalize": [Conv(3, 3), Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))],
    "one number for all channels": [Conv(3, 3), Normalize((0.4,), (0.2,))],
    "two in a row": [Conv(6, 3, bias=False), BN, Affine()],
    "dropout between": [Conv(6, 3), Dropout(), BN],
}
"""A layer and what folds into it; the input is 4x9x8."""


@pytest.mark.parametrize("layers", FOLDED_BACK.values(), ids=FOLDED_BACK)
def test_affine_layers_fold_into_the_layer_before(layers: list[Layer]) -> None:
    graph = chain(IMAGE, *layers, Relu())
    assert kinds(optimized(graph)) == ["input", layers[0].kind, "relu"]
    same_results(graph, *IMAGE)


FOLDED_AHEAD: dict[str, tuple[tuple[int, ...], list[Layer]]] = {
    "conv": (IMAGE, [BN, Conv(6, 3)]),
    "conv without bias": (IMAGE, [BN, Conv(6, 3, bias=False)]),
    "grouped conv": (IMAGE, [BN, Conv(6, 3, g=2)]),
    "strided and dilated conv": (IMAGE, [BN, Conv(6, 2, s=2, d=3)]),
    "pointwise with same padding": (IMAGE, [BN, Conv(6, 1, p="same")]),
    "depthwise": (IMAGE, [BN, Depthwise(3, mult=2)]),
    "depthwise without bias": (IMAGE, [Normalize((0.1,), (0.3,)), Depthwise(3, bias=False)]),
    "three in a row": (IMAGE, [BN, Affine(), Normalize((1.0, 2.0, 3.0, 4.0), (4.0, 3.0, 2.0, 1.0)), Conv(6, 3)]),
    "dense": (VECTOR, [BN, Dense(5)]),
    "dense without bias": (VECTOR, [Affine(), Dense(5, bias=False)]),
    "one-dimensional conv": ((4, 9), [BN, Conv(6, 3)]),
}
"""What folds into the last layer."""


@pytest.mark.parametrize(("shape", "layers"), FOLDED_AHEAD.values(), ids=FOLDED_AHEAD)
def test_affine_layers_fold_into_the_layer_after(shape: tuple[int, ...], layers: list[Layer]) -> None:
    graph = chain(shape, *layers)
    assert kinds(optimized(graph)) == ["input", layers[-1].kind]
    same_results(graph, *shape)


def test_affine_layers_fold_through_a_flatten() -> None:
    graph = chain(IMAGE, Normalize((1.0, 2.0, 3.0, 4.0), (4.0, 3.0, 2.0, 1.0)), BN, Flatten(), Dense(5))
    assert kinds(optimized(graph)) == ["input", "flatten", "dense"]
    same_results(graph, *IMAGE)


def test_dense_layers_fold_on_both_sides() -> None:
    graph = chain(VECTOR, BN, Dense(7, bias=False), BN, Relu())
    assert kinds(optimized(graph)) == ["input", "dense", "relu"]
    same_results(graph, *VECTOR)


def test_a_value_that_is_read_elsewhere_is_not_folded() -> None:
    sketch = Sketch(*IMAGE)
    conv = sketch.add("conv", Conv(4, 3, p=1))
    bn = sketch.add("bn", BN)
    sketch.add("add", Add(), conv, bn)
    same_results(sketch.graph(), *IMAGE)
    assert kinds(optimized(sketch.graph())) == ["input", "conv", "bn", "add"]
    del sketch.nodes[-1]
    assert kinds(optimized(sketch.graph(y=bn, z=conv))) == ["input", "conv", "bn"]
    assert kinds(optimized(sketch.graph(y=bn))) == ["input", "conv"]


def test_an_affine_layer_that_is_read_twice_is_not_folded_ahead() -> None:
    sketch = Sketch(*IMAGE)
    bn = sketch.add("bn", BN)
    flat = sketch.add("flat", Flatten())
    dense, other = sketch.add("dense", Dense(5)), sketch.add("other", Dense(5), flat)
    graphs = [sketch.graph(a=dense, b=other), sketch.graph(a=dense, b=bn), sketch.graph(a=dense, b=flat)]
    for graph in graphs:
        assert "bn" in kinds(optimized(graph))
        same_results(graph, *IMAGE)


def test_folded_parameters_keep_their_names() -> None:
    conv = optimized(chain(IMAGE, Conv(6, 3, bias=False), BN)).nodes[-1]
    assert [param.name for param in conv.params.values()] == ["l0.weight", "l0.bias"]
    weight, bias = conv.params.values()
    assert [source.name for source in weight.derived.sources][:2] == ["l0.weight", "l1.weight"]
    assert [source.name for source in bias.derived.sources][:2] == ["l1.weight", "l1.bias"]


def test_level_0_changes_nothing() -> None:
    graph = chain(IMAGE, Conv(6, 3), BN, Dropout())
    assert optimize(graph, 0) is graph
    assert len(optimize(graph, 1).nodes) == 2


def test_debugging_looks_at_the_graph_after_every_stage(monkeypatch):
    seen = []
    monkeypatch.setattr(invariants, "always", False)
    monkeypatch.setattr(invariants, "verify", seen.append)
    compile_graph(check_text("net n { input x: 4; dense 2 }").graph)
    assert seen == []
    monkeypatch.setenv("NETDSL_DEBUG", "1")
    graph = check_text("net n { input x: 4; dense 2 }").graph
    assert seen == [graph]
    compile_graph(graph)
    assert len(seen) == 1 + len(PASSES)


LONG = {
    "affine layers": ([BN], ["affine"]),
    "blocks": ([Conv(4, 1, bias=False), BN, Relu()], ["conv", "relu"] * 1000),
    "dropouts": ([Dropout()], []),
}


@pytest.mark.parametrize(("layers", "left"), LONG.values(), ids=LONG)
def test_long_chains(layers: list[Layer], left: list[str]) -> None:
    graph = optimize(chain((4, 1, 1), *layers * (3000 // len(layers))), 1)
    assert kinds(graph) == ["input", *left]
    assert np.isfinite(run(graph, sample(1, 4, 1, 1))[0]).all()


def test_statistics_of_the_data_go_into_the_net() -> None:
    graph = chain(IMAGE, Conv(6, 3), MaxPool(2))
    mean, std, x = [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0], sample(3, *IMAGE)
    standard = standardize(graph, mean, std)
    verify(standard)
    assert [node.name for node in standard.nodes] == ["x", "normalize0", "l0", "l1"]
    by_hand = (x - np.reshape(mean, (4, 1, 1))) / np.reshape(std, (4, 1, 1))
    (expected,) = run(graph, by_hand.astype(np.float32))
    np.testing.assert_allclose(run(standard, x)[0], expected, rtol=1e-4, atol=1e-5)
    same_results(standard, *IMAGE)


def test_every_reader_of_the_input_gets_standardized_data() -> None:
    sketch = Sketch(*VECTOR)
    sketch.add("total", Add(), sketch.x, sketch.add("normalize0", Dense(12), sketch.x))
    standard = standardize(sketch.graph(), [1.0], [2.0])
    verify(standard)
    assert [node.name for node in standard.nodes] == ["x", "normalize1", "normalize0", "total"]
    x = sample(3, *VECTOR)
    np.testing.assert_allclose(run(standard, x)[0], run(sketch.graph(), (x - 1) / 2)[0], rtol=1e-4, atol=1e-5)


def test_a_net_that_normalizes_its_input_is_left_as_it_is() -> None:
    graph = chain(IMAGE, Normalize((0.5,), (0.2,)), Conv(6, 3))
    assert standardize(graph, [0.1], [1.0]) is graph
