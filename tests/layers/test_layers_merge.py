"""The joins against torch, through ONNX and onnxruntime; and what they refuse."""

from __future__ import annotations

from functools import reduce
from operator import add, mul
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from conformance import conform, operators
from refusals import refused

from netdsl.compiler import check_text
from netdsl.ir.dim import Dim, symbol
from netdsl.ir.types import DType, TensorType
from netdsl.layers.merge import Add, Concat, Max, Mean, Mul

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.layers.base import Layer

OPSETS = [13, 18, 21]
H, W = symbol("H"), symbol("W")


def data(*shapes: tuple[int, ...], dtype: str = "float32") -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [(5 * rng.standard_normal((3, *shape))).astype(dtype) for shape in shapes]


def maximum(*inputs: torch.Tensor) -> torch.Tensor:
    return reduce(torch.maximum, inputs)


def mean(*inputs: torch.Tensor) -> torch.Tensor:
    return torch.stack(inputs).mean(0)


def added(*inputs: torch.Tensor) -> torch.Tensor:
    return reduce(add, inputs)


def multiplied(*inputs: torch.Tensor) -> torch.Tensor:
    return reduce(mul, inputs)


REFERENCES = [(Add(), added), (Mul(), multiplied), (Max(), maximum), (Mean(), mean)]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "int32"])
@pytest.mark.parametrize("branches", [1, 2, 3, 5])
@pytest.mark.parametrize(("layer", "reference"), REFERENCES)
def test_elementwise_joins(
    layer: Layer, reference: Callable[..., torch.Tensor], branches: int, dtype: str, opset: int
) -> None:
    if dtype.startswith("int") and layer == Mean():
        refused(layer, TensorType((4,), DType(dtype)), match="`mean` expected float32, float16 or float64, got int")
        return
    inputs = data(*[(4, 3, 2)] * branches, dtype=dtype)
    tolerance = 1e-2 if dtype == "float16" else 1e-6
    model = conform(layer, *inputs, reference=reference, opset=opset, rtol=tolerance, atol=tolerance)
    if branches == 1:
        assert operators(model) == []


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize(("layer", "reference"), REFERENCES)
def test_joins_take_any_rank(layer: Layer, reference: Callable[..., torch.Tensor], shape: tuple[int, ...]) -> None:
    conform(layer, *data(shape, shape), reference=reference)


@pytest.mark.parametrize(
    ("layer", "branches", "expected"),
    [
        (Add(), 2, ["Add"]),
        (Add(), 3, ["Sum"]),
        (Mul(), 3, ["Mul", "Mul"]),
        (Max(), 3, ["Max"]),
        (Mean(), 3, ["Sum", "Div"]),
        (Concat(), 3, ["Concat"]),
    ],
)
def test_operators(layer: Layer, branches: int, expected: list[str]) -> None:
    references = {type(each): reference for each, reference in REFERENCES} | {Concat: lambda *x: torch.cat(x, 1)}
    model = conform(layer, *data(*[(2, 3)] * branches), reference=references[type(layer)])
    assert operators(model) == expected


def test_max_keeps_what_is_not_a_number() -> None:
    first, second, third = data((2, 3), (2, 3), (2, 3))
    first[0, 0, 0] = second[1, 1, 1] = third[2, 0, 1] = np.nan
    conform(Max(), first, second, third, reference=maximum)


@pytest.mark.parametrize(
    "shapes",
    [
        [(6, 1, 1), (6, 4, 5)],
        [(6, 4, 5), (6, 1, 1)],
        [(1, 4, 5), (6, 4, 5)],
        [(6, 1, 1), (1, 4, 5)],
        [(6, 4, 5), (6, 1, 1), (1, 4, 1)],
        [(1,), (3,)],
    ],
)
@pytest.mark.parametrize("opset", OPSETS)
def test_mul_stretches_sizes_of_one(shapes: list[tuple[int, ...]], opset: int) -> None:
    conform(Mul(), *data(*shapes), reference=multiplied, opset=opset)


@pytest.mark.parametrize("dtype", [dtype.value for dtype in DType if dtype is not DType.BFLOAT16])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_concat(axis: int, dtype: str) -> None:
    shapes = [tuple(size + grown if i == axis % 3 else size for i, size in enumerate((2, 3, 4))) for grown in (0, 3, 1)]
    for opset in OPSETS:
        conform(
            Concat(axis),
            *data(*shapes, dtype=dtype),
            reference=lambda *x: torch.cat(x, axis + 1 if axis >= 0 else axis),
            opset=opset,
        )


def test_concat_of_one_branch_adds_nothing() -> None:
    assert operators(conform(Concat(), *data((2, 3)), reference=lambda x: x)) == []


SYMBOLIC = [
    (Concat(), [(2, H, W), (3, H, W)], (5, H, W)),
    (Concat(1), [(2, H, W), (2, H // 2, W)], (2, H + H // 2, W)),
    (Concat(2), [(2, H, 1), (2, H, W)], (2, H, W + 1)),
    (Add(), [(2, H // 2), (2, H // 2)], (2, H // 2)),
    (Max(), [((H + 1) // 2,), ((H - 1) // 2 + 1,)], ((H + 1) // 2,)),
    (Mul(), [(2, 1, 1), (2, H, W)], (2, H, W)),
    (Mul(), [(2, H, 1), (2, 1, W)], (2, H, W)),
]


@pytest.mark.parametrize(("layer", "shapes", "result"), SYMBOLIC)
def test_symbolic_sizes(layer: Layer, shapes: list[tuple[Dim, ...]], result: tuple[Dim, ...]) -> None:
    assert layer.infer(*map(TensorType, shapes)).shape == result


def test_symbolic_sizes_run() -> None:
    types = [TensorType((2, H, W)), TensorType((3, H, W))]
    inputs = data((2, 5, 4), (3, 5, 4))
    conform(Concat(), *inputs, reference=lambda *x: torch.cat(x, 1), types=types, sizes={"H": 5, "W": 4})
    types = [TensorType((2, 1, 1)), TensorType((2, H, W))]
    conform(Mul(), *data((2, 1, 1), (2, 5, 4)), reference=multiplied, types=types, sizes={"H": 5, "W": 4})


REFUSED = [
    (Concat(), [(2, 5, 5), (2, 5, 5), (3, 4, 5)], "E0404", "along axis 0, and 2x5x5 and 3x4x5 do not",
     (2, "pad (0, 0, 1, 0)")),
    (Concat(), [(64, 28, 28), (64, 56, 56)], "E0404", "64x28x28 and 64x56x56", (0, "upsample 2")),
    (Concat(), [(64, 26, 28), (64, 28, 28)], "E0404", "64x26x28 and 64x28x28", (0, "pad (1, 0)")),
    (Concat(), [(64, 30, 30), (32, 28, 28)], "E0404", "64x30x30 and 32x28x28", (1, "pad 1")),
    (Concat(), [(64, 28, 29), (64, 29, 28)], "E0404", "64x28x29 and 64x29x28", None),
    (Concat(1), [(2, 5, 5), (3, 4, 5)], "E0404", "except along axis 1, and 2x5x5 and 3x4x5", (1, "conv 2 k1")),
    (Concat(), [(2, 5, 5), (2, 5)], "E0404", "2x5x5 and 2x5 do not", None),
    (Concat(3), [(2, 5, 5), (2, 5, 5)], "E0411", "axis 3 is outside", "from 0 to 2"),
    (Concat(), [(2, H, 5), (2, H + 1, 5)], "E0404", "2xHx5 and", None),
    (Concat(), [(2, 2 * (H // 2)), (2, H)], "E0408", "fit only where H = 2\\*floor\\(H/2\\)",
     "add `where H % 2 == 0` to the `input`"),
    (Concat(), [(2, H), (2, W)], "E0408", "W = H", "the same letter"),
    (Add(), [(256, 28, 28), (64, 56, 56)], "E0403", "got 256x28x28 and 64x56x56", (1, "conv 256 k1 s2")),
    (Add(), [(64, 56, 56), (256, 28, 28)], "E0403", "got 64x56x56 and 256x28x28", (0, "conv 256 k1 s2")),
    (Add(), [(64, 56, 56), (32, 56, 56)], "E0403", "64x56x56 and 32x56x56", (1, "conv 64 k1")),
    (Add(), [(64, 7, 4), (32, 14, 13)], "E0403", "64x7x4 and 32x14x13", (1, "conv 64 k1 s2x4")),
    (Add(), [(64, 30, 30), (64, 32, 32)], "E0403", "64x30x30 and 64x32x32", (0, "pad 1")),
    (Add(), [(64, 20, 20), (64, 20, 20), (64, 20, 10)], "E0403", "64x20x20 and 64x20x10", (2, "pad (0, 5)")),
    (Add(), [(64, 20, 10), (64, 20, 10), (64, 20, 20)], "E0403", "64x20x10 and 64x20x20", (2, "conv 64 k1 s1x2")),
    (Add(), [(8, 5, 7), (8, 7, 5)], "E0403", "8x5x7 and 8x7x5", None),
    (Add(), [(10,), (20,)], "E0403", "got 10 and 20", (1, "dense 10")),
    (Add(), [(6, 1, 1), (6, 4, 5)], "E0403", "6x1x1 and 6x4x5", (0, "pad (0, 0, 3, 4)")),
    (Add(), [(6, 4), (6, 4, 5)], "E0403", "6x4 and 6x4x5", None),
    (Add(), [(64, 2 * (H // 2), W // 4 * 4), (64, H, W)], "E0408",
     "H = 2\\*floor\\(H/2\\) and W = 4\\*floor\\(W/4\\)", "add `where H % 2 == 0, W % 4 == 0`"),
    (Add(), [(64, 3, (H + 1) // 2), (32, 3, H // 2)], "E0403", "and \\[32, 3, floor\\(H/2\\)\\]", None),
    (Add(), [(64, (H + 1) // 2), (64, H)], "E0403", "and 64xH", (1, "conv 64 k1 s2")),
    (Add(), [(64, (H + 1) // 2, W), (32, H, W)], "E0403", "and 32xHxW", (1, "conv 64 k1 s2x1")),
    (Add(), [(64, (H + 1) // 2, (W + 1) // 2), (64, H, W)], "E0403", "and 64xHxW", (1, "conv 64 k1 s2")),
    (Mean(), [(64, H), (64, 8)], "E0408", "8 = H", "fix the sizes"),
    (Mul(), [(6, 2, 1), (6, 4, 5)], "E0403", "one shape, apart from sizes of 1, got 6x2x1 and 6x4x5", None),
    (Mul(), [(6, 4, 5), (3, 1, 1)], "E0403", "6x4x5 and 3x1x1", (1, "conv 6 k1")),
    (Mul(), [(6, 4, 5), (6,)], "E0403", "6x4x5 and 6", (1, "reshape (6, 1, 1)")),
    (Mul(), [(6,), (6, 4, 5)], "E0403", "6 and 6x4x5", None),
    (Mul(), [(6, H), (6, 2 * (H // 2))], "E0408", "H", "H % 2 == 0"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shapes", "code", "message", "remedy"), REFUSED)
def test_what_is_refused(
    layer: Layer, shapes: list[tuple[Dim, ...]], code: str, message: str, remedy: str | tuple[int, str] | None
) -> None:
    found = refused(layer, *map(TensorType, shapes), match=message)
    assert found.code == code
    if isinstance(remedy, str):
        assert remedy in (found.help or "")
    else:
        assert found.append == remedy
        assert found.help is None


@pytest.mark.parametrize(("layer", "shapes", "remedy"), [(c[0], c[1], c[4]) for c in REFUSED if type(c[4]) is tuple])
def test_what_is_to_be_appended_mends(layer: Layer, shapes: list[tuple[Dim, ...]], remedy: tuple[int, str]) -> None:
    number, layers = remedy
    declared = [f"input x{i}: [{', '.join(map(str, shape))}]" for i, shape in enumerate(shapes)]
    inputs = "\n".join(reversed(declared))  # the letters of unknown sizes first
    branches = [f"@x{i}" + (f" -> {layers}" if i == number else "") for i in range(len(shapes))]
    axis = f"axis={layer.axis}" if isinstance(layer, Concat) else ""
    text = f"net n {{\n{inputs}\n{layer.kind} {axis} {{ {'; '.join(branches)} }}\n}}"
    check_text(text.replace("floor((H+1)/2)", "(H+1)//2").replace("floor((W+1)/2)", "(W+1)//2"))


@pytest.mark.parametrize("layer", [Concat(), Add(), Mul(), Max(), Mean()])
def test_element_types_must_agree(layer: Layer) -> None:
    types = TensorType((2,)), TensorType((2,)), TensorType((2,), DType.INT64)
    assert refused(layer, *types, match="one element type, got float32 and int64").code == "E0409"


@pytest.mark.parametrize("layer", [Add(), Mul(), Max()])
def test_truth_values_are_not_added(layer: Layer) -> None:
    words = "expected float32, float16, float64, int64 or int32, got bool"
    assert refused(layer, TensorType((2,), DType.BOOL), match=words).code == "E0409"
