"""Exact arithmetic of compile-time numbers: `7/2` is three and a half, and `0.1` is a tenth."""

from __future__ import annotations

import math
import operator
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.show import show
from netdsl.ir.dim import Symbolic, equality_constraint, exact_quotient
from netdsl.layers.arguments import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.base.source import Span
    from netdsl.elaborate.values import Value
    from netdsl.syntax import tree

MAX_NUMBER = 2**63


@lru_cache(maxsize=256)
def exact(value: float) -> Value:
    """The exact value of a decimal: 0.1 is a tenth. Converted to a float, it is the same float again."""
    return _plain(Fraction(repr(value))) if math.isfinite(value) else value


def checked(value: Value, span: Span) -> Value:
    """Return the result of an expression in its simplest type.

    Raises:
        NetdslError: it exceeds `MAX_NUMBER` (E0703).
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise fail("E0703", "the result is too large for a number", span)
    if abs(value) > MAX_NUMBER:
        raise _too_large(span)
    return _plain(value) if isinstance(value, Fraction) else value


def _plain(value: Fraction) -> Value:
    """Convert a whole fraction to `int`, and one of more than 63 bits to the nearest float."""
    if value.denominator == 1:
        return value.numerator
    return value if max(abs(value.numerator), value.denominator) <= MAX_NUMBER else float(value)


def _too_large(span: Span) -> NetdslError:
    return fail("E0703", f"the result is beyond {MAX_NUMBER:.1e}", span, help="numbers go from -9.2e18 to 9.2e18")


def is_number(value: object) -> bool:
    """Whether a value is a number or a symbolic size; truth values are not."""
    return isinstance(value, int | float | Fraction | Symbolic) and not isinstance(value, bool)


def _quotient(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        return Fraction(left, right)
    return left / right if isinstance(left, float) or isinstance(right, float) else Fraction(left) / Fraction(right)


def _power(base: Any, exponent: Any) -> Any:
    """Compute `**`, exactly where the exponent is whole and the result fits in 64 bits.

    Raises:
        OverflowError: the result exceeds the range of floats.
        ValueError: the result is not a real number.
    """
    if isinstance(exponent, int) and not isinstance(base, float):
        fraction = Fraction(base)
        bits = math.log2(max(abs(fraction.numerator), fraction.denominator))
        if bits * abs(exponent) <= MAX_NUMBER.bit_length():
            return fraction**exponent
    result = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ValueError  # noqa: TRY004 - the types are valid, the values are not
    return result


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}


def arithmetic(symbol: str, left: Any, right: Any, e: tree.Binary) -> Value:
    """Compute `+ - * / // % **` on numbers and symbolic sizes."""
    if not (is_number(left) and is_number(right)):
        raise fail("E0310", f"`{symbol}` expected numbers, got {describe(left)} and {describe(right)}", e.span)
    if symbol in ("/", "//", "%") and right == 0:
        raise fail("E0308", f"`{show(left)} {symbol} 0` divides by zero", e.right.span)
    if isinstance(left, Symbolic) or isinstance(right, Symbolic):
        return _symbolic_arithmetic(symbol, left, right, e)
    try:
        return _OPERATORS[symbol](left, right)
    except OverflowError:
        raise _too_large(e.span) from None
    except ZeroDivisionError:
        raise fail("E0308", f"`{show(left)} ** {show(right)}` divides by zero", e.span) from None
    except ValueError:
        raise fail("E0310", f"`{e.span.text}` is no real number", e.span) from None


def _symbolic_arithmetic(symbol: str, left: Any, right: Any, e: tree.Binary) -> Value:
    if symbol in ("+", "-", "*") and isinstance(left, int | Symbolic) and isinstance(right, int | Symbolic):
        return _OPERATORS[symbol](left, right)
    if symbol in ("//", "%") and isinstance(left, Symbolic) and isinstance(right, int) and right > 0:
        return _OPERATORS[symbol](left, right)
    if symbol == "/" and isinstance(left, int | Symbolic) and isinstance(right, int | Symbolic):
        quotient = exact_quotient(left, right)
        if quotient is not None:
            return quotient
        constraint = equality_constraint(left, left // right * right) if isinstance(right, int) and right > 0 else None
        raise fail(
            "E0307",
            f"`{left} / {right}` is not a whole number for every size",
            e.span,
            help="use `//`" + (f", or add `where {constraint}` to the `input`" if constraint else ""),
        )
    raise fail("E0310", f"`{symbol}` cannot take the symbolic sizes `{show(left)}` and `{show(right)}`", e.span)
