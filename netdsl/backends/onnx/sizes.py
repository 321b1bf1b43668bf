"""Sizes that are known only when the model runs: read from its inputs, and computed once for the whole model."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from netdsl.ir.dim import Floor, Symbol, Symbolic, lower_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.ir.dim import Atom, Dim
    from netdsl.ir.graph import Node


class Sizes:
    """Creates int64 tensors of shape [1], each only once.

    Args:
        inputs: the inputs of the net; each value has its node's name.
        op: adds a node with an operator, inputs and attributes, and returns its output's name.
        constant: adds a constant int64 tensor and returns its name.
    """

    def __init__(self, inputs: tuple[Node, ...], op: Callable[..., str], constant: Callable[[list[int]], str]) -> None:
        self._inputs, self._op, self._constant = inputs, op, constant
        self._known: dict[Dim | Atom, str] = {}
        self._shapes: dict[str, str] = {}
        self._batch: str | None = None

    def batch(self) -> str:
        """Return the batch size, read from the first input."""
        if self._batch is None:
            self._batch = self._read(self._inputs[0].name, 0)
        return self._batch

    def size(self, dim: Dim) -> str:
        """Return the value of `dim`, computed from sizes of inputs."""
        if dim not in self._known:
            self._known[dim] = self._compute(dim)
        return self._known[dim]

    def _compute(self, dim: Dim) -> str:
        if isinstance(dim, int):
            return self._constant([dim])
        terms = []
        for monomial, coefficient in dim.terms.items():
            factors = [self._atom(atom) for atom in monomial]
            if coefficient != 1 or not factors:
                factors.append(self.size(coefficient))
            terms.append(reduce(lambda a, b: self._op("Mul", a, b), factors))
        return reduce(lambda a, b: self._op("Add", a, b), terms)

    def _atom(self, atom: Atom) -> str:
        if atom not in self._known:
            self._known[atom] = self._symbol(atom) if isinstance(atom, Symbol) else self._floor(atom)
        return self._known[atom]

    def _symbol(self, symbol: Symbol) -> str:
        """Compute a symbol from an input's size: the size itself, or for `32*n` the size divided by 32."""
        name, axis, factor = next(
            (node.name, axis, dim.terms[(symbol,)])
            for node in self._inputs
            for axis, dim in enumerate(node.type.shape, start=1)
            if isinstance(dim, Symbolic) and dim.terms.keys() == {(symbol,)}
        )
        return self._divide(self._read(name, axis), factor)

    def _floor(self, atom: Floor) -> str:
        """Divide and round down; ONNX rounds towards zero, so a numerator that may be negative is shifted above 0."""
        shift = -((lower_bound(atom.numerator) or 0) // atom.divisor)
        if shift <= 0:
            return self._divide(self.size(atom.numerator), atom.divisor)
        quotient = self._divide(self.size(atom.numerator + shift * atom.divisor), atom.divisor)
        return self._op("Sub", quotient, self.size(shift))

    def _divide(self, value: str, divisor: int) -> str:
        return value if divisor == 1 else self._op("Div", value, self.size(divisor))

    def _read(self, value: str, axis: int) -> str:
        if value not in self._shapes:
            self._shapes[value] = self._op("Shape", value)
        return self._op("Gather", self._shapes[value], self.size(axis))
