"""A net as a torch.fx.GraphModule: what PyTorch does to modules, it does to ours."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO

import numpy as np
import pytest
import torch
from torch import nn

import netdsl
from netdsl.backends.torch.lower import lower
from netdsl.backends.torch.modules import BatchNorm
from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check, check_text
from netdsl.weights.initial import Initializer

NETWORK = """
net small {
    input image: 3x8x8
    stem: conv 8 k3 p1 -> bn -> relu
    skip { conv 8 k3 p1 -> bn }
    if heads { aux early: { global_avgpool -> flatten -> head: dense 5 } }
    global_avgpool -> flatten -> fc: dense 5
}
"""
PLAIN, WITH_AUX = NETWORK.replace("if heads", "if no"), NETWORK.replace("if heads", "if yes")


def build(text: str) -> torch.fx.GraphModule:
    return lower(check_text(text).graph, Initializer())


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def same(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)


# ------------------------------------------------------------------------------------------------ outputs and modes


def test_one_output_is_a_tensor_and_several_are_a_dictionary() -> None:
    assert build(PLAIN)(drawn(2, 3, 8, 8)).shape == (2, 5)
    several = build("net t { input x: 4\n dense 3\n output a\n dense 2\n output b }")(drawn(2, 4))
    assert {name: tuple(value.shape) for name, value in several.items()} == {"a": (2, 3), "b": (2, 2)}


def test_a_new_module_is_in_training_mode() -> None:
    module = build(PLAIN)
    assert all(part.training for part in module.modules())


@pytest.mark.parametrize("text", [PLAIN, WITH_AUX], ids=["plain", "aux"])
def test_auxiliary_outputs_are_there_in_training_only(text: str) -> None:
    module, x = build(text), drawn(2, 3, 8, 8)
    for _ in range(2):
        outputs = module.train()(x)
        assert (list(outputs) == ["output", "early"]) if text is WITH_AUX else outputs.shape == (2, 5)
        assert module.eval()(x).shape == (2, 5)
        assert not any(part.training for part in module.modules())
    assert ("head.weight" in " ".join(module.state_dict())) == (text is WITH_AUX)


@pytest.mark.parametrize("net", ["lenet5_1998", "squeezenet1_1", "mobilenet_v2", "googlenet_aux", "siamese"])
def test_the_keys_of_the_state_are_the_parameters_in_their_order(net: str) -> None:
    graph = check(net).graph
    module = lower(graph, lambda param: np.zeros(param.spec.shape, param.spec.dtype.value))
    keys = [key for key in module.state_dict() if not key.endswith("num_batches_tracked")]
    assert keys == list(graph.params)


def test_inputs_are_taken_in_their_order_and_by_name() -> None:
    module = build("net t { input a: 4; input b: 3; concat { @a; @b } }")
    a, b = drawn(2, 4), drawn(2, 3)
    same(module(a, b), torch.cat([a, b], 1))
    same(module(b=b, a=a), torch.cat([a, b], 1))


def test_a_value_has_the_path_of_its_layer() -> None:
    module = build(PLAIN)
    paths = {node.meta["path"] for node in module.graph.nodes if node.op != "output"}
    assert paths == {node.name for node in check_text(PLAIN).graph.nodes}
    for node in module.graph.nodes:
        if node.op == "call_module":
            assert node.target == node.meta["path"]
    module.graph.lint()


# ------------------------------------------------------------------------------------------------ copies and files


def saved(module: nn.Module) -> nn.Module:
    file = BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("twin_of", [deepcopy, saved], ids=["deepcopy", "save"])
@pytest.mark.parametrize("text", [PLAIN, WITH_AUX], ids=["plain", "aux"])
def test_a_twin_is_the_same_and_stands_for_itself(text: str, twin_of: object, mode: bool) -> None:
    module, x = build(text).train(mode), drawn(2, 3, 8, 8)
    twin = twin_of(module)
    assert twin.training == mode
    assert list(twin.state_dict()) == list(module.state_dict())
    same(twin(x), module(x))
    same(twin.eval()(x), module.eval()(x))
    same(twin.train()(x), module.train()(x))
    with torch.no_grad():
        for param in twin.parameters():
            param.zero_()
    assert not module.eval()(x).equal(twin.eval()(x))


def test_a_state_dict_restores_a_module() -> None:
    module, x = build(PLAIN), drawn(4, 3, 8, 8)
    module(x)  # moves the statistics
    file = BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = lower(check_text(PLAIN).graph, Initializer(seed=1))
    assert not other.eval()(x).equal(module.eval()(x))
    other.load_state_dict(torch.load(file))
    same(other(x), module(x))


def test_constants_are_no_state_and_move_with_the_module() -> None:
    module = build("net t { input x: 3x4x4; normalize [0.5, 0.25, 0.125] [2.0] -> select [-1, 0] }")
    assert not module.state_dict()
    same(module(drawn(2, 3, 4, 4))[:, 0], (drawn(2, 3, 4, 4)[:, 2] - 0.125) / 2)
    assert {buffer.device.type for buffer in module.to("meta").buffers()} == {"meta"}


# ------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_batch_norm_moves_its_statistics_as_pytorchs(rank: int) -> None:
    shape = (3, *[2] * (rank - 1))
    ours = build(f"net t {{ input x: [{', '.join(map(str, shape))}]; bn eps=0.01 momentum=0.3 }}")
    theirs = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNorm)[rank - 1](3, 0.01, 0.3)
    for step in range(3):
        x = (step + 1) * drawn(4, *shape) + step
        same(ours(x), theirs(x))
    same(list(ours.state_dict().values()), list(theirs.state_dict().values()))
    same(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        ("dropout 0.3", nn.Dropout(0.3)),
        ("dropout2d 0.3", nn.Dropout2d(0.3)),
        ("instance_norm", nn.InstanceNorm2d(3)),
        ("gn 3", nn.GroupNorm(3, 3)),
        ("lrn 2", nn.LocalResponseNorm(2)),
    ],
)
def test_what_a_layer_does_in_training_is_what_pytorchs_does(layer: str, theirs: nn.Module) -> None:
    x, results = drawn(4, 3, 5, 5), []
    for module in (build(f"net t {{ input x: 3x5x5; {layer} }}"), theirs):
        torch.manual_seed(1)
        results.append(module(x))
    same(*results)


@pytest.mark.parametrize(
    ("layer", "rank", "kept"),
    [
        ("drop_path 0.25", 3, (400, 1, 1, 1)),
        ("dropout2d 0.25", 2, (400, 3, 1)),
        ("dropout2d 0.25", 3, (400, 3, 1, 1)),
        ("dropout2d 0.25", 4, (400, 3, 1, 1, 1)),
        ("dropout2d 0.25", 5, (400, 3, 1, 1, 1, 1)),
    ],
)
def test_parts_are_dropped_whole(layer: str, rank: int, kept: tuple[int, ...]) -> None:
    shape = (3, *[2] * (rank - 1))
    module, x = build(f"net t {{ input x: {'x'.join(map(str, shape))}; {layer} }}"), torch.ones(400, *shape)
    torch.manual_seed(0)
    y = module(x)
    parts = y[tuple(slice(size) for size in kept)]
    same(y, parts.expand_as(y))
    torch.testing.assert_close(parts.unique(), torch.tensor([0, 4 / 3]))
    assert abs((parts > 0).float().mean().item() - 0.75) < 5 * (0.75 * 0.25 / parts.numel()) ** 0.5
    same(module.eval()(x), x)


def test_what_is_reused_moves_as_one() -> None:
    module = build("net t { input a: 4; input b: 4; concat { @a -> tower: { dense 4 -> prelu }; @b -> reuse tower } }")
    assert list(module.state_dict()) == ["tower.dense1.weight", "tower.dense1.bias", "tower.prelu1.weight"]
    a = drawn(2, 4)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    before = module(a, a).detach()
    module(a, a).square().sum().backward()
    optimizer.step()
    left, right = module(a, a).chunk(2, 1)
    same(left, right)
    assert not left.equal(before[:, :4])


def test_training_fits_a_batch() -> None:
    module, x, y = build(WITH_AUX), drawn(8, 3, 8, 8), torch.arange(8) % 5
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        loss = sum(nn.functional.cross_entropy(scores, y) for scores in module(x).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


# ------------------------------------------------------------------------------------------------ sizes


OPEN = """
net t {
    input x: 3xHxW
    maxpool k3 s2 p1 -> upsample 2
    slice 0 in.height - 1 axis=1
    reshape (3, in.height*in.width)
    transpose (1, 0)
    mul { identity; reshape (in.channels, 3) }
}
"""


def expected(x: torch.Tensor) -> torch.Tensor:
    larger = nn.functional.interpolate(nn.functional.max_pool2d(x, 3, 2, 1), scale_factor=2)
    return larger[:, :, :-1].flatten(2).transpose(1, 2).square()


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("side", [4, 7, 12])
def test_sizes_that_the_net_leaves_open_may_be_any(side: int, batch: int) -> None:
    x = drawn(batch, 3, side, side + 3)
    same(build(OPEN)(x), expected(x))


def test_sizes_that_the_net_leaves_open_are_open_in_an_exported_program() -> None:
    free = [dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)]
    program = torch.export.export(build(OPEN), (drawn(2, 3, 6, 9),), dynamic_shapes=free).module()
    for shape in ((2, 3, 6, 9), (3, 3, 7, 12), (5, 3, 11, 8)):
        same(program(drawn(*shape)), expected(drawn(*shape)))


# ------------------------------------------------------------------------------------------------ number formats


def test_autocast_computes_convolutions_in_bfloat16() -> None:
    module, x = build(PLAIN).eval(), drawn(2, 3, 8, 8)
    want = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        got = module(x)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), want, rtol=0.05, atol=0.05)


def test_a_net_becomes_one_of_float64() -> None:
    module, x = build(PLAIN).eval(), drawn(2, 3, 8, 8)
    want = module(x)
    got = module.to(torch.float64)(x.double())
    assert got.dtype == torch.float64
    torch.testing.assert_close(got.float(), want)


def test_parameters_have_the_element_type_of_what_they_meet() -> None:
    module = build("net t { input a: 4 float64; input b: 4; @a -> dense 3; output c; @b -> dense 3; output d }")
    assert [param.dtype for param in module.parameters()] == [torch.float64] * 2 + [torch.float32] * 2
    outputs = module(drawn(2, 4, dtype=torch.float64), drawn(2, 4))
    assert [value.dtype for value in outputs.values()] == [torch.float64, torch.float32]


def test_channels_last_gives_the_same() -> None:
    module, x = build(PLAIN).eval(), drawn(2, 3, 8, 8)
    want = module(x)
    last = torch.channels_last
    assert module.stem.weight.is_contiguous()
    torch.testing.assert_close(module.to(memory_format=last)(x.to(memory_format=last)), want)
    assert module.stem.weight.is_contiguous(memory_format=last)


# ------------------------------------------------------------------------------------------------ torch.compile, export


@pytest.mark.parametrize("text", [PLAIN, WITH_AUX], ids=["plain", "aux"])
def test_a_compiled_net_learns_the_same(text: str) -> None:
    module, x = build(text), drawn(4, 3, 8, 8)
    twin = deepcopy(module)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for net in (compiled, twin):
        outputs = net(x)
        sum(value.square().sum() for value in (outputs.values() if text is WITH_AUX else [outputs])).backward()
    torch.testing.assert_close(
        [param.grad for param in module.parameters()], [param.grad for param in twin.parameters()]
    )
    torch.testing.assert_close(compiled.eval()(x), twin.eval()(x))
    torch.compiler.reset()


def test_a_net_is_exported_with_a_free_batch() -> None:
    module = build(WITH_AUX).eval()
    program = torch.export.export(module, (drawn(2, 3, 8, 8),), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    x = drawn(5, 3, 8, 8)
    torch.testing.assert_close(program.module()(x), module(x))
    assert sorted(program.state_dict) == sorted(key for key in module.state_dict() if not key.startswith("head"))


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("body", "place", "reason"),
    [
        ("input x: 4\neval: dense 3", "3:7", "`eval` cannot be in a PyTorch module: `eval` is an attribute"),
        ("input x: 4\na: { half: dense 3 }", "3:12", "`a.half` cannot be in a PyTorch module: `half` is an attribute"),
        ("input x: 4\ntype: { dense 3 }", "3:9", "`type.dense1` cannot be in a PyTorch module: `type` is an attribute"),
        ("input x: 4\nmeta: dense 3", "3:7", "`meta` is an attribute that every module has"),
        ("input x: 4\ngraph: dense 3", "3:8", "`graph` is an attribute that every module has"),
        ("input x: 4\nclass: dense 3", "3:8", "`class` is a Python keyword"),
        ("input x: 4\nself: dense 3", "3:7", "`self` is the name of the module itself"),
        ("input lambda: 4\ndense 3", "2:1", "`lambda` is a Python keyword"),
        ("input torch: 4\ndense 3", "2:1", "`torch` is the name of PyTorch in a module's code"),
    ],
)
def test_a_name_that_is_taken_is_refused_at_its_place(body: str, place: str, reason: str) -> None:
    with pytest.raises(NetdslError) as caught:
        build(f"net t {{\n{body}\n}}")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0910"
    assert reason in diagnostic.message
    assert diagnostic.span.place == f"<string>:{place}"
    assert diagnostic.help.startswith("give `")


def test_other_names_of_python_and_pytorch_are_free() -> None:
    text = "net t { input half: 4; cat: dense 4 -> int: { operator: dense 4 }; concat { @half; @cat; identity } }"
    module = build(text)
    assert list(module.state_dict()) == ["cat.weight", "cat.bias", "int.operator.weight", "int.operator.bias"]
    assert module(drawn(2, 4)).shape == (2, 12)


def test_weights_come_out_of_a_checkpoint(tmp_path):
    net = netdsl.loads("net n { input x: 4; dense 3 }")
    saved = {"dense1.weight": torch.randn(3, 4), "dense1.bias": torch.randn(3)}
    torch.save(saved, tmp_path / "w.pt")
    loaded = net.to_torch(tmp_path / "w.pt").state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[key], saved[key]) for key in saved)
