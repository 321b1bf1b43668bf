"""The bounds that are demanded of open sizes are exact: PyTorch and onnxruntime run a net at a size if and only if."""

from __future__ import annotations

import re
from itertools import product
from time import perf_counter

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, note
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument
from trained import trained

import netdsl
from netdsl.backends.onnx.file import assemble
from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check_text, compile_graph
from netdsl.ir.bounds import Need, demanded, order_bound
from netdsl.ir.constraint import Constraint
from netdsl.ir.dim import Dim, evaluate, symbol

LAST = 40

BODIES = {
    # what must fit
    "conv 8 k4 d3": 10,
    "conv 8 k3 s2 p1": 1,
    "conv 8 k7 s3 p=(1, 2)": 4,
    "conv 8 k5 p=same": 1,
    "depthwise k6 s2": 6,
    "maxpool k3 s2": 3,
    "maxpool k3 s2 p1 ceil=yes": 1,
    "maxpool k5 s3 ceil=yes": 3,
    "maxpool k2 d5": 6,
    "maxpool k3 s4 d3 ceil=yes": 4,
    "avgpool k4 s3 ceil=yes": 2,
    "avgpool k5 p2 count_pad=no": 1,
    "avgpool k9 p3": 3,
    "lppool k3": 3,
    "lppool k4 s3 ceil=yes": 2,
    # what must be left
    "deconv 3 k2 p2": 4,
    "deconv 3 k3 s2 p3 out_pad=1": 3,
    "deconv 3 k2 s3 d2": 1,
    "crop 1": 3,
    "crop (2, 3)": 6,
    "slice 4 axis=1": 5,
    "slice -3 axis=1": 3,
    "slice 2 7 axis=1": 7,
    "slice 1 (-2) 2 axis=1": 4,
    "slice in.length-6 axis=1": 6,
    "slice 0 in.length//3 axis=1": 3,
    "slice in.length//2 in.length-4 axis=1": 9,
    "select [0, 5] axis=1": 6,
    "select [-4, 1] axis=1": 4,
    # what there must be enough of
    "pad 3 mode=reflect": 4,
    "pad (0, 5) mode=reflect": 6,
    "pad 5 mode=replicate": 1,
    "instance_norm": 2,
    "gn 4": 2,
    "gn 2": 1,
    "conv 3 k2 s2 -> instance_norm affine=yes": 4,
    # several layers: the one that asks most
    "repeat 3 { conv 4 k3 -> maxpool k2 }": 22,
    "repeat 2 { conv 4 k3 s2 -> maxpool k3 s2 ceil=yes }": 21,
    "conv 4 k9 -> upsample 3 -> conv 4 k7": 11,
    "conv 4 k3 s3 -> upsample 2 -> crop 3": 12,
    "avgpool k4 -> pad 2 mode=reflect -> conv 4 k3": 12,
    "deconv 4 k2 s2 -> crop 4 -> maxpool k5 s2": 7,
    "conv 4 k5 s2 p1 -> conv 4 k5 s2 p1 -> conv 4 k5 s2 p1": 15,
    "concat axis=1 { conv 4 k5; slice 3 axis=1; identity }": 5,
    "concat axis=1 { conv 4 k3; conv 4 k5 } -> conv 4 k12": 9,
    "skip { conv 4 k3 p1 -> relu -> conv 4 k3 p1 } -> conv 4 k8": 8,
    "mul { identity ; global_avgpool } -> slice 5 axis=1": 6,
    "a: crop 1; add { @a ; { @x -> conv 4 k3 } } -> maxpool k2": 4,
    "conv 4 k4 s4 -> flatten -> slice 10": 12,
    "flatten -> slice 30": 8,
    "reshape [2*in.length, 2] -> slice 7": 4,
    "conv 6 k5 -> transpose (1, 0) -> attention 2": 5,
    "conv 6 k3 s2 -> transpose (1, 0) -> lstm 3 -> select [-2]": 5,
    "first: conv 4 k6 -> reuse first": 11,
    # sizes that grow by steps
    "where T % 4 == 0: adaptive_avgpool 4": 1,
    "where T % 4 == 0: conv 4 k6": 8,
    "where T % 3 == 0: conv 4 k3 s3 -> conv 4 k5": 15,
    "where T % 2 == 0: split 2 1 axis=1 -> crop 2": 10,
    "where T % 6 == 0, T >= 5: maxpool k2 -> maxpool k3 -> pad 2 mode=reflect": 18,
}  # fmt: skip


def program(body: str, sizes: str = "T", where: str = "") -> str:
    """A net over open sizes; a body may begin with a `where` of its own."""
    own, _, layers = body.rpartition(": ") if body.startswith("where") else ("", "", body)
    joined = ", ".join(filter(None, (own.removeprefix("where "), where)))
    return f"net n {{ input x: 4x{sizes}{' where ' * bool(joined)}{joined}\n{layers} }}"


def demand(text: str) -> str:
    """The condition that a net is refused without; nothing where it passes."""
    try:
        check_text(text)
    except NetdslError as error:
        (diagnostic,) = error.diagnostics
        assert diagnostic.code == "E0416"
        assert diagnostic.span is not None
        found = re.fullmatch("add `where (.*)` to the `input`", diagnostic.help or "")
        assert found is not None, diagnostic.help
        assert diagnostic.message == f"the net works only where {found[1].replace(', ', ' and ')}"
        return found[1]
    return ""


class Backends:
    """A net in PyTorch and in onnxruntime, with no one to hold what it is given to its bounds."""

    def __init__(self, text: str) -> None:
        net = netdsl.loads(text)
        self.type = net.graph.outputs["output"].type
        self.module = net.to_torch(trained).eval()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self.sessions = []
        for level in (0, 1):
            model = assemble(compile_graph(net.graph, level=level), trained).SerializeToString()
            self.sessions.append(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]))

    def run(self, **sizes: int) -> bool:
        """Whether all of them run and give what the graph says: a result of its shape, with elements in it."""
        x = np.ones((1, 4, *sizes.values()), np.float32)
        try:
            with torch.inference_mode():
                results = [self.module(torch.from_numpy(x)).numpy()]
            results += [session.run(None, {"x": x})[0] for session in self.sessions]
        except (RuntimeError, ValueError, IndexError, Fail, InvalidArgument):
            return False
        shape = (1, *(evaluate(dim, sizes) for dim in self.type.shape))
        return all(result.shape == shape and result.size and np.isfinite(result).all() for result in results)


@pytest.mark.parametrize(("body", "least"), BODIES.items(), ids=BODIES)
def test_a_net_runs_from_its_bound_on(body: str, least: int) -> None:
    bound = demand(program(body))
    assert bound == (f"T >= {least}" if least > 1 else "")
    text = program(body, where=bound)
    graph = check_text(text).graph
    assert not bound or Constraint.parse(bound) in graph.constraints
    backends = Backends(text)
    sizes = [size for size in range(1, LAST + 1) if all(c.holds(size) for c in graph.constraints if c.relation == "%")]
    assert [size for size in sizes if backends.run(T=size)] == [size for size in sizes if size >= least]


IMAGES = {
    "conv 4 k5x3 -> maxpool k2": "H >= 6, W >= 4",
    "crop (0, 1, 0, 2)": "W >= 4",
    "pad (1, 2, 3, 0) mode=reflect": "H >= 4, W >= 3",
    "conv 4 k3 s2 -> flatten start=1": "H >= 3, W >= 3",
    "reshape [2, 2, in.height, in.width] -> lppool (2, 3, 4) ceil=yes": "H >= 3, W >= 4",
    "where H % 2 == 0, W % 3 == 0: conv 4 k4x5 -> slice 1 axis=2": "H >= 4, W >= 6",
}
TOGETHER = {
    "instance_norm": "H >= 2",
    "conv 4 k1x3 -> instance_norm": "H >= 2, W >= 3",
    "where H >= 4: conv 4 k3 s2 -> gn 4": "H >= 5, W >= 3",
    "conv 4 k4 -> flatten start=1 -> slice 0 6 axis=1": "H >= 9, W >= 4",
}
"""What both sizes decide together is asked of one of them, so that there are others that would do."""


@pytest.mark.parametrize(("body", "bound"), [*IMAGES.items(), *TOGETHER.items()], ids=str)
def test_two_sizes_have_bounds_of_their_own(body: str, bound: str) -> None:
    assert demand(program(body, "HxW")) == bound
    text = program(body, "HxW", bound)
    asked, stated = [Constraint.parse(item) for item in bound.split(", ")], check_text(text).graph.constraints
    backends = Backends(text)
    for height, width in product(range(1, 11), repeat=2):
        sizes = {"H": height, "W": width}
        if any(c not in asked and c.relation == "%" and not c.holds(sizes[c.size]) for c in stated):
            continue
        allowed = all(c.holds(sizes[c.size]) for c in asked)
        if allowed or body in IMAGES:
            assert backends.run(**sizes) == allowed, sizes


@pytest.mark.parametrize(("body", "bound"), IMAGES.items(), ids=IMAGES)
def test_a_bound_that_is_too_low_is_refused_with_the_right_one(body: str, bound: str) -> None:
    units = {c.size: c.number for c in check_text(program(body, "HxW", bound)).graph.constraints if c.relation == "%"}
    asked = [Constraint.parse(item) for item in bound.split(", ")]
    for right in asked:
        low = Constraint(right.size, ">=", right.number - units.get(right.size, 1))
        text = program(body, "HxW", ", ".join(c.text for c in asked if c is not right) or low.text)
        assert demand(text) == right.text
        assert demand(program(body, "HxW", ", ".join(low.text if c is right else c.text for c in asked))) == right.text


def test_layers_that_reach_no_output_ask_nothing() -> None:
    assert demand(program("relu -> output y -> crop 5")) == ""
    assert demand(program("relu -> output y -> crop 5 -> output z")) == "T >= 11"
    assert demand(program("relu\naux early: { crop 5 }\nrelu")) == "T >= 11"


REFUSED = {
    "transpose (1, 0) -> positions 8 -> transpose (1, 0) -> conv 4 k9": "no size suits `positions1` and the other",
    "where T <= 5: conv 4 k3 -> conv 4 k3 -> conv 4 k3": "kernel 3 needs at least 3 columns",
    "where T >= 2: slice 0 in.length % 2 axis=1": "no bound says for which sizes `slice1` works",
}


@pytest.mark.parametrize(("body", "message"), REFUSED.items(), ids=REFUSED)
def test_what_no_bound_mends(body: str, message: str) -> None:
    with pytest.raises(NetdslError) as caught:
        check_text(program(body))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message.startswith(message)
    assert "add" not in (diagnostic.help or "")


@pytest.mark.parametrize(
    ("layers", "batch", "passes"),
    [("flatten -> dense 4 -> bn", 1, False), ("flatten -> dense 4 -> bn", 2, True), ("conv 4 k3 -> bn", 1, True),
     ("conv 4 k6x5 -> bn", 1, False), ("flatten -> dense 4 -> ln", 1, True)],
)  # fmt: skip
def test_a_batch_of_one_has_a_deviation_over_space_alone(layers: str, batch: int, passes: bool) -> None:
    """PyTorch refuses to train where it has not."""
    tail = "-> flatten -> dense 2\ntrain { loss cross_entropy; batch "
    text = f"net n {{ input x: 4x6x5\n{layers} {tail}{batch} }} }}"
    module = netdsl.loads(text.replace(f"batch {batch}", "batch 7")).to_torch(trained).train()
    x = torch.zeros(batch, 4, 6, 5)
    if passes:
        check_text(text)
        module(x)
        return
    with pytest.raises(ValueError, match="more than 1 value"):
        module(x)
    with pytest.raises(NetdslError, match=f"E0416.*`batch {batch}` leaves it one value") as caught:
        check_text(text)
    assert caught.value.diagnostics[0].span is not None


def test_sizes_of_several_inputs_are_bounded_together() -> None:
    text = """net n {
        input a: [T, 4]
        input b: [2*T-6, 4]
        input c: [S, 4]
        @c -> transpose (1, 0) -> conv 4 k3 -> output y
        concat { @a ; @b } -> transpose (1, 0) -> conv 4 k2 s2 -> output z
    }"""
    assert demand(text) == "S >= 3, T >= 4"


def test_a_session_holds_what_it_is_given_to_the_bound(tmp_path) -> None:
    net = netdsl.loads("net n { input x: 4xT where T >= 10\nconv 8 k4 d3 }")
    net.to_onnx(tmp_path / "n.onnx")
    session = netdsl.Session(tmp_path / "n.onnx")
    assert session.run({"x": np.zeros((1, 4, 10), np.float32)})["output"].shape == (1, 8, 1)
    with pytest.raises(NetdslError, match="T = 9 breaks `T >= 10`"):
        session.run({"x": np.zeros((1, 4, 9), np.float32)})


# --------------------------------------------------------------------------------------- against sizes that are known

STEPS = st.one_of(
    st.builds("conv 4 k{} s{} p{} d{}".format, *[st.integers(1, 3)] * 2, st.integers(0, 2), st.integers(1, 3)),
    st.builds("maxpool k{} s{} ceil={}".format, st.integers(1, 4), st.integers(1, 3), st.sampled_from(["yes", "no"])),
    st.builds("deconv 4 k{} s{} p{}".format, st.integers(1, 3), st.integers(1, 3), st.integers(0, 3)),
    st.builds("crop ({}, {})".format, st.integers(0, 3), st.integers(0, 3)),
    st.builds("pad {} mode=reflect".format, st.integers(0, 4)),
    st.builds("select [{}, {}] axis=1".format, st.integers(0, 3), st.integers(-4, -1)),
    st.builds("upsample {}".format, st.integers(1, 3)),
    st.builds("slice {} axis=1".format, st.integers(0, 4)),
    st.sampled_from(["instance_norm", "gn 4", "gn 2", "relu"]),
)


@given(st.lists(STEPS, min_size=1, max_size=6), st.integers(1, 4))
def test_the_bound_is_where_nets_of_known_sizes_begin_to_pass(layers: list[str], multiple: int) -> None:
    """A net of one known size is checked without any bound, layer by layer."""
    body = "\n".join(layers)
    note(body)
    if not passes(program(body, str(60 * multiple))):  # for no size, since some layers leave a known one
        assert not passes(program(body, where=f"T % {multiple} == 0"))
        return
    bound = demand(program(body, where=f"T % {multiple} == 0"))
    least = Constraint.parse(bound).number if bound else multiple
    assert least % multiple == 0
    assert demand(program(body, where=f"T % {multiple} == 0, T >= {least}")) == ""
    for size in {multiple, least - multiple, least, least + multiple, least + 7 * multiple} - {0}:
        assert passes(program(body, str(size))) == (size >= least)


def passes(text: str) -> bool:
    try:
        check_text(text)
    except NetdslError:
        return False
    return True


T, S = symbol("T"), symbol("S")


@pytest.mark.parametrize(
    ("dim", "least", "text"),
    [
        (T - T // 2, 4, "T >= 7"),  # more than what is known of its parts
        (3 * (T // 2) - T, 5, "T >= 12"),
        (T // 2 * 2 + T % 2, 6, "T >= 6"),
        (T // 1000, 1, "T >= 1000"),
        (symbol("T", 4) // 3 - 2, 1, "T >= 12"),
        (symbol("T", 4, 9, 20) - 11, 1, "T >= 12"),
        (symbol("T", 4, 9, 20) - 20, 1, None),
        (10 - T, 1, "T <= 9"),
        (10**6 - T // 2, 1, "T <= 1999999"),
        (symbol("T", 4) * -1 + 30, 1, "T <= 28"),
        (T % 2, 1, None),
        (T * S - T - S + 1, 1, None),
        (symbol("T", minimum=2) * S - 5, 1, "S >= 3"),
        (T * S, 1, "S >= 1"),
        (T - S, 0, None),
    ],
)
def test_order_bounds(dim: Dim, least: int, text: str | None) -> None:
    bound = order_bound(dim, least)
    assert (bound.text if bound else None) == text


def test_each_bound_comes_with_the_need_that_asks_most() -> None:
    needs = [Need(T - 2, 1, "a"), Need((T - 4) // 2, 1, "b"), Need(T * S - 8, 1, "c"), Need(9 - T, 0, "d")]
    found, unmet = demanded(needs)
    assert unmet is None
    told = {bound.text: need.what for bound, need in found.values()}
    assert told == {"T >= 6": "b", "T <= 9": "d", "S >= 2": "c"}


def test_long_nets_over_open_sizes_are_checked_in_time() -> None:
    layers = "repeat 60 { conv 4 k3 s1 -> relu -> conv 4 k3 p1 }\nrepeat 8 { conv 4 k5 s2 } -> flatten start=1"
    start = perf_counter()
    assert re.fullmatch(r"H >= \d+, W >= \d+", demand(program(layers, "HxW")))
    assert perf_counter() - start < 2
