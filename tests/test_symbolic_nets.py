"""Whole nets over unknown sizes: what is proved, what is refused, and that the remedy told is one."""

from __future__ import annotations

import re
from time import perf_counter

import pytest

from netdsl.compiler import check_text
from netdsl.diagnostics import NetdslError
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
