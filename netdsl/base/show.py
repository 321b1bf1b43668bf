"""Text of compile-time values, in the syntax of the language."""

from __future__ import annotations

from fractions import Fraction


def show(value: object) -> str:
    """Write a compile-time value in the syntax of the language."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        items = ", ".join(map(show, value))
        return f"({items})" if len(value) > 1 else f"[{items}]"
    if isinstance(value, Fraction):
        decimal = repr(float(value))
        return decimal if Fraction(decimal) == value else f"{value.numerator}/{value.denominator}"
    return str(value)
