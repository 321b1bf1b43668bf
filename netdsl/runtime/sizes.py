"""Sizes that a model leaves open, checked against the formulas and constraints of its net before it runs."""

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
"""The longest formula, in characters; longer ones are ignored."""


def computed(formula: str, sizes: Mapping[str, int]) -> int | None:
    """Evaluate a formula of a size as netdsl writes it, such as `2*T` or `floor((H+1)/2)`.

    Returns None if it contains unknown sizes, or is not such a formula.
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
    """Return what is wrong with sizes that break a constraint of the net, and a remedy; None if they fit."""
    broken = [c for c in constraints if c.size in sizes and not c.holds(sizes[c.size])]
    if not broken:
        return None
    problem = " and ".join(f"{c.size} = {sizes[c.size]} breaks `{c.text}`" for c in broken)
    nearest = {
        size: Allowed.by(c for c in constraints if c.size == size).nearest(sizes[size])
        for size in dict.fromkeys(c.size for c in broken)
    }
    near = ", ".join(f"{size} = {' or '.join(map(str, values))}" for size, values in nearest.items())
    options = " ".join(f"--size {size}={values[-1]}" for size, values in nearest.items() if values)
    return problem, f"the nearest are {near}; `netdsl run {options}` scales images to them"
