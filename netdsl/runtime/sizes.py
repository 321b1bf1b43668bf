"""Sizes that a model leaves open: what its metadata and its own names say of them is held before it runs."""

from __future__ import annotations

import ast
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from netdsl.ir.constraint import Allowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.ir.constraint import Constraint

MAX_FORMULA_LENGTH = 1000
"""A formula with more characters is passed over."""


def computed(formula: str, sizes: Mapping[str, int]) -> int | None:
    """The value of a size that is written as netdsl writes a formula, `2*T` or `floor((H+1)/2)`.

    None where it speaks of unknown sizes, or is no such formula.
    """
    if len(formula) > MAX_FORMULA_LENGTH:
        return None
    try:
        value = _value(ast.parse(formula, mode="eval").body, sizes)
    except (SyntaxError, ValueError, KeyError, ArithmeticError, RecursionError, MemoryError):
        return None
    return int(value) if value.denominator == 1 else None


def _value(node: ast.expr, sizes: Mapping[str, int]) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.Name(id=name):
            return Fraction(sizes[name])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, sizes)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, sizes) + _value(right, sizes)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, sizes) - _value(right, sizes)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, sizes) * _value(right, sizes)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _value(left, sizes) / _value(right, sizes)
        case ast.Call(func=ast.Name(id="floor"), args=[argument], keywords=[]):
            return Fraction(floor(_value(argument, sizes)))
    raise ValueError(ast.dump(node))


def refusal(constraints: Sequence[Constraint], sizes: Mapping[str, int]) -> tuple[str, str] | None:
    """What is wrong with sizes that the net is not for, and the remedy; None where it is for them."""
    broken = [c for c in constraints if c.size in sizes and not c.holds(sizes[c.size])]
    if not broken:
        return None
    told = " and ".join(f"{c.size} = {sizes[c.size]} breaks `{c.text}`" for c in broken)
    nearest = {
        size: Allowed.by(c for c in constraints if c.size == size).nearest(sizes[size])
        for size in dict.fromkeys(c.size for c in broken)
    }
    near = ", ".join(f"{size} = {' or '.join(map(str, values))}" for size, values in nearest.items())
    options = " ".join(f"--size {size}={values[-1]}" for size, values in nearest.items() if values)
    return told, f"the nearest are {near}; `netdsl run {options}` scales images to them"
