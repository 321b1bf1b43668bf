"""Warnings: each fires where it is meant to, and not on what looks like it."""

from __future__ import annotations

import pytest

from netdsl.compiler import check_text

IMAGE = "input image: 8x32x32"
VECTOR = "input data: 32"
TRAIN = "train { loss cross_entropy }"

FIRES = {
    "a column that a convolution's stride leaves": ("W0101", f"{IMAGE}; conv 8 k3 s2"),
    "columns of one dimension": ("W0101", f"{IMAGE}; conv 8 k3x3 s1x2"),
    "a sequence": ("W0101", "input samples: 8x33; conv 8 k4 s2"),
    "a volume": ("W0101", "input volume: 4x8x8x9; maxpool k2"),
    "an odd size and a pool": ("W0101", "input image: 3x15x15; maxpool k2"),
    "a column behind the gap of a stride": ("W0101", "input image: 3x9x9; conv 8 k2 s4"),
    "dilation": ("W0101", f"{IMAGE}; conv 8 k2 d2 s2"),
    "two activations": ("W0102", f"{VECTOR}; dense 8 -> relu -> tanh -> dense 4"),
    "activations with a group between them": ("W0102", f"{VECTOR}; {{ dense 8 -> relu }}; relu; dense 4"),
    "a bias before a norm": ("W0103", f"{IMAGE}; conv 8 k3 -> bn"),
    "a dense layer's bias before a norm": ("W0103", f"{VECTOR}; dense 8 -> bn -> relu"),
    "a bias before two norms": ("W0103", f"{IMAGE}; conv 8 k3; add {{ bn; bn }}"),
    "dropout at the end": ("W0104", f"{VECTOR}; dense 8 -> dropout 0.5"),
    "dropout at the end of an aux": ("W0104", f"{VECTOR}; aux side: {{ dense 4 -> dropout }}; dense 4"),
    "a dense layer on an image": ("W0105", f"{IMAGE}; dense 10"),
    "two dense layers on an image": ("W0105", f"{IMAGE}; relu -> dense 10 -> relu -> dense 10"),
    "a name that is never used": ("W0106", f"{VECTOR}; let width = 8; dense 4"),
    "one of two names": ("W0106", f"{VECTOR}; let a, b = [1, 2]; dense a"),
    "a chain that another one leaves behind": ("W0107", f"{VECTOR}; dense 8; @data -> dense 4"),
    "layers behind the last output": ("W0107", f"{VECTOR}; dense 8 -> output y; relu -> dense 4"),
    "a label that nothing reads": ("W0107", f"{VECTOR}; side: dense 8; @data -> dense 4"),
    "an input that nothing reads": ("W0107", f"{VECTOR}; input more: 4; @data -> dense 4"),
    "a learned tensor that nothing reads": ("W0107", f"{VECTOR}; param more: 4; dense 4"),
}

NEAR_MISSES = {
    "a stride larger than its window": ("W0101", f"{IMAGE}; conv 8 k1 s2"),
    "a stride larger than its window that leaves more": ("W0101", "input image: 3x8x8; conv 8 k2 s4"),
    "padding that lets the last window in": ("W0101", f"{IMAGE}; conv 8 k3 s2 p1"),
    "padding that is not seen itself": ("W0101", "input image: 3x31x31; conv 8 k3 s2 p=(0, 0, 1, 1)"),
    "rounding up": ("W0101", "input image: 3x15x15; maxpool k2 ceil=yes"),
    "a size that is not known": ("W0101", "input image: 3xHxW where H >= 2, W >= 2; maxpool k2"),
    "activations on two branches": ("W0102", f"{VECTOR}; dense 8; concat {{ relu; tanh }}; dense 4"),
    "activations with a layer between them": ("W0102", f"{VECTOR}; dense 8 -> relu -> dropout -> tanh -> dense 4"),
    "softmax after an activation": ("W0102", f"{VECTOR}; dense 8 -> relu -> softmax"),
    "no bias before a norm": ("W0103", f"{IMAGE}; conv 8 k3 bias=no -> bn"),
    "another norm": ("W0103", f"{IMAGE}; conv 8 k3 -> gn 2"),
    "a layer between": ("W0103", f"{IMAGE}; conv 8 k3 -> relu -> bn"),
    "a second consumer": ("W0103", f"{IMAGE}; conv 8 k3; concat {{ bn; relu }}"),
    "dropout before the last layer": ("W0104", f"{VECTOR}; dropout 0.5 -> dense 8"),
    "a dense layer on a vector": ("W0105", f"{IMAGE}; flatten -> dense 10"),
    "a dense layer on a sequence": ("W0105", "input tokens: 16x8; dense 10"),
    "a dense layer where the channels come last": ("W0105", f"{IMAGE}; transpose (1, 2, 0) -> ln -> dense 10"),
    "a dense layer on rows of another meaning": ("W0105", f"{IMAGE}; reshape [4, -1, 8] -> relu -> dense 10"),
    "a name that is used in a shape": ("W0106", "let n = 8; input data: [n, 4]; dense 4"),
    "a name that is used in an inner body": ("W0106", f"{VECTOR}; let a = 2; repeat 2 {{ dense a }}"),
    "a name that is used as a layer": ("W0106", f"{VECTOR}; let act = relu; dense 4 -> act"),
    "a name that is used in a promise": ("W0106", f"{VECTOR}; let n = 4; dense 4; assert params > n"),
    "a name that is used by a label": ("W0106", f"{VECTOR}; let n = 4; fc{{n}}: dense 4"),
    "a name that is used by a reference": ("W0106", f"{VECTOR}; fc4: dense 4; let n = 4; add {{ relu; @fc{{n}} }}"),
    "an underscore": ("W0106", f"{VECTOR}; let a, _ = [1, 2]; dense a"),
    "an output that others read, too": ("W0107", f"{VECTOR}; dense 8 -> output y -> dense 4 -> output z"),
    "an output of training": ("W0107", f"{VECTOR}; aux side: dense 8; dense 4"),
    "an input that is an output": ("W0107", f"{VECTOR}; output same; dense 4 -> output y"),
    "a label that is read": ("W0107", f"{VECTOR}; side: dense 8; @data -> dense 8; add {{ identity; @side }}"),
}


def codes(text: str) -> list[str]:
    return [warning.code for warning in check_text(text).warnings]


@pytest.mark.parametrize(("code", "body"), FIRES.values(), ids=FIRES.keys())
def test_a_warning_fires_alone(code: str, body: str) -> None:
    assert codes(f"net n {{ {body} }}") == [code]


@pytest.mark.parametrize(("code", "body"), NEAR_MISSES.values(), ids=NEAR_MISSES.keys())
def test_a_near_miss_is_passed_over(code: str, body: str) -> None:
    assert code not in codes(f"net n {{ {body} }}")


def test_parameters_that_nothing_reads() -> None:
    text = "block unit(width, depth, act = relu) { conv width k1 -> act }\nnet n(top = 3) { input x: 3x8x8; unit 8 2 }"
    assert [w.message for w in check_text(text).warnings] == [
        "the parameter `depth` is never used",
        "the parameter `top` is never used",
    ]


def test_a_parameter_may_hold_a_tensor_and_be_read_by_its_sign() -> None:
    text = "block merge(other) { add { identity; @other } }\nnet n { input x: 8; a: dense 8; merge @a }"
    assert codes(text) == []


def test_a_place_is_told_once_however_often_it_is_called() -> None:
    text = "block unit { conv 8 k3 s2 }\nnet n { input x: 3x32x32; unit; unit; unit }"
    (warning,) = check_text(text).warnings
    assert [call for call, _ in warning.stack] == ["unit"]
