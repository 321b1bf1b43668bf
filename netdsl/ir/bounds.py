"""Bounds on symbolic sizes: the smallest or largest size for which a formula is large enough."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from netdsl.ir.constraint import Constraint
from netdsl.ir.dim import evaluate, lower_bound, symbol_atoms, with_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netdsl.ir.dim import Dim, Symbol

MAX_DOUBLINGS = 31
"""Bounds are searched up to 2^31 multiples of a symbol's unit; no size is larger."""
MAX_SIZES_TRIED = 300
"""The number of sizes tested where nothing is proved; a condition that holds for the upper half is taken to hold."""
BESIDE = (0, 1, 2, 3, 4, 5, 97, 1009)
"""The values tested for the other symbols: these many units above their least value."""
MAX_SIZES_STEPPED = 10_000
"""The number of sizes tested one by one where the exact bound of a formula is unknown."""


@dataclass(frozen=True, slots=True)
class Need:
    """A size that must reach a least value for a layer to work.

    Attributes:
        size: the size.
        least: its least value.
        what: its name in errors, such as `axis 1 of the result`.
    """

    size: Dim
    least: int
    what: str

    @property
    def met(self) -> bool:
        """Whether the need is proved to be met for all sizes."""
        low = self.size if isinstance(self.size, int) else lower_bound(self.size)
        return low is not None and low >= self.least


def order_bound(dim: Dim, least: int) -> Constraint | None:
    """The weakest condition such as ``H >= 65`` or ``H <= 64`` under which `dim` is at least `least`.

    The condition is on one symbol. If `dim` contains no other symbol, the bound is exact: every allowed size from it on
    works, and the one before does not; if all sizes work, it is the least allowed size. Among several symbols, the one
    is chosen that must be raised least. None where no such condition suffices. What cannot be proved of a formula is
    tested on many sizes.
    """
    atoms = sorted(symbol_atoms(dim), key=lambda symbol: symbol.name)
    lows = [(bound.number - symbol.unit * symbol.least, bound) for symbol in atoms
            if (bound := _from(symbol, dim, least, atoms))]  # fmt: skip
    if lows:
        return min(lows, key=lambda low: low[0])[1]
    highs = [bound for symbol in atoms if (bound := _up_to(symbol, dim, least, atoms))]
    return max(highs, key=lambda bound: bound.number, default=None)


def order_constraint(dim: Dim, least: int) -> str | None:
    """`order_bound` as text; None also where no condition is needed."""
    bound = order_bound(dim, least)
    return None if bound is None or _is_idle(bound, symbol_atoms(dim)) else bound.text


def demanded(needs: Iterable[Need]) -> tuple[dict[str, tuple[Constraint, Need]], Need | None]:
    """The weakest bounds under which all needs are met.

    Returns:
        The bounds by symbol name and relation, each with the strictest need; and one need that no bounds meet together
        with the others, if there is such a need.
    """
    known: dict[Symbol, Symbol] = {}
    found: dict[str, tuple[Constraint, Need]] = {}
    # Bounds on several symbols are sufficient but not necessary, so they are computed once the others are known.
    for need in sorted(needs, key=lambda need: len(symbol_atoms(need.size)) > 1):
        size = with_symbols(need.size, lambda symbol: known.get(symbol, symbol))
        if Need(size, need.least, need.what).met:
            continue
        bound = order_bound(size, need.least)
        if bound is None:
            return found, need
        if _is_idle(bound, symbol_atoms(size)):
            continue
        found[f"{bound.size} {bound.relation}"] = bound, need
        for symbol in symbol_atoms(need.size):
            if symbol.name == bound.size:
                now = known.get(symbol, symbol)
                low = bound.relation == ">="
                known[symbol] = replace(now, minimum=bound.number) if low else replace(now, maximum=bound.number)
    return found, None


# ------------------------------------------------------------------------------------------------ implementation


def _is_idle(bound: Constraint, atoms: Iterable[Symbol]) -> bool:
    """Whether the symbols satisfy a bound already."""
    return any(bound.relation == ">=" and s.name == bound.size and bound.number <= s.unit * s.least for s in atoms)


def _from(symbol: Symbol, dim: Dim, least: int, atoms: list[Symbol]) -> Constraint | None:
    """The least bound `H >= ...` that suffices, the other symbols unchanged."""

    def proved(count: int) -> bool:
        return _suffices(dim, least, symbol, replace(symbol, minimum=symbol.unit * count))

    first, last = symbol.least, symbol.most
    holds = _trial(symbol, dim, least, atoms)
    reach = next((2**i for i in range(MAX_DOUBLINGS + 1) if proved(first + 2**i)), None)
    if reach is not None:
        count = first + bisect_left(range(reach), True, key=lambda more: proved(first + more))
        if last is not None and count > last:
            count = last
            if not holds(count):
                return None
    else:
        end = first + MAX_SIZES_TRIED if last is None else min(first + MAX_SIZES_TRIED, last + 1)
        wrong = next((count for count in reversed(range(first, end)) if not holds(count)), first - 1)
        far = [first + 10**digits for digits in range(3, 10) if last is None or first + 10**digits <= last]
        if wrong - first >= (end - first) // 2 or not all(map(holds, far)):
            return None
        count = wrong + 1
    for _ in range(MAX_SIZES_STEPPED):  # the proof may be weaker than the truth
        if count == first or not holds(count - 1):
            break
        count -= 1
    return Constraint(symbol.name, ">=", symbol.unit * count)


def _up_to(symbol: Symbol, dim: Dim, least: int, atoms: list[Symbol]) -> Constraint | None:
    """The largest bound `H <= ...` that suffices and leaves at least two sizes; a single size is no useful advice."""

    def proved(count: int) -> bool:
        return _suffices(dim, least, symbol, replace(symbol, maximum=symbol.unit * count))

    second, last = symbol.least + 1, 2**MAX_DOUBLINGS if symbol.most is None else symbol.most
    if last < second or not proved(second):
        return None
    count = second + bisect_left(range(second, last), True, key=lambda count: not proved(count + 1))
    holds = _trial(symbol, dim, least, atoms)
    for _ in range(MAX_SIZES_STEPPED):
        if count == last or not holds(count + 1):
            break
        count += 1
    return Constraint(symbol.name, "<=", symbol.unit * count)


def _suffices(dim: Dim, least: int, symbol: Symbol, more: Symbol) -> bool:
    """Whether `dim` is proved to be at least `least` when a symbol is replaced by `more`, of which more is known."""
    low = lower_bound(with_symbols(dim, lambda other: more if other == symbol else other))
    return low is not None and low >= least


def _trial(symbol: Symbol, dim: Dim, least: int, atoms: list[Symbol]) -> Callable[[int], bool]:
    """Make a test of whether `dim` is at least `least` at a multiple of a symbol's unit, with some other sizes."""
    others = [other for other in atoms if other != symbol]
    counts = [[s.least + more for more in BESIDE if s.most is None or s.least + more <= s.most] for s in others]
    beside = [{s.name: s.unit * n for s, n in zip(others, chosen, strict=True)} for chosen in product(*counts)]
    return lambda count: all(evaluate(dim, {symbol.name: symbol.unit * count, **sizes}) >= least for sizes in beside)
