"""Exact arithmetic on symbolic sizes.

A size is a plain `int`, or a `Symbolic`: a polynomial with integer coefficients over atoms, where an atom is a
symbol (`H`) or a floor division (`floor((H+1)/2)`). The form is canonical: equal structure means equal values for
all sizes. The converse does not always hold; `equality_constraint` then finds the divisibility under which two
formulas are equal. A symbol known to be a multiple of 32 is stored as 32 times a fresh symbol, which makes later
divisions exact without a solver. Within one net, a name stands for one `Symbol`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from math import ceil, floor, gcd, lcm, prod
from operator import add, mul
from typing import TYPE_CHECKING, Any, TypeAlias

from netdsl.base.diagnostics import Diagnostic, NetdslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netdsl.base.source import Span


MAX_ATOMS = 500
"""The largest number of atoms in a formula, atoms inside of floors included; longer ones are slow and unreadable."""
MAX_FLOOR_DEPTH = 20
"""The largest depth of nested floors."""
MAX_DIVISORS = 16
"""The largest number of divisors tried in the search for a condition."""
MAX_SIMPLE_ATOMS = 50
"""The largest number of atoms in a formula for which conditions are searched."""
MAX_FACTORS = 4
"""The largest number of atoms in a product that is bounded as a whole; longer ones are bounded factor by factor."""
MAX_COEFFICIENT = 2**63 - 1
"""The largest coefficient or divisor: ONNX computes sizes in int64."""


class DimError(NetdslError):
    """The error of a formula that exceeds `MAX_ATOMS`, `MAX_FLOOR_DEPTH` or `MAX_COEFFICIENT` (E0703)."""

    def __init__(self) -> None:
        remedy = "fix the sizes in the `input`"
        super().__init__(Diagnostic("E0703", "the formula of a symbolic size has become too long", help=remedy))

    def at(self, span: Span) -> NetdslError:
        """The same error at a source location."""
        return NetdslError(replace(self.diagnostics[0], span=span))


@dataclass(frozen=True, slots=True)
class Symbol:
    """An unknown size `name` = `unit` * n with bounds on the size; the symbol as an atom stands for n."""

    name: str
    unit: int = 1
    minimum: int = 1
    maximum: int | None = None

    @property
    def least(self) -> int:
        """The least value of the atom itself."""
        return -(-self.minimum // self.unit)

    @property
    def most(self) -> int | None:
        """The largest value of the atom itself."""
        return None if self.maximum is None else self.maximum // self.unit


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of `numerator` / `divisor`."""

    numerator: Symbolic
    divisor: int


Atom: TypeAlias = Symbol | Floor
Monomial: TypeAlias = tuple[Atom, ...]
"""A product of atoms in a fixed order; a power is a repetition, the empty product is 1."""


class Symbolic:
    """A size that depends on symbols; never a constant (arithmetic that yields one returns an `int`)."""

    __slots__ = ("_hash", "_text", "atoms", "bounds", "depth", "terms")

    terms: dict[Monomial, int]
    atoms: int
    """The number of atoms in the formula when it is written out."""
    depth: int
    """The depth of nested floors."""
    bounds: dict[bool, int | None]
    """The cached upper bound (`True`) and lower bound (`False`)."""

    def __init__(self, terms: dict[Monomial, int]) -> None:
        self.terms = terms
        self.atoms = self.depth = 0
        for monomial in terms:
            for atom in monomial:
                if isinstance(atom, Symbol):
                    self.atoms += 1
                else:
                    self.atoms += atom.numerator.atoms
                    self.depth = max(self.depth, 1 + atom.numerator.depth)
        most = max(map(abs, terms.values()))
        if self.atoms > MAX_ATOMS or self.depth > MAX_FLOOR_DEPTH or most > MAX_COEFFICIENT:
            raise DimError
        self._hash = hash(frozenset(terms.items()))
        self._text = ""
        self.bounds = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbolic) and self._hash == other._hash and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Symbolic], tuple[dict[Monomial, int]]]:
        return Symbolic, (self.terms,)  # the hash of a string differs between processes

    def __add__(self, other: Dim) -> Dim:
        return total((self, other))

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return -1 * self + other

    def __mul__(self, other: Dim) -> Dim:
        factor = _terms(other)
        if len(self.terms) * len(factor) > MAX_ATOMS:
            raise DimError
        terms: dict[Monomial, int] = {}
        for left, a in self.terms.items():
            for right, b in factor.items():
                monomial = tuple(sorted(left + right, key=_atom_order)) if left and right else left or right
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
        if not self._text:
            ordered = sorted(self.terms, key=_monomial_order)
            self._text = "".join(_format(monomial, self.terms[monomial]) for monomial in ordered).removeprefix("+")
        return self._text


Dim: TypeAlias = int | Symbolic


def symbol(name: str, multiple: int = 1, minimum: int = 1, maximum: int | None = None) -> Symbolic:
    """The unknown size `name`: a multiple of `multiple`, at least `minimum` and at most `maximum`."""
    return Symbolic({(Symbol(name, multiple, minimum, maximum),): multiple})


def total(dims: Iterable[Dim]) -> Dim:
    """The sum of sizes; 0 for none."""
    terms: dict[Monomial, int] = {}
    for dim in dims:
        for monomial, coefficient in _terms(dim).items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
    return _canonical(terms)


def product(dims: Iterable[Dim]) -> Dim:
    """The product of sizes; 1 for none."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return result


def exact_quotient(numerator: Dim, divisor: Dim) -> Dim | None:
    """`numerator / divisor` if it is a whole size for all values of the symbols, else None."""
    if isinstance(divisor, int):
        if divisor <= 0 or numerator % divisor != 0:
            return None
        return numerator // divisor
    lead = min(divisor.terms, key=_monomial_order)
    quotient: Dim = 0
    while numerator != 0:  # long division: each step cancels the leading term
        terms = _terms(numerator)
        top = min(terms, key=_monomial_order)
        rest = _without(top, lead)
        if rest is None or terms[top] % divisor.terms[lead]:
            return None
        piece = _canonical({rest: terms[top] // divisor.terms[lead]})
        quotient, numerator = quotient + piece, numerator - piece * divisor
    return quotient


def lower_bound(dim: Dim) -> int | None:
    """A value that `dim` is never below; None where none is known."""
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

    def count(symbol: Symbol) -> int:
        value, rest = divmod(sizes[symbol.name], symbol.unit)
        if rest:
            raise ValueError(f"{symbol.name} = {sizes[symbol.name]} is not a multiple of {symbol.unit}")
        return value

    value: int = compute(dim, count)
    return value


def compute(dim: Dim, atom: Callable[[Symbol], Any]) -> Any:
    """Evaluate `dim` with objects that have `+`, `*` and `//`; `atom` gives the object for each symbol's atom."""
    if isinstance(dim, int):
        return dim
    terms = []
    for monomial, coefficient in dim.terms.items():
        factors = [atom(a) if isinstance(a, Symbol) else compute(a.numerator, atom) // a.divisor for a in monomial]
        terms.append(reduce(mul, factors if coefficient == 1 and factors else [*factors, coefficient]))
    return reduce(add, terms)


def symbols(dim: Dim) -> set[str]:
    """The names of all symbols in `dim`."""
    return {symbol.name for symbol in symbol_atoms(dim)}


def symbol_atoms(dim: Dim) -> set[Symbol]:
    """The symbols in `dim`, including those inside of floors."""
    found: set[Symbol] = set()
    for monomial in _terms(dim):
        for atom in monomial:
            found |= {atom} if isinstance(atom, Symbol) else symbol_atoms(atom.numerator)
    return found


def with_symbols(dim: Dim, known: Callable[[Symbol], Symbol]) -> Dim:
    """`dim` rebuilt with symbols of which more is known; each must stay a multiple of its old unit.

    Args:
        dim: the size.
        known: gives the new symbol for an old one.
    """
    pieces: list[Dim] = []
    for monomial, coefficient in _terms(dim).items():
        atoms: list[Dim] = []
        for atom in monomial:
            if isinstance(atom, Floor):
                atoms.append(_floor(with_symbols(atom.numerator, known), atom.divisor))
            else:
                more = known(atom)
                atoms.append(Symbolic({(more,): more.unit // atom.unit}))
        pieces.append(coefficient * product(atoms))
    return total(pieces)


def equality_constraint(left: Dim, right: Dim) -> str | None:
    """A condition such as ``H % 2 == 0`` under which two different sizes are proved to be equal.

    It finds the least divisor in the formulas (or their least common multiple) that suffices if every symbol is a
    multiple of it, and then weakens the condition on each symbol. None where no such divisor suffices, and for long
    formulas.
    """
    if not (_is_simple(left) and _is_simple(right)):
        return None
    names = sorted(symbols(left) | symbols(right))
    divisors = sorted(_divisors(left) | _divisors(right))
    candidates = [1, *divisors, lcm(*divisors)]
    for multiple in candidates:
        multiples = dict.fromkeys(names, multiple)
        if not _equal_under(multiples, left, right):
            continue
        for name in names:
            enough = (n for n in candidates if n == multiple or _equal_under({**multiples, name: n}, left, right))
            multiples[name] = next(enough)
        return ", ".join(f"{name} % {multiple} == 0" for name, multiple in multiples.items() if multiple > 1)
    return None


def equality_constraints(pairs: Iterable[tuple[Dim, Dim]]) -> str | None:
    """Conditions under which the sizes of every pair are equal; None where one pair has none."""
    found = [equality_constraint(left, right) for left, right in pairs if left != right]
    if not all(found):
        return None
    return ", ".join({condition: None for text in found if text for condition in text.split(", ")})


# ------------------------------------------------------------------------------------------------ implementation


def _atom_order(atom: Atom) -> tuple[bool, str, int]:
    """The sort key of an atom in a product: symbols by name, then floors."""
    if isinstance(atom, Symbol):
        return False, atom.name, atom.unit
    return True, str(atom.numerator), atom.divisor


def _monomial_order(monomial: Monomial) -> tuple[int, list[tuple[bool, str, int]]]:
    """A sort key with the largest first: by degree, then by atoms. Multiplication keeps it, as long division needs."""
    return -len(monomial), [_atom_order(atom) for atom in monomial]


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """The quotient of two products of atoms, None if there is none."""
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


def _is_simple(dim: Dim) -> bool:
    return isinstance(dim, int) or dim.atoms <= MAX_SIMPLE_ATOMS


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


def _floor(dim: Dim, divisor: int) -> Dim:
    """Divide: multiples of the divisor leave the floor, common factors cancel, and nested floors are merged."""
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
    common = gcd(divisor, *(coefficient for monomial, coefficient in inside.items() if monomial))
    rest = _canonical({monomial: coefficient // common for monomial, coefficient in inside.items()})
    return total((_canonical(outside), _floor_of_rest(rest, divisor // common)))


def _floor_of_rest(rest: Dim, divisor: int) -> Dim:
    """The floor of a quotient that cannot be simplified further, unless it is a floor of a floor."""
    if isinstance(rest, int):
        return rest // divisor
    nested = _single_floor(rest)
    if nested is not None:  # floor((floor(a/m) + c)/d) = floor((a + c m)/(d m))
        atom, constant = nested
        return _floor(atom.numerator + constant * atom.divisor, divisor * atom.divisor)
    if divisor > MAX_COEFFICIENT:
        raise DimError
    return Symbolic({(Floor(rest, divisor),): 1})


def _single_floor(dim: Symbolic) -> tuple[Floor, int] | None:
    """The floor and the constant c of `floor(a/m) + c`, if `dim` has that form."""
    found: Floor | None = None
    for monomial, coefficient in dim.terms.items():
        if not monomial:
            continue
        if found is not None or coefficient != 1 or len(monomial) != 1 or not isinstance(monomial[0], Floor):
            return None
        found = monomial[0]
    return None if found is None else (found, dim.terms.get((), 0))


def _bound(dim: Dim, *, upper: bool) -> int | None:
    """The best of several bounds: of each floor as an atom, of each floor as a quotient, and of shifted products."""
    if isinstance(dim, int):
        return dim
    if upper not in dim.bounds:
        ways = (dim.terms, _without_floors(dim, upper=upper))
        found = [_bound_of_sum(terms, upper=upper) for terms in ways]
        found += [_bound_of_shifted(terms, upper=upper) for terms in ways if _is_contrary(terms)]
        known = [floor(bound) if upper else ceil(bound) for bound in found if bound is not None]
        dim.bounds[upper] = (min(known) if upper else max(known)) if known else None
    return dim.bounds[upper]


def _is_contrary(terms: Mapping[Monomial, int | Fraction]) -> bool:
    """Whether there are products, and terms of both signs; otherwise `_bound_of_sum` is as tight as possible."""
    signs = {coefficient > 0 for monomial, coefficient in terms.items() if monomial}
    return len(signs) > 1 and max(map(len, terms)) > 1


def _bound_of_sum(terms: Mapping[Monomial, int | Fraction], *, upper: bool) -> int | Fraction | None:
    """A bound on a sum from the bounds on its atoms."""
    bound: int | Fraction = 0
    for monomial, coefficient in terms.items():
        lows = [_atom_bound(atom, upper=False) for atom in monomial]
        bounds = lows if upper != (coefficient > 0) else [_atom_bound(atom, upper=True) for atom in monomial]
        if None in bounds or (len(monomial) > 1 and any(low is None or low < 0 for low in lows)):
            return None  # the product of bounds is a bound only where no factor is negative
        bound += coefficient * prod(b for b in bounds if b is not None)
    return bound


def _bound_of_shifted(terms: Mapping[Monomial, int | Fraction], *, upper: bool) -> int | Fraction | None:
    """A bound on a sum of products in terms of each atom's distance from its own lower bound.

    For a*b - a - b + 1 with a, b >= 2, the signs hide that it grows with both; as a'*b' + a' + b' + 1 it is visible.
    """
    shifted: dict[Monomial, int | Fraction] = {}
    for monomial, coefficient in terms.items():
        if len(monomial) > MAX_FACTORS:
            return None
        pieces: dict[Monomial, int | Fraction] = {(): coefficient}
        for atom in monomial:
            low = _atom_bound(atom, upper=False)
            if low is None:
                return None
            grown: dict[Monomial, int | Fraction] = {}
            for piece, value in pieces.items():
                for part, factor in ((piece, low), ((*piece, atom), 1)):
                    grown[part] = grown.get(part, 0) + value * factor
            pieces = grown
        for piece, value in pieces.items():
            shifted[piece] = shifted.get(piece, 0) + value
    bound = shifted.pop((), 0)
    for monomial, coefficient in shifted.items():
        if upper != (coefficient > 0):
            continue  # the term is 0 where its atoms are at their lower bounds
        spans = [_span(atom) for atom in monomial] if coefficient else [0]
        if None in spans:
            return None
        bound += coefficient * prod(span for span in spans if span is not None)
    return bound


def _span(atom: Atom) -> int | None:
    """The distance between the bounds of an atom."""
    low, most = _atom_bound(atom, upper=False), _atom_bound(atom, upper=True)
    return None if low is None or most is None else most - low


def _without_floors(dim: Dim, *, upper: bool) -> dict[Monomial, int | Fraction]:
    """A sum without floors that bounds `dim`, from (a - d + 1)/d <= floor(a/d) <= a/d."""
    terms: dict[Monomial, int | Fraction] = {}

    def add(monomial: Monomial, value: int | Fraction) -> None:
        terms[monomial] = terms.get(monomial, 0) + value

    for monomial, coefficient in _terms(dim).items():
        if len(monomial) != 1 or isinstance(monomial[0], Symbol):
            add(monomial, coefficient)
            continue
        atom, above = monomial[0], upper == (coefficient > 0)
        share = Fraction(coefficient, atom.divisor)
        for inner, value in _without_floors(atom.numerator, upper=above).items():
            add(inner, share * value)
        if not above:
            add((), -share * (atom.divisor - 1))
    return {monomial: value for monomial, value in terms.items() if value}


def _atom_bound(atom: Atom, *, upper: bool) -> int | None:
    if isinstance(atom, Symbol):
        return atom.most if upper else atom.least
    inner = _bound(atom.numerator, upper=upper)
    return None if inner is None else inner // atom.divisor


def _divisors(dim: Dim) -> set[int]:
    """The divisors in `dim`, in terms of the symbols' sizes; for a floor within a floor also their product.

    At most `MAX_DIVISORS` are returned, the smallest first.
    """
    found: set[int] = set()
    for monomial in _terms(dim):
        for atom in monomial:
            if isinstance(atom, Floor):
                inner = _divisors(atom.numerator)
                found |= {atom.divisor * _denominator(atom.numerator), *inner, *(atom.divisor * n for n in inner)}
    return set(sorted(found)[:MAX_DIVISORS])


def _denominator(dim: Symbolic) -> int:
    """The number by which `dim` must be multiplied to have whole coefficients when it is written with symbol names."""
    return lcm(*(prod(atom.unit for atom in monomial if isinstance(atom, Symbol)) for monomial in dim.terms))


def _equal_under(multiples: Mapping[str, int], left: Dim, right: Dim) -> bool:
    try:
        return _with_units(left, multiples) == _with_units(right, multiples)
    except DimError:
        return False


def _with_units(dim: Dim, multiples: Mapping[str, int]) -> Dim:
    """`dim` rebuilt with some symbols known to be multiples of further numbers."""
    return with_symbols(dim, lambda symbol: replace(symbol, unit=lcm(symbol.unit, multiples.get(symbol.name, 1))))


def _format(monomial: Monomial, coefficient: int) -> str:
    """A signed term with units resolved: 16 times the atom H/32 is written H/2."""
    if not monomial:
        return f"{coefficient:+d}"
    units = prod(atom.unit for atom in monomial if isinstance(atom, Symbol))
    common = gcd(units, coefficient)
    over, under = abs(coefficient) // common, units // common
    factor, divisor = "" if over == 1 else f"{over}*", "" if under == 1 else f"/{under}"
    return f"{'-' if coefficient < 0 else '+'}{factor}{'*'.join(map(_format_atom, monomial))}{divisor}"


def _format_atom(atom: Atom) -> str:
    if isinstance(atom, Symbol):
        return atom.name
    scale = _denominator(atom.numerator)
    numerator = str(atom.numerator * scale)
    return f"floor({numerator if numerator.isalnum() else f'({numerator})'}/{atom.divisor * scale})"
