"""Whole nets over unknown sizes: what is proved, what is refused, and that the remedy told is one."""

from __future__ import annotations

import re
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check_text
from netdsl.ir.constraint import Allowed, Constraint
from netdsl.ir.dim import evaluate

UNET = """
block down(width) {{ conv width k3 p1 -> relu }}
net unet {{
    input image: 3xHxW {where}
    enc1: down 8
    maxpool k2
    enc2: down 16
    maxpool k2
    down 32
    upsample 2
    concat {{ identity ; @enc2 }}
    down 16
    upsample 2
    concat {{ identity ; @enc1 }}
    conv 2 k1
}}
"""


def refusal(text: str) -> str:
    """The remedy of the first error."""
    with pytest.raises(NetdslError) as caught:
        check_text(text)
    first = caught.value.diagnostics[0]
    assert first.code == "E0408"
    return first.help or ""


def test_a_u_net_is_refused_until_its_sizes_fit() -> None:
    remedy = re.search("`(where .*?)`", refusal(UNET.format(where="")))
    assert remedy is not None
    assert remedy[1] == "where H % 4 == 0, W % 4 == 0"
    graph = check_text(UNET.format(where=remedy[1])).graph
    assert str(graph.outputs["output"].type) == "2xHxW"


def test_the_sizes_of_a_symbolic_net_are_those_of_a_known_one() -> None:
    where = "where H % 4 == 0, W % 4 == 0"
    unknown = check_text(UNET.format(where=where)).graph
    known = check_text(UNET.format(where="").replace("3xHxW", "3x24x20")).graph
    for a, b in zip(unknown.nodes, known.nodes, strict=True):
        assert tuple(evaluate(dim, {"H": 24, "W": 20}) for dim in a.type.shape) == b.type.shape


def test_promises_of_divisibility_add_up() -> None:
    text = "net n { input x: [H] where H % 4 == 0, H % 6 == 0\nreshape [12, H / 12] }"
    assert str(check_text(text).graph.outputs["output"].type) == "[12, H/12]"


POWERS = "let a = H*H*H*H*H*H*H*H\nlet b = a*a*a*a*a*a*a*a\nlet c = b*b*b*b*b*b*b*b\nlet d = c*c*c*c\nflatten"


@pytest.mark.parametrize("body", ["repeat 40 { upsample 3 -> maxpool k2 }", POWERS])
def test_sizes_without_end_are_refused_at_their_place(body: str) -> None:
    with pytest.raises(NetdslError) as caught:
        check_text(f"net n {{ input x: 3xHxW\n{body} }}")
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == "E0703"
    assert diagnostic.span is not None


def test_two_hundred_layers_over_unknown_sizes_are_cheap() -> None:
    blocks = "repeat 12 { skip { conv 16 k3 p1 -> relu -> conv 16 k3 p1 } -> relu -> conv 16 k3 }"
    text = (
        f"net n {{ input x: 3xHxW where H >= 200, W >= 200\nconv 16 k3 s2 p1\n{blocks}\nmaxpool k3 s2 p1\n{blocks} }}"
    )
    known = text.replace("3xHxW where H >= 200, W >= 200", "3x224x224")
    check_text(known)
    start = perf_counter()
    check_text(text)
    assert perf_counter() - start < 2


@pytest.mark.parametrize(
    "inputs",
    [
        "input a: 3xHxW where H % 8 == 0, W % 8 == 0\ninput b: 1xHxW",
        "input a: 3xHxW where W % 8 == 0\ninput b: 1xHxW where H % 8 == 0",
        "input a: 3xHxW\ninput b: 1xHxW where H % 8 == 0, W % 8 == 0",
        "input a: 3xHxW where H % 8 == 0\ninput b: 1xHxW where H % 8 == 0, W % 4 == 0, W % 8 == 0",
    ],
)
def test_inputs_that_share_a_size_share_what_is_known_of_it(inputs: str) -> None:
    text = f"net n {{ {inputs}\nconcat {{ @a ; @b }} -> skip {{ maxpool k8 -> upsample 8 }} }}"
    graph = check_text(text).graph
    assert str(graph.outputs["output"].type) == "4xHxW"
    assert len(graph.constraints) == len(set(graph.constraints))
    assert {c.text for c in graph.constraints} >= {"H % 8 == 0", "W % 8 == 0"}


def test_positions_of_a_sequence_are_enough_for_its_bound() -> None:
    text = """
    net n(most) {
        input tokens: [T, 8] WHERE
        param positions: [most, 8]
        add { @tokens ; @positions -> slice 0 T axis=0 }
    }
    net short = n(16)
    net long = n(1024)
    """
    with pytest.raises(NetdslError) as caught:
        check_text(text.replace("WHERE", ""), net="long")
    assert "where T <= 1024" in (caught.value.diagnostics[0].help or "")
    graph = check_text(text.replace("WHERE", "where T <= most"), net="short").graph
    assert [constraint.text for constraint in graph.constraints] == ["T <= 16"]


@pytest.mark.parametrize(
    ("texts", "value", "nearest"),
    [
        (["H % 32 == 0"], 100, [96, 128]),
        (["H % 32 == 0"], 20, [32]),
        (["H % 4 == 0", "H % 6 == 0", "H >= 30"], 25, [36]),
        (["H >= 33"], 7, [33]),
        (["H <= 512"], 1000, [512]),
        (["H % 32 == 0", "H <= 100"], 1000, [96]),
        (["H % 32 == 0", "H <= 100"], 90, [64, 96]),
        (["H % 32 == 0", "H <= 100"], 97, [96]),
        (["H % 32 == 0", "H >= 50", "H <= 60"], 55, []),
    ],
)
def test_the_nearest_sizes(texts: list[str], value: int, nearest: list[int]) -> None:
    constraints = [Constraint.parse(text) for text in texts]
    assert [constraint.text for constraint in constraints] == texts
    assert not all(constraint.holds(value) for constraint in constraints)
    assert Allowed.by(constraints).nearest(value) == nearest
    assert all(constraint.holds(size) for constraint in constraints for size in nearest)


@given(st.integers(1, 12), st.integers(1, 60), st.none() | st.integers(1, 80), st.integers(1, 100))
def test_the_nearest_sizes_are_those_that_a_search_finds(
    multiple: int, minimum: int, maximum: int | None, value: int
) -> None:
    sizes = [n for n in range(1, 200) if n % multiple == 0 and n >= minimum and (maximum is None or n <= maximum)]
    below, above = [n for n in sizes if n <= value], [n for n in sizes if n >= value]
    assert Allowed(multiple, minimum, maximum).nearest(value) == sorted({*below[-1:], *above[:1]})


@pytest.mark.parametrize("text", ["", "H % 0 == 0", "H % 2 == 1", "H > 3", "H % 32 == 0 "])
def test_what_is_no_constraint(text: str) -> None:
    with pytest.raises(ValueError, match="no condition"):
        Constraint.parse(text)
