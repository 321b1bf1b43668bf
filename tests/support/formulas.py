"""Expressions over sizes that are open, drawn at random."""

from hypothesis import strategies as st

from netdsl.ir.dim import Dim, symbol

UNITS = {"H": 1, "W": 1, "T": 4}
MINIMA = {"H": 1, "W": 3, "T": 1}
MAXIMA = {"H": None, "W": 40, "T": 130}


def declared(name: str, multiple: int = 1) -> Dim:
    return symbol(name, max(UNITS[name], multiple), MINIMA[name], MAXIMA[name])


def applied(operator: str, left: Dim, right: Dim) -> Dim:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//":
            assert isinstance(right, int)
            return left // right
        case _:
            assert isinstance(right, int)
            return left % right


class Formula:
    """An expression that can be computed with symbols or with numbers, from scratch each time."""

    def __init__(self, operator: str, *operands: "Formula | str | int") -> None:
        self.operator, self.operands = operator, operands

    def __call__(self, values: dict[str, Dim]) -> Dim:
        """The value where the names have these values."""
        parts = [part(values) if isinstance(part, Formula) else values.get(part, part) for part in self.operands]
        return parts[0] if self.operator == "leaf" else applied(self.operator, *parts)

    def __repr__(self) -> str:
        return f"({self.operator.join(map(str, self.operands))})" if self.operator != "leaf" else str(self.operands[0])


LEAVES = st.one_of(st.sampled_from(sorted(UNITS)), st.integers(-6, 9)).map(lambda leaf: Formula("leaf", leaf))
DIVISORS = st.integers(1, 8)
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Formula, st.sampled_from(["+", "-", "*"]), inner, inner),
        st.builds(Formula, st.sampled_from(["//", "%"]), inner, DIVISORS),
    ),
    max_leaves=7,
)
SIZES = st.fixed_dictionaries(
    {
        name: st.integers(-(-MINIMA[name] // unit), (MAXIMA[name] or 40) // unit).map(lambda n, unit=unit: n * unit)
        for name, unit in UNITS.items()
    }
)
UNKNOWN = {name: declared(name) for name in UNITS}
