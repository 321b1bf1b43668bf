"""What expressions of the language are worth: where Python has the same, Python says it."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdsl.base.diagnostics import NetdslError
from netdsl.base.source import Source
from netdsl.elaborate.environment import Environment
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.program import load_program
from netdsl.layers.arguments import real
from netdsl.syntax import tree


def value(text: str, **names: Any) -> Any:
    """What an expression is worth among some names."""
    module = load_program(Source("test.net", f"block test {{\nlet x = {text}\n}}"), None)
    block = module.blocks["test"].declaration
    (let,) = block.body.statements
    assert isinstance(let, tree.Let)
    return Evaluator(module, Environment(names), lambda *_: None).evaluate(let.value)


def code(text: str, **names: Any) -> str:
    """The code of the error that an expression is."""
    with pytest.raises(NetdslError) as caught:
        value(text, **names)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code


LISTS = ["xs[0]", "xs[-1]", "xs[i]", "xs[i - 1]", "xs[1:]", "xs[:i]", "xs[:-1]", "xs[1:3]", "xs[:]", "xs[9:]",
         "xs[2:1]", "xs[1:][0]", "ys[1][0]", "(xs + ys)[4][1]", "sum(xs[:i])", "[7, 8][i - 1]"]  # fmt: skip


@pytest.mark.parametrize("text", LISTS)
def test_lists_have_the_elements_that_they_have_in_python(text: str) -> None:
    names = {"xs": (3, 4, 6, 3), "ys": ((1, 2), (3, 4)), "i": 2}
    expected = eval(text, {}, names)  # noqa: S307 - the texts above
    assert value(text, **names) == (tuple(expected) if isinstance(expected, list | range) else expected)


@given(st.lists(st.integers(0, 9), max_size=5), st.integers(-7, 7), st.integers(-7, 7))
def test_any_index_and_slice(items: list[int], i: int, j: int) -> None:
    xs = tuple(items)
    assert value("xs[i:j]", xs=xs, i=i, j=j) == xs[i:j]
    if -len(xs) <= i < len(xs):
        assert value("xs[i]", xs=xs, i=i) == xs[i]
    else:
        assert code("xs[i]", xs=xs, i=i) == "E0312"


@given(st.decimals(-1000, 1000, places=3), st.integers(1, 1000))
def test_decimals_are_what_they_say(decimal: Decimal, n: int) -> None:
    text, number = f"({decimal})", Fraction(decimal)
    assert value(f"{text} * {n}") == number * n
    assert value(f"{text} / {n}") == number / n
    assert value(f"ceil({text} * {n})") == math.ceil(number * n)
    assert type(value(f"{text} * 1000")) is int


@given(st.floats(0, math.nextafter(2**63, 0)))  # 2**63 is printed as 9.223372036854776e+18, which is more
def test_a_decimal_by_itself_is_the_float_of_python(number: float) -> None:
    assert real(value(repr(number))) == number


@pytest.mark.parametrize("text", ["2**(1/2)", "4**0.5", "1e-300 * 0.5", "1e-19 + 1"])
def test_what_is_rounded_is_not_taken_for_whole(text: str) -> None:
    assert value(text) == eval(text)  # noqa: S307 - the texts above
    assert code(f"range(9)[{text}]") == "E0307"


POWERS = ["2**10", "-2**2", "(-2)**3", "2**3**2", "2 * 3**2", "2**-1 * 4", "0**0", "1**10**18", "(-1)**(10**18 + 1)"]


@pytest.mark.parametrize("text", POWERS)
def test_powers_are_those_of_python(text: str) -> None:
    assert value(text) == eval(text)  # noqa: S307 - the texts above


def test_powers_are_exact() -> None:
    assert value("2**-3") == Fraction(1, 8)
    assert value("(2/3)**-2") == Fraction(9, 4)
    assert type(value("2**-3 * 8")) is int
    assert value("2**(1/2)") == 2**0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2**63 + 1", "E0703"),
        ("10**10**10", "E0703"),
        ("(-3)**10**18", "E0703"),
        ("1.5**10**9", "E0703"),
        ("0**-1", "E0308"),
        ("(-2)**(1/2)", "E0310"),
        ('"a"**2', "E0310"),
        ("xs[1/2]", "E0307"),
        ("xs[yes]", "E0305"),
        ("2[0]", "E0101"),
        ("(2)[0]", "E0310"),
    ],
)
def test_what_has_no_value(text: str, expected: str) -> None:
    assert code(text, xs=(1, 2)) == expected
