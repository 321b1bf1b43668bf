"""Exact arithmetic over sizes that are not known yet.

A size is a plain `int`, or a `Symbolic`: a polynomial with integer coefficients over atoms, where an atom is a
symbol (`H`) or a floor division (`floor((H+1)/2)`). The form is canonical, so that equal structure means equal
value for every admissible assignment; the converse does not always hold, and `difference_constraint` then looks for
the divisibility under which it does. A symbol known to be a multiple of 32 is stored as 32 times a fresh symbol,
which makes every later division exact without a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm, prod
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """An unknown size `name` = `unit` * n, of which this atom stands for n; the size is at least `minimum`."""

    name: str
    unit: int = 1
    minimum: int = 1

    @property
    def least(self) -> int:
        """The least value of the atom itself."""
        return -(-self.minimum // self.unit)


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of `numerator` / `divisor`."""

    numerator: Symbolic
    divisor: int


Atom: TypeAlias = Symbol | Floor
Monomial: TypeAlias = tuple[Atom, ...]
"""A product of atoms in a fixed order; a power is a repetition, the empty product is 1."""


def _order(atom: Atom) -> str:
    return repr(atom)


class Symbolic:
    """A size that depends on symbols; never a constant (arithmetic that yields one returns an `int`)."""

    __slots__ = ("_hash", "terms")

    terms: dict[Monomial, int]

    def __init__(self, terms: dict[Monomial, int]) -> None:
        self.terms = terms
        self._hash = hash(frozenset(terms.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbolic) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Dim) -> Dim:
        return _sum((self, other))

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return -1 * self + other

    def __mul__(self, other: Dim) -> Dim:
        terms: dict[Monomial, int] = {}
        for left, a in self.terms.items():
            for right, b in _terms(other).items():
                monomial = tuple(sorted(left + right, key=_order))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _canonical(terms)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Dim:
        """Floor division by a positive integer."""
        return _floor(self, divisor)

    def __mod__(self, divisor: int) -> Dim:
        return self - divisor * _floor(self, divisor)

    def __repr__(self) -> str:
        return f"Symbolic({self})"

    def __str__(self) -> str:
        pieces = [_format(monomial, coefficient) for monomial, coefficient in self.terms.items() if monomial]
        pieces += [f"{constant:+d}" for monomial, constant in self.terms.items() if not monomial]
        return "".join(pieces).removeprefix("+")


Dim: TypeAlias = int | Symbolic


def symbol(name: str, multiple: int = 1, minimum: int = 1) -> Symbolic:
    """The unknown size `name`, a multiple of `multiple` and not less than `minimum`."""
    return Symbolic({(Symbol(name, multiple, minimum),): multiple})


def product(dims: Iterable[Dim]) -> Dim:
    """The product of sizes; 1 for none."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return result


def exact_quotient(numerator: Dim, divisor: Dim) -> Dim | None:
    """`numerator / divisor` if it is a whole size for every assignment, else None."""
    if isinstance(divisor, int):
        if divisor == 0 or numerator % divisor != 0:
            return None
        return numerator // divisor
    if len(divisor.terms) != 1:
        return 1 if numerator == divisor else None
    ((monomial, coefficient),) = divisor.terms.items()
    terms: dict[Monomial, int] = {}
    for other, value in _terms(numerator).items():
        rest = list(other)
        for atom in monomial:
            if atom not in rest:
                return None
            rest.remove(atom)
        if value % coefficient:
            return None
        terms[tuple(rest)] = value // coefficient
    return _canonical(terms)


def lower_bound(dim: Dim) -> int | None:
    """A value that `dim` never goes below; None where none is known."""
    return _bound(dim, upper=False)


def upper_bound(dim: Dim) -> int | None:
    """A value that `dim` never exceeds; None where there is none or none is known."""
    return _bound(dim, upper=True)


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The value of `dim` when each symbol has the given size.

    Raises:
        KeyError: a symbol has no size.
        ValueError: a size breaks its symbol's divisibility.
    """
    return sum(c * prod(_evaluate_atom(atom, sizes) for atom in monomial) for monomial, c in _terms(dim).items())


def symbols(dim: Dim) -> set[str]:
    """The names of all symbols in `dim`."""
    names: set[str] = set()
    for monomial in _terms(dim):
        for atom in monomial:
            names |= {atom.name} if isinstance(atom, Symbol) else symbols(atom.numerator)
    return names


def equality_constraint(left: Dim, right: Dim) -> str | None:
    """A condition such as ``H % 2 == 0`` under which two different sizes are equal for certain.

    Tries the divisors that occur in the sizes, and their least common multiple, for one symbol after the other and
    then for all together. None where none of these suffices.
    """
    names = sorted(symbols(left) | symbols(right))
    divisors = sorted(_divisors(left) | _divisors(right))
    if not names or not divisors:
        return None
    candidates = sorted({*divisors, lcm(*divisors), prod(divisors)})
    for chosen in [[name] for name in names] + ([names] if len(names) > 1 else []):
        for multiple in candidates:
            units = dict.fromkeys(chosen, multiple)
            if _with_units(left, units) == _with_units(right, units):
                return ", ".join(f"{name} % {multiple} == 0" for name in chosen)
    return None


# ------------------------------------------------------------------------------------------------ how it is done


def _terms(dim: Dim) -> dict[Monomial, int]:
    if isinstance(dim, Symbolic):
        return dim.terms
    return {(): dim} if dim else {}


def _canonical(terms: dict[Monomial, int]) -> Dim:
    kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    return Symbolic(kept)


def _sum(dims: Iterable[Dim]) -> Dim:
    terms: dict[Monomial, int] = {}
    for dim in dims:
        for monomial, coefficient in _terms(dim).items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
    return _canonical(terms)


def _floor(dim: Dim, divisor: int) -> Dim:
    """Whole multiples of the divisor leave the floor; what stays is divided once, nested floors are merged."""
    if divisor <= 0:
        raise ValueError(f"a size is divided by {divisor}")
    if isinstance(dim, int):
        return dim // divisor
    if divisor == 1:
        return dim
    outside: dict[Monomial, int] = {}
    inside: dict[Monomial, int] = {}
    for monomial, coefficient in dim.terms.items():
        outside[monomial], inside[monomial] = divmod(coefficient, divisor)
    rest = _canonical(inside)
    if isinstance(rest, int):
        return _sum((_canonical(outside), rest // divisor))
    nested = _single_floor(rest)
    if nested is not None:  # floor((floor(a/m) + c)/d) = floor((a + c m)/(d m))
        atom, constant = nested
        merged = _floor(atom.numerator + constant * atom.divisor, divisor * atom.divisor)
        return _sum((_canonical(outside), merged))
    return _sum((_canonical(outside), Symbolic({(Floor(rest, divisor),): 1})))


def _single_floor(dim: Symbolic) -> tuple[Floor, int] | None:
    """The parts of `floor(a/m) + c`, if `dim` is that."""
    found: Floor | None = None
    for monomial, coefficient in dim.terms.items():
        if not monomial:
            continue
        if found is not None or coefficient != 1 or len(monomial) != 1 or not isinstance(monomial[0], Floor):
            return None
        found = monomial[0]
    return None if found is None else (found, dim.terms.get((), 0))


def _bound(dim: Dim, *, upper: bool) -> int | None:
    total = 0
    for monomial, coefficient in _terms(dim).items():
        if not monomial:
            total += coefficient
            continue
        from_above = upper == (coefficient > 0)
        bounds = [_atom_bound(atom, upper=from_above) for atom in monomial]
        lows = [_atom_bound(atom, upper=False) for atom in monomial]
        if any(b is None for b in bounds) or any(low is None or low < 0 for low in lows):
            return None
        total += coefficient * prod(b for b in bounds if b is not None)
    return total


def _atom_bound(atom: Atom, *, upper: bool) -> int | None:
    if isinstance(atom, Symbol):
        return None if upper else atom.least
    inner = _bound(atom.numerator, upper=upper)
    return None if inner is None else inner // atom.divisor


def _evaluate_atom(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, Floor):
        return evaluate(atom.numerator, sizes) // atom.divisor
    value, rest = divmod(sizes[atom.name], atom.unit)
    if rest:
        raise ValueError(f"{atom.name} = {sizes[atom.name]} is not a multiple of {atom.unit}")
    return value


def _divisors(dim: Dim) -> set[int]:
    found: set[int] = set()
    for monomial in _terms(dim):
        for atom in monomial:
            if isinstance(atom, Floor):
                found |= {atom.divisor} | _divisors(atom.numerator)
    return found


def _with_units(dim: Dim, multiples: Mapping[str, int]) -> Dim:
    """`dim` rebuilt with some symbols known to be multiples of something more."""
    pieces: list[Dim] = []
    for monomial, coefficient in _terms(dim).items():
        atoms: list[Dim] = []
        for atom in monomial:
            if isinstance(atom, Floor):
                atoms.append(_floor(_with_units(atom.numerator, multiples), atom.divisor))
            else:
                unit = lcm(atom.unit, multiples.get(atom.name, 1))
                atoms.append(Symbolic({(Symbol(atom.name, unit, atom.minimum),): unit // atom.unit}))
        pieces.append(coefficient * product(atoms))
    return _sum(pieces)


def _format(monomial: Monomial, coefficient: int) -> str:
    """A signed term, units resolved: 16 times the atom H/32 is written H/2."""
    units = prod(atom.unit for atom in monomial if isinstance(atom, Symbol))
    sign, size = ("-", -coefficient) if coefficient < 0 else ("+", coefficient)
    shared = lcm(units, size) // size if size else 1
    over, under = (size * shared // units, shared) if (size * shared) % units == 0 else (size, units)
    names = "*".join(map(_format_atom, monomial))
    return f"{sign}{'' if over == 1 else f'{over}*'}{names}{'' if under == 1 else f'/{under}'}"


def _format_atom(atom: Atom) -> str:
    if isinstance(atom, Symbol):
        return atom.name
    numerator = str(atom.numerator)
    return f"floor({numerator if numerator.isalnum() else f'({numerator})'}/{atom.divisor})"
