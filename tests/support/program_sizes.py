"""The sizes of random programs, by the arithmetic of PyTorch's documentation written down anew."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Size:
    """A size: its value in each run of the net, and a formula that tells which sizes are equal in every run.

    The formula is an expression of the language, unless there is a `?` in it.
    """

    at: tuple[int, ...]
    formula: str

    @property
    def known(self):
        return self.formula.isdigit()

    @property
    def least(self):
        return min(self.at)

    @property
    def most(self):
        return max(self.at)

    @property
    def value(self):
        assert self.known
        return self.at[0]


def same(x, y):
    """Whether two shapes are equal in every run."""
    return [size.formula for size in x] == [size.formula for size in y]


def written(x):
    """A shape as a list."""
    return f"[{', '.join(size.formula for size in x)}]"


def slide(size, kernel, stride=1, before=0, after=0, dilation=1):
    """How many windows there are along a side."""
    spare = before + after - dilation * (kernel - 1) - 1
    if stride == 1:
        return moved(size, spare + 1)
    at = tuple((n + spare) // stride + 1 for n in size.at)
    return _made((size,), at, f"(({size.formula} + {spare}) // {stride} + 1)")


def rounded_up(size, kernel, stride, pad, dilation):
    """How many windows there are if a last one may stand out, as long as it starts in the input or before it."""
    if stride == 1:
        return slide(size, kernel, 1, pad, pad, dilation)
    at = []
    for n in size.at:
        count = -((n + 2 * pad - dilation * (kernel - 1) - 1) // -stride) + 1
        at.append(count - ((count - 1) * stride >= n + pad))
    return _made((size,), tuple(at), f"ceil?({size.formula}, {kernel}, {stride}, {pad}, {dilation})")


def moved(size, by):
    """A size and a number."""
    return _made((size,), tuple(n + by for n in size.at), f"({size.formula} + {by})") if by else size


def scaled(size, factor, by=0):
    """A multiple of a size, and a number."""
    if factor == 1:
        return moved(size, by)
    return _made((size,), tuple(factor * n + by for n in size.at), f"({factor} * {size.formula} + {by})")


def times(sizes):
    """The product of sizes."""
    at = tuple(prod(run) for run in zip(*(size.at for size in sizes), strict=True))
    return sizes[0] if len(sizes) == 1 else _made(sizes, at, f"({' * '.join(size.formula for size in sizes)})")


def _made(sources, at, formula):
    """A size made of others: a plain number if they are."""
    return Size(at, str(at[0]) if all(size.known for size in sources) else formula)
