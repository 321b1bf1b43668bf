"""Compile-time values as the language writes them."""

from __future__ import annotations

from fractions import Fraction


def show(value: object) -> str:
    """A compile-time value as the language writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(show, value))})"
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return str(value)
