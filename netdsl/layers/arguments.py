"""Kinds of arguments: the check and conversion of a compile-time value to a field of a layer.

The field of a layer is annotated with one of the aliases at the end of this file; the alias holds the `Kind` that
checks and converts. Compile-time values are `int`, `float`, `Fraction`, `bool`, `str`, `tuple`, and `Symbolic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from netdsl.base.show import show
from netdsl.ir.dim import Symbolic

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_INTEGER = 2**31 - 1
"""The largest size, stride or count; larger ones are mistakes."""
MIN_POSITIVE = 2.0**-126
"""The smallest positive number with full precision in float32; backends round smaller ones to 0."""


class ArgumentError(Exception):
    """The error of a value that an argument cannot take; `code` is its diagnostic code."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:  # noqa: A002 - as in Diagnostic
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of argument.

    Attributes:
        name: its name in the reference and in errors.
        convert: converts a compile-time value to the field's value, or raises `ArgumentError`.
        words: bare words that are values of this kind (`same`).
    """

    name: str
    convert: Callable[[Any], Any]
    words: tuple[str, ...] = ()


def integer(value: object, least: int | None = None) -> int:
    """Convert a whole number that is at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _no_integer(value)
    if least is not None and value < least:
        raise ArgumentError("E0306", f"expected a number of at least {least}, got {value}")
    if abs(value) > MAX_INTEGER:
        raise ArgumentError("E0703", f"{value} is larger than any size can be ({MAX_INTEGER})")
    return value


def _no_integer(value: object) -> ArgumentError:
    if isinstance(value, Fraction):
        text = show(value)
        message = f"expected a whole number, got {text}" + (f" = {float(value):g}" if "/" in text else "")
        return ArgumentError(
            "E0307", message, "round it: `round(...)`, `floor(...)`, `ceil(...)`, or `//` instead of `/`"
        )
    if isinstance(value, float):
        message = f"expected a whole number, got {value!r}, which is not exact"
        return ArgumentError("E0307", message, "round it: `round(...)`, `floor(...)` or `ceil(...)`")
    if isinstance(value, Symbolic):
        return ArgumentError("E0412", f"expected a known number, got `{value}`", "fix the size in the `input`")
    remedy = f"write `{value}`, without quotes" if isinstance(value, str) and value.isdecimal() else None
    return ArgumentError("E0305", f"expected a whole number, got {describe(value)}", remedy)


def real(value: object, least: float | None = None, most: float | None = None) -> float:
    """Convert a number within bounds to `float`."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise ArgumentError("E0305", f"expected a number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ArgumentError("E0306", "the number is too large") from None
    if (least is not None and number < least) or (most is not None and number > most):
        bounds = f"from {least:g} to {most:g}" if least is not None and most is not None else f"of at least {least:g}"
        raise ArgumentError("E0306", f"expected a number {bounds}, got {number:g}")
    return number


def above_zero(value: object) -> float:
    """Convert a positive number; one that float32 rounds to 0 is refused."""
    number = real(value)
    if number < MIN_POSITIVE:
        remedy = f"float32 has nothing between 0 and {MIN_POSITIVE:.3g}" if number > 0 else None
        raise ArgumentError("E0306", f"expected a positive number, got {number:g}", remedy)
    return number


def divisor(value: object) -> float:
    """Convert a number other than 0."""
    number = real(value)
    if abs(number) < MIN_POSITIVE:
        raise ArgumentError("E0306", f"expected a number other than 0 to divide by, got {number:g}")
    return number


def truth(value: object) -> bool:
    """Convert `yes` or `no`."""
    if not isinstance(value, bool):
        remedy = {"0": "write `no`", "1": "write `yes`"}.get(str(value))
        raise ArgumentError("E0305", f"expected `yes` or `no`, got {describe(value)}", remedy)
    return value


def describe(value: object) -> str:
    """A value with the name of its type, for messages."""
    names = {bool: "the truth value", str: "the string", tuple: "the list"}
    name = next((text for kind, text in names.items() if isinstance(value, kind)), "")
    if not name and not isinstance(value, int | float | Fraction | Symbolic):
        return str(value)  # a block or a tensor describes itself
    return f"{name} {show(value)}".strip()


def _size(least: int) -> Callable[[Any], int | tuple[int, ...]]:
    def convert(value: object) -> int | tuple[int, ...]:
        if isinstance(value, tuple):
            if not 1 <= len(value) <= 3:
                raise ArgumentError(
                    "E0305", f"expected one number, or one for each of up to 3 dimensions, got {show(value)}"
                )
            return tuple(integer(item, least) for item in value)
        return integer(value, least)

    return convert


def _padding(value: object) -> int | tuple[int, ...] | str:
    if value == "same":
        return "same"
    if isinstance(value, str):
        raise ArgumentError("E0305", f"expected a number, a list of numbers or `same`, got {show(value)}")
    if isinstance(value, tuple):
        if len(value) not in (1, 2, 3, 4, 6):
            raise ArgumentError(
                "E0305",
                "expected one number for all sides, one for each dimension, or one for each "
                f"side (top, left, bottom, right), got {len(value)} numbers",
            )
        return tuple(integer(item, 0) for item in value)
    return integer(value, 0)


def _margins(value: object) -> int | tuple[int, ...] | str:
    if isinstance(value, str):
        raise ArgumentError("E0305", f"expected a number or a list of numbers, got {show(value)}")
    return _padding(value)


def _integers(value: object) -> tuple[int, ...]:
    return tuple(integer(item) for item in value) if isinstance(value, tuple) else (integer(value),)


def _reals(value: object) -> tuple[float, ...]:
    return tuple(real(item) for item in value) if isinstance(value, tuple) else (real(value),)


def _divisors(value: object) -> tuple[float, ...]:
    return tuple(map(divisor, value)) if isinstance(value, tuple) else (divisor(value),)


def _shape(value: object) -> tuple[Any, ...]:
    """Convert a shape: sizes of at least 1, known or symbolic, and at most one -1 (inferred)."""
    items = value if isinstance(value, tuple) else (value,)
    sizes = tuple(item if isinstance(item, Symbolic) else integer(item, -1) for item in items)
    if 0 in sizes or sizes.count(-1) > 1:
        raise ArgumentError("E0306", f"expected sizes of at least 1 and at most one -1, got {show(sizes)}")
    return sizes


def choice(*words: str) -> Kind:
    """The kind of an argument that is one of some bare words."""

    def convert(value: object) -> str:
        if value not in words:
            raise ArgumentError("E0305", f"expected one of {', '.join(f'`{w}`' for w in words)}, got {describe(value)}")
        return str(value)

    return Kind(" | ".join(words), convert, words)


Count: TypeAlias = Annotated[int, Kind("positive integer", lambda value: integer(value, 1))]
Integer: TypeAlias = Annotated[int, Kind("integer", integer)]
Natural: TypeAlias = Annotated[int, Kind("non-negative integer", lambda value: integer(value, 0))]
Integers: TypeAlias = Annotated[tuple[int, ...], Kind("list of integers", _integers)]
Real: TypeAlias = Annotated[float, Kind("number", real)]
Positive: TypeAlias = Annotated[float, Kind("non-negative number", lambda value: real(value, 0.0))]
OptionalReal: TypeAlias = Annotated[float | None, Kind("number", real)]
OptionalPositive: TypeAlias = Annotated[float | None, Kind("non-negative number", lambda value: real(value, 0.0))]
AboveZero: TypeAlias = Annotated[float, Kind("positive number", above_zero)]
OptionalAboveZero: TypeAlias = Annotated[float | None, Kind("positive number", above_zero)]
Divisor: TypeAlias = Annotated[float, Kind("number other than 0", divisor)]
Probability: TypeAlias = Annotated[float, Kind("number from 0 to 1", lambda value: real(value, 0.0, 1.0))]
Reals: TypeAlias = Annotated[tuple[float, ...], Kind("list of numbers", _reals)]
Divisors: TypeAlias = Annotated[tuple[float, ...], Kind("list of numbers other than 0", _divisors)]
Flag: TypeAlias = Annotated[bool, Kind("yes | no", truth)]
Size: TypeAlias = Annotated[int | tuple[int, ...], Kind("size: n, or one for each dimension", _size(1))]
OptionalSize: TypeAlias = Annotated[int | tuple[int, ...] | None, Kind("size: n, or one for each dimension", _size(1))]
Padding: TypeAlias = Annotated[
    int | tuple[int, ...] | str, Kind("padding: n, one for each dimension or side, or same", _padding, ("same",))
]
Margins: TypeAlias = Annotated[
    int | tuple[int, ...], Kind("margins: n, one for each dimension or one for each side", _margins)
]
SymmetricPadding: TypeAlias = Annotated[int | tuple[int, ...], Kind("padding: n, or one for each dimension", _size(0))]
ShapeArgument: TypeAlias = Annotated[tuple[Any, ...], Kind("shape: list of sizes, one may be -1", _shape)]
