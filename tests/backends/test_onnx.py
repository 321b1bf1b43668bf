"""What belongs to a model as a whole: names, sizes at run time, opsets, types, metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from graphs import Sketch, chain, run, run_model, sample
from trained import trained

from netdsl import __version__
from netdsl.backends.onnx.file import assemble
from netdsl.backends.onnx.lower import OPSETS, lower
from netdsl.backends.onnx.proto import set_attributes, storage
from netdsl.base.diagnostics import NetdslError
from netdsl.base.source import Source, Span
from netdsl.compiler import check_text, compile_graph
from netdsl.ir.constraint import Constraint
from netdsl.ir.dim import Dim, evaluate, symbol
from netdsl.ir.graph import Graph, Scope
from netdsl.ir.types import DType, TensorType
from netdsl.layers.activation import Gelu, Relu
from netdsl.layers.adaptive import GlobalAvgPool
from netdsl.layers.base import Layer, LayerError
from netdsl.layers.conv import Conv
from netdsl.layers.ends import InputLayer, ParamLayer
from netdsl.layers.linear import Dense
from netdsl.layers.merge import Add, Concat
from netdsl.layers.norm import BatchNorm, LayerNorm
from netdsl.layers.pool import MaxPool
from netdsl.layers.regularise import Dropout
from netdsl.layers.shape import Flatten, Identity

if TYPE_CHECKING:
    from collections.abc import Callable

H, W = symbol("H"), symbol("W")
PAIR = TensorType((2,))


@dataclass(frozen=True)
class Probe(Layer):
    """A layer whose result has any type, and whose lowering is any function."""

    kind = "probe"

    lowering: Callable[..., str]
    type: TensorType = PAIR

    def infer(self, *inputs: TensorType) -> TensorType:  # noqa: ARG002 - as a layer's
        return self.type

    def to_onnx(self, o: Any, *inputs: str) -> str:
        return self.lowering(o, *inputs)


def checked(graph: Graph, **options: Any) -> onnx.ModelProto:
    """The model with weights, found right by onnx's checker and by its own inference of types."""
    model = assemble(lower(graph, **options), trained)
    onnx.checker.check_model(model, full_check=True)
    return model


def infos(values: Any) -> dict[str, list[int | str]]:
    return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def residual() -> Graph:
    sketch = Sketch(3, 8, 8, name="residual")
    stem = sketch.add("stem", Conv(4, 3, p=1))
    scope = Scope("block", sketch.root, block="unit")
    sketch.add("block.conv", Conv(4, 3, p=1, bias=False), scope=scope)
    sketch.add("block.bn", BatchNorm(), scope=scope)
    sketch.add("add", Add(), stem, sketch.nodes[-1])
    sketch.add("pool", GlobalAvgPool())
    sketch.add("flatten", Flatten())
    sketch.add("fc", Dense(5))
    return sketch.graph(logits=sketch.nodes[-1])


def test_nodes_and_values_are_called_by_their_paths() -> None:
    model = checked(residual())
    nodes = {node.name: (node.op_type, list(node.input), list(node.output)) for node in model.graph.node}
    assert nodes == {
        "stem": ("Conv", ["x", "stem.weight", "stem.bias"], ["stem"]),
        "block.conv": ("Conv", ["stem", "block.conv.weight"], ["block.conv"]),
        "block.bn": (
            "BatchNormalization",
            ["block.conv", "block.bn.weight", "block.bn.bias", "block.bn.running_mean", "block.bn.running_var"],
            ["block.bn"],
        ),
        "add": ("Add", ["stem", "block.bn"], ["add"]),
        "pool": ("GlobalAveragePool", ["add"], ["pool"]),
        "flatten": ("Flatten", ["pool"], ["flatten"]),
        "fc": ("Gemm", ["flatten", "fc.weight", "fc.bias"], ["logits"]),
    }


def test_every_value_has_its_type() -> None:
    graph = checked(residual()).graph
    assert infos(graph.input) == {"x": ["N", 3, 8, 8]}
    assert infos(graph.output) == {"logits": ["N", 5]}
    assert infos(graph.value_info) == {
        "stem": ["N", 4, 8, 8],
        "block.conv": ["N", 4, 8, 8],
        "block.bn": ["N", 4, 8, 8],
        "add": ["N", 4, 8, 8],
        "pool": ["N", 4, 1, 1],
        "flatten": ["N", 4],
    }
    assert infos(checked(residual(), batch=7).graph.output) == {"logits": [7, 5]}


def test_symbolic_sizes_are_named() -> None:
    graph = checked(chain((1, H, W), MaxPool(2), Relu())).graph
    assert infos(graph.input) == {"x": ["N", 1, "H", "W"]}
    assert infos(graph.value_info) == {"l0": ["N", 1, "floor(H/2)", "floor(W/2)"]}


def test_metadata() -> None:
    source = Source("/somewhere/nets/tiny.net", "net tiny {\n    input x: 3xHx8\n    conv 4 k3\n}\n")
    sketch = Sketch(3, H, 8, name="tiny")
    stage = Scope("layer1", sketch.root, block="stage")
    turn = Scope("0", Scope("group", stage))
    sketch.add("layer1.group.0.conv1", Conv(4, 3), scope=turn, span=Span(source, 37, 46))
    sketch.add("relu1", Relu())
    graph = replace(sketch.graph(), labels=("cat", "größe"), constraints=(Constraint("H", ">=", 3),))
    model = checked(graph)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "netdsl.net": "tiny",
        "netdsl.version": __version__,
        "netdsl.macs": "648*H-1296",
        "netdsl.labels": '["cat", "größe"]',
        "netdsl.constraints": '["H >= 3"]',
        "netdsl.meaning": '{"inputs": {"x": {"kind": "pixels", "most": 1, "order": "rgb", "reach": "cover", '
        '"interpolation": "bilinear"}}, "outputs": {}, "mean": [], "std": []}',
    }
    assert (model.producer_name, model.producer_version) == ("netdsl", __version__)
    conv, relu = ({entry.key: entry.value for entry in node.metadata_props} for node in model.graph.node)
    assert conv == {"netdsl.path": "layer1:stage/group/0/conv1:conv", "netdsl.source": "tiny.net:3"}
    assert relu == {"netdsl.path": "relu1:relu"}
    assert json.loads(model.metadata_props[3].value) == ["cat", "größe"]


def test_an_input_can_be_an_output() -> None:
    sketch = Sketch(2)
    model = checked(sketch.graph(y=sketch.x))
    assert [node.op_type for node in model.graph.node] == ["Identity"]
    np.testing.assert_array_equal(run_model(model, sample(3, 2))[0], sample(3, 2))


def test_one_value_can_have_two_names() -> None:
    sketch = Sketch(2)
    relu = sketch.add("relu", Relu())
    sketch.add("more", Relu())
    model = checked(sketch.graph(a=relu, b=relu, relu=sketch.nodes[-1]))
    assert [node.op_type for node in model.graph.node] == ["Relu", "Relu", "Identity"]
    assert [(list(node.input), list(node.output)) for node in model.graph.node] == [
        (["x"], ["a"]), (["a"], ["relu"]), (["a"], ["b"]),
    ]  # fmt: skip
    assert not infos(model.graph.value_info)


def test_layers_that_add_nothing_cost_no_copy_at_an_output() -> None:
    model = checked(chain((2,), Relu(), Identity()))
    assert [(node.op_type, list(node.output)) for node in model.graph.node] == [("Relu", ["y"])]


def test_names_of_outputs_and_nodes_may_cross() -> None:
    sketch = Sketch(2)
    a = sketch.add("a", Relu())
    b = sketch.add("b", Dense(2))
    c = sketch.add("c", Relu())
    results = run(sketch.graph(b=a, a=c, c=b), sample(3, 2))
    plain = run(sketch.graph(first=a, third=c, second=b), sample(3, 2))
    for result, expected in zip(results, plain, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_a_learned_tensor_may_be_called_as_its_parameter() -> None:
    sketch = Sketch(2)
    table = sketch.add("table", ParamLayer((2,)))
    sketch.add("add", Add(), sketch.x, table)
    model = checked(sketch.graph(table_out=table, y=sketch.nodes[-1]))
    learned, total = run_model(model, sample(3, 2))
    np.testing.assert_array_equal(learned, np.broadcast_to(trained(table.params[""]), (3, 2)))
    np.testing.assert_array_equal(total, sample(3, 2) + learned)


def test_aux_outputs_belong_to_the_training_graph() -> None:
    sketch = Sketch(2)
    relu = sketch.add("relu", Relu())
    sketch.add("drop", Dropout())
    head = sketch.add("head", Dense(3))
    graph = sketch.graph(y=relu, aux={"side": head})
    assert infos(checked(graph).graph.output) == {"y": ["N", 2]}
    assert not lower(graph).params
    training = lower(graph, training=True)
    assert infos(training.proto.graph.output) == {"y": ["N", 2], "side": ["N", 3]}
    assert [param.name for param in training.params] == ["head.weight", "head.bias"]


def test_shared_parameters_are_written_once() -> None:
    sketch = Sketch(2)
    first = sketch.add("first", Dense(2))
    sketch.add("again", Dense(2), params=first.params)
    assert [param.name for param in lower(sketch.graph()).params] == ["first.weight", "first.bias"]


SIZES: list[Dim] = [
    H, H * W, 2 * H + 3, H * H - H + 1, (H + 1) // 2, H - (H // 3), ((H + 1) // 2 + W) // 3, (H * W + 5) // 4,
    (H - 9) // 2 + 8, 12 + -1 * (W // 2), symbol("K", 32), symbol("K", 32) // 8, symbol("K", 32) * H // 5,
]  # fmt: skip


@pytest.mark.parametrize("dim", SIZES, ids=str)
@pytest.mark.parametrize("batch", [None, 2])
def test_sizes_at_run_time(dim: Dim, batch: int | None) -> None:
    kinds = TensorType((3, dim, 2))
    sketch = Sketch(H, W)
    sketch.add("k", InputLayer((symbol("K", 32),)))
    sketch.add("probe", Probe(lambda o, _: o.op("Expand", o.const(1.5), o.sizes(kinds.shape)), kinds), sketch.x)
    model = checked(sketch.graph(), batch=batch)
    for h, w, k in [(1, 1, 32), (2, 3, 64), (7, 5, 32), (9, 10, 96)]:
        (result,) = run_model(model, sample(2, h, w), sample(2, k))
        assert result.shape == (2, 3, evaluate(dim, {"H": h, "W": w, "K": k}), 2)


def test_sizes_are_computed_once() -> None:
    def expand(o: Any, x: str) -> str:
        sizes = o.sizes(((H + 1) // 2, 3 * H, 5, 5))
        return o.op("Expand", o.op("Reshape", o.op("ReduceMax", x, keepdims=0), o.const([1])), sizes)

    probe = Probe(expand, TensorType(((H + 1) // 2, 3 * H, 5, 5)))
    ops = [node.op_type for node in checked(chain((H, W), probe, probe, probe)).graph.node]
    assert ops.count("Shape") == 1
    assert (ops.count("Gather"), ops.count("Div"), ops.count("Mul")) == (2, 1, 1)
    assert ops.count("Concat") == 3


def test_constant_sizes_are_constants() -> None:
    def expand(o: Any, _: str) -> str:
        return o.op("Expand", o.const(1.0), o.sizes((2,)))

    graph = chain((2,), Probe(expand))
    assert [node.op_type for node in checked(graph, batch=4).graph.node] == ["Expand"]
    assert [node.op_type for node in checked(graph).graph.node] == ["Shape", "Gather", "Concat", "Expand"]


CONSTANTS: list[tuple[Any, str, str | None, int]] = [
    (0.5, "float32", None, onnx.TensorProto.FLOAT),
    (0.5, "float16", None, onnx.TensorProto.FLOAT16),
    (0.5, "bfloat16", None, onnx.TensorProto.BFLOAT16),
    ([1, 2], "float16", None, onnx.TensorProto.INT64),
    ([1, 2], "float32", "float32", onnx.TensorProto.FLOAT),
    (True, "float32", "bool", onnx.TensorProto.BOOL),
    (np.float64(0.1), "float64", None, onnx.TensorProto.DOUBLE),
]


@pytest.mark.parametrize(("value", "output", "asked", "expected"), CONSTANTS)
def test_constants_take_the_type_of_the_output(value: Any, output: str, asked: str | None, expected: int) -> None:
    made = Probe(lambda o, x: o.const(value, asked) and x, TensorType((2,), DType(output)))
    (constant,) = lower(chain((2,), made)).proto.graph.initializer
    assert constant.data_type == expected
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(constant).astype(float), np.asarray(value, float))


def test_bfloat16_is_rounded_to_the_nearest() -> None:
    values = np.float32([1.0, 1.00390625, 1.01171875, 1e-40, -3.3895314e38, np.inf, -np.inf, 3.14159274])
    ours = storage(values, DType.BFLOAT16)
    import torch

    np.testing.assert_array_equal(ours, torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy())
    assert storage(np.float32([np.nan]), DType.BFLOAT16)[0] & 0x7FFF > 0x7F80


def test_attributes() -> None:
    node = onnx.NodeProto()
    values = {
        "text": "a", "texts": ["a", "b"], "whole": 3, "wholes": (1, 2), "yes": True, "none": None, "empty": [],
        "fraction": 0.5, "fractions": [1, 0.5], "tensor": onnx.numpy_helper.from_array(np.ones(2)),
    }  # fmt: skip
    set_attributes(node, values)
    read = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert list(read) == sorted(values.keys() - {"none"})
    assert read == {
        "text": b"a", "texts": [b"a", b"b"], "whole": 3, "wholes": [1, 2], "yes": 1, "empty": [],
        "fraction": 0.5, "fractions": [1.0, 0.5], "tensor": values["tensor"],
    }  # fmt: skip
    with pytest.raises(TypeError, match="attribute axes is a complex"):
        set_attributes(node, {"axes": 1j})


@pytest.mark.parametrize("opset", [OPSETS.start - 1, OPSETS.stop, 0, 1000])
def test_opsets_out_of_range(opset: int) -> None:
    with pytest.raises(NetdslError, match=r"E0908.*\n.*take one from 13 to 21"):
        lower(chain((2,), Relu()), opset=opset)


def test_the_lowest_sufficient_opset_is_taken() -> None:
    assert lower(chain((2,), Relu())).proto.opset_import[0].version == OPSETS.start
    assert lower(chain((2,), LayerNorm())).proto.opset_import[0].version == LayerNorm.opset
    assert lower(chain((2,), LayerNorm()), opset=13).proto.opset_import[0].version == 13


OLDEST = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
"""The IR version that came with each opset, from the table in ONNX's docs/Versioning.md."""


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("opset", OPSETS)
def test_the_ir_version_is_the_oldest_that_has_the_opset(opset: int, training: bool) -> None:
    graph = check_text("net n { input x: 3xHxW where H >= 3, W >= 3\nconv 4 k3 -> bn -> gelu -> dropout -> ln2: "
                       "channel_ln -> global_avgpool -> flatten -> dense 2 }").graph  # fmt: skip
    model = assemble(compile_graph(graph, opset=opset, training=training), trained)
    assert (model.opset_import[0].version, model.ir_version) == (opset, OLDEST[opset])
    onnx.checker.check_model(model, full_check=True)
    places = [{item.key: item.value for item in node.metadata_props} for node in model.graph.node]
    assert any(place["netdsl.path"] == "conv1:conv" for place in places if place)
    assert all(place.keys() == {"netdsl.path", "netdsl.source"} for place in places if place)
    onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_without_an_opset_the_ir_version_is_that_of_the_opset_chosen() -> None:
    for layer in (Relu(), LayerNorm(), Gelu()):
        proto = lower(chain((2,), layer)).proto
        assert proto.ir_version == OLDEST[proto.opset_import[0].version]


def test_a_layer_without_a_form_in_the_opset_has_a_place() -> None:
    def refuse(o: Any, _: str) -> str:
        raise LayerError("E0909", f"`probe` has no form in opset {o.opset}", help="use opset 20")

    source = Source("it.net", "net it { probe }")
    sketch = Sketch(2)
    sketch.add("probe", Probe(refuse), span=Span(source, 9, 14))
    with pytest.raises(NetdslError, match=r"E0909.*`probe` has no form in opset 13\n.*it.net:1:10(.|\n)*use opset 20"):
        lower(sketch.graph())


def test_a_joined_graph_has_every_input() -> None:
    sketch = Sketch(2)
    sketch.add("unused", InputLayer((3,), DType.INT64))
    sketch.add("join", Concat(), sketch.x, sketch.x)
    graph = checked(sketch.graph()).graph
    assert infos(graph.input) == {"x": ["N", 2], "unused": ["N", 3]}
    assert [port.type.tensor_type.elem_type for port in graph.input] == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64]
