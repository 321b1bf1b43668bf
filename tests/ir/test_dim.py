"""Symbolic sizes: the arithmetic agrees with that of whole numbers, and what is proved is true."""

import pickle
import re
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from math import floor, prod
from time import perf_counter

import pytest
from formulas import FORMULAS, SIZES, UNITS, UNKNOWN, Formula
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from netdsl.ir.bounds import order_constraint
from netdsl.ir.dim import (
    Dim,
    DimError,
    Symbolic,
    equality_constraint,
    evaluate,
    exact_quotient,
    lower_bound,
    product,
    symbol,
    symbols,
    upper_bound,
)


@given(FORMULAS, SIZES)
def test_arithmetic_agrees_with_whole_numbers(formula: Formula, sizes: dict[str, int]) -> None:
    assert evaluate(formula(UNKNOWN), sizes) == formula(dict(sizes))


@given(FORMULAS, SIZES)
def test_bounds_hold(formula: Formula, sizes: dict[str, int]) -> None:
    dim, value = formula(UNKNOWN), formula(dict(sizes))
    least, most = lower_bound(dim), upper_bound(dim)
    assert least is None or least <= value
    assert most is None or value <= most


@given(FORMULAS, FORMULAS, SIZES)
def test_equal_structure_means_equal_value(left: Formula, right: Formula, sizes: dict[str, int]) -> None:
    a, b = left(UNKNOWN), right(UNKNOWN)
    assert a - b == -1 * (b - a)
    if a == b:
        assert hash(a) == hash(b)
        assert str(a) == str(b)
        assert left(dict(sizes)) == right(dict(sizes))
    assert (a - b == 0) == (a == b)


@settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much])  # few pairs have one
@given(FORMULAS, FORMULAS, st.data())
def test_a_constraint_proves_equality(left: Formula, right: Formula, data: st.DataObject) -> None:
    a, b = left(UNKNOWN), right(UNKNOWN)
    constraint = equality_constraint(a, b) if a != b else None
    assume(constraint is not None)
    multiples = {name: int(n) for name, n in re.findall(r"(\w) % (\d+) == 0", constraint)}
    assert multiples
    sizes = {
        name: data.draw(st.integers(1, 20)) * 3 * UNITS[name] * multiples.get(name, 1)  # 3: above every minimum
        for name in UNITS
    }
    assert evaluate(a, sizes) == evaluate(b, sizes)


@given(FORMULAS, FORMULAS)
def test_what_was_multiplied_can_be_divided(left: Formula, right: Formula) -> None:
    a, b = left(UNKNOWN), right(UNKNOWN)
    if isinstance(b, Symbolic) or b > 0:
        assert exact_quotient(a * b, b) == a


@given(FORMULAS, FORMULAS)
def test_an_exact_quotient_is_exact(left: Formula, right: Formula) -> None:
    a, b = left(UNKNOWN), right(UNKNOWN)
    quotient = exact_quotient(a, b)
    assert quotient is None or quotient * b == a


@given(FORMULAS, SIZES)
def test_the_text_says_the_same(formula: Formula, sizes: dict[str, int]) -> None:
    dim = formula(UNKNOWN)
    exact = re.sub(r"\d+", r"Fraction(\g<0>)", str(dim))
    value = eval(exact, {"floor": floor, "Fraction": Fraction, **sizes})  # noqa: S307 - the text of a size
    assert value == formula(dict(sizes))


H, W = symbol("H"), symbol("W")
H32 = symbol("H", 32)


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (H, "H"),
        (W + H, "H+W"),
        (1 - H, "-H+1"),
        (2 * W * H + 7 - 3 * H * H, "-3*H*H+2*H*W+7"),
        ((H + 1) // 2, "floor((H+1)/2)"),
        (H // 2, "floor(H/2)"),
        (H // 2 // 2, "floor(H/4)"),
        (((H + 1) // 2 + 1) // 2, "floor((H+3)/4)"),
        ((2 * H + 1) // 4, "floor(H/2)"),
        (H - 2 * (H // 2), "H-2*floor(H/2)"),
        (H32 // 2, "H/2"),
        (H32 * 3 // 4, "3*H/4"),
        (H32 // 64, "floor(H/64)"),
        ((H32 // 2 + 1) // 64, "floor(H/128)"),
        ((H32 + 3) // 4, "H/4"),
        (H32 * W // 8, "H*W/8"),
    ],
)
def test_printing(dim: Dim, text: str) -> None:
    assert str(dim) == text


@pytest.mark.parametrize(
    ("dim", "least", "most"),
    [
        (7, 7, 7),
        (H, 1, None),
        (H - 1, 0, None),
        (5 - H, None, 4),
        (symbol("H", 32), 32, None),
        (symbol("H", 1, 40) // 2, 20, None),
        (symbol("H", 32, 40), 64, None),
        (symbol("T", maximum=64), 1, 64),
        (symbol("T", 32, maximum=100), 32, 96),
        (64 - symbol("T", maximum=64), 0, 63),
        ((symbol("T", maximum=9) + 1) // 2 * 3, 3, 15),
        (H * symbol("T", maximum=9), 1, None),
        (H % 2, 0, 1),
        (H - H // 2, 1, None),
        ((H + 1) // 2 - H // 2, 0, 1),
        (H * W - H, 0, None),
        ((H + 1) * (W + 1) - 2 * H - 2, 0, None),
        ((symbol("T", maximum=3) - 5) * (5 - symbol("T", maximum=3)), -20, 0),
        (H // 2 * W, 0, None),
    ],
)
def test_bounds(dim: Dim, least: int | None, most: int | None) -> None:
    assert (lower_bound(dim), upper_bound(dim)) == (least, most)


@pytest.mark.parametrize(
    ("left", "right", "constraint"),
    [
        (H, H // 2 * 2, "H % 2 == 0"),
        (H // 8, H // 16 * 2, "H % 16 == 0"),
        ((H + 1) // 2, H // 2, "H % 2 == 0"),
        (H // 2 * 2 + W // 4 * 4, H + W, "H % 2 == 0, W % 4 == 0"),
        (H // 2 * 2 * W, H * W, "H % 2 == 0"),
        ((H // 2 + W) // 4 * 4, H // 2 + W, "H % 8 == 0, W % 4 == 0"),
        (symbol("H", 2), symbol("H", 2) // 8 * 8, "H % 8 == 0"),
        (H, H + 1, None),
        (H, W, None),
    ],
)
def test_constraints(left: Dim, right: Dim, constraint: str | None) -> None:
    assert equality_constraint(left, right) == constraint


@pytest.mark.parametrize(
    ("dim", "least", "constraint"),
    [
        (H // 2, 16, "H >= 32"),
        (64 - H, 0, "H <= 64"),
        (64 - H // 2, 0, "H <= 129"),
        (100 - H32, 0, "H <= 96"),
        (symbol("H", minimum=9) - 20, 0, "H >= 20"),
        (8 - symbol("H", minimum=9), 0, None),
        (H - W, 0, None),
        (symbol("H") * 2 % 3, 1, None),
    ],
)
def test_order_constraints(dim: Dim, least: int, constraint: str | None) -> None:
    assert order_constraint(dim, least) == constraint


@settings(max_examples=30, suppress_health_check=[HealthCheck.filter_too_much])
@given(FORMULAS, st.integers(-20, 60), SIZES)
def test_an_order_constraint_is_enough(formula: Formula, least: int, sizes: dict[str, int]) -> None:
    constraint = order_constraint(dim := formula(UNKNOWN), least)
    assume(constraint is not None)
    name, relation, number = constraint.split()
    assume(sizes[name] >= int(number) if relation == ">=" else sizes[name] <= int(number))
    assert evaluate(dim, sizes) >= least


@pytest.mark.parametrize(
    ("numerator", "divisor", "quotient"),
    [
        (12, 4, 3),
        (12, 5, None),
        (12, 0, None),
        (0, H, 0),
        (12, H, None),
        (H, H * W, None),
        (6 * H * W, 2 * W, 3 * H),
        (64 * (H + 1) * (W + 2), 32 * (W + 2), 2 * (H + 1)),
        (H * H - W * W, H + W, H - W),
        (H * H + W * W, H + W, None),
        (H32 * W, 16, H32 // 16 * W),
        (H * W, 2, None),
        ((H // 2) * 3, H // 2, 3),
    ],
)
def test_exact_quotient(numerator: Dim, divisor: Dim, quotient: Dim | None) -> None:
    assert exact_quotient(numerator, divisor) == quotient


def test_names_of_symbols() -> None:
    assert symbols((H + 1) // 2 * W + 3) == {"H", "W"}
    assert symbols(3) == set()


def test_evaluation_holds_a_symbol_to_its_divisibility() -> None:
    with pytest.raises(ValueError, match="H = 48 is not a multiple of 32"):
        evaluate(H32 // 2, {"H": 48})
    with pytest.raises(KeyError):
        evaluate(H + W, {"H": 1})


@pytest.mark.parametrize("divisor", [0, -2])
def test_only_positive_numbers_divide(divisor: int) -> None:
    with pytest.raises(ValueError, match="divided by"):
        H // divisor


def test_a_size_survives_pickling() -> None:
    dim = (H + 1) // 2 * W
    assert pickle.loads(pickle.dumps(dim)) == dim  # noqa: S301 - our own bytes


def test_deep_nets_stay_cheap() -> None:
    start = perf_counter()
    for _ in range(10):
        h, w, total = H, W, 0
        for layer in range(200):
            stride = 2 if layer % 40 == 0 else 1
            h, w = (h + 2 - 3) // stride + 1, (w + 2 - 3) // stride + 1
            total = total + product((64, h, w))
        assert str(h) == "floor((H+31)/32)"
        assert len(total.terms) <= 40
    assert perf_counter() - start < 5


@pytest.mark.parametrize(
    "grow",
    [
        lambda n: 3 * n // 2,
        lambda n: n * n,
        lambda n: n * (H + W),
        lambda n: n * 1000,
        lambda n: n // 2,
    ],
)
def test_a_formula_that_explodes_is_refused(grow: Callable[[Dim], Dim]) -> None:
    with pytest.raises(DimError):
        reduce(lambda dim, _: grow(dim), range(200), H + 1)


def test_constant_arithmetic_gives_numbers() -> None:
    assert product((H, 0)) == 0
    assert H - H == 0
    assert isinstance(H - H, int)
    assert prod((2, 3)) == product((2, 3))
