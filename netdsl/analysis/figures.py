"""The numbers in a summary, of a layer, of a block and of a whole net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.analysis.receptive import WHOLE

if TYPE_CHECKING:
    from netdsl.analysis.receptive import View
    from netdsl.ir.dim import Dim
    from netdsl.ir.types import TensorType


@dataclass(frozen=True)
class Figures:
    """The counts for one sample.

    Attributes:
        params: trainable weights and biases; shared ones count where they are first used.
        buffers: elements that are stored with the weights but not trained (running statistics, fixed tables).
        weight_bytes: the size of both.
        macs: multiply-accumulates of layers with weight matrices.
        activation_bytes: the size of the results of all layers, as training keeps them.
        neurons: results of layers with weight matrices; early papers call them units.
        connections: the inputs of these units, biases included.
    """

    params: int = 0
    buffers: int = 0
    weight_bytes: int = 0
    macs: Dim = 0
    activation_bytes: Dim = 0
    neurons: Dim = 0
    connections: Dim = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(mine + theirs for mine, theirs in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> tuple[Any, ...]:
        return tuple(vars(self).values())

    def as_json(self) -> dict[str, int | str]:
        """The counts by name; a symbolic one is a string."""
        return {name: as_number(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Row:
    """A layer, or a block with the subtotal of its layers.

    Attributes:
        name: the full path.
        layer: the layer or the call of the block, in the syntax of the language.
        depth: the number of named scopes around it.
        block: whether it is a subtotal.
        output: the type of its (last) result.
        figures: its counts.
        shared: whether its parameters belong to an earlier layer.
        view: its receptive field along the spatial dimensions of the input.
        aux: whether it belongs to the training graph only; such rows are not in the totals.
    """

    name: str
    layer: str
    depth: int
    block: bool
    output: TensorType
    figures: Figures
    shared: bool
    view: View | None
    aux: bool

    def as_json(self) -> dict[str, Any]:
        """A JSON object; a receptive field is a list, `all` or null."""
        return {
            "name": self.name,
            "layer": self.layer,
            "depth": self.depth,
            "block": self.block,
            "output": [as_number(dim) for dim in self.output.shape],
            "dtype": self.output.dtype.value,
            **self.figures.as_json(),
            "shared": self.shared,
            "receptive_field": "all" if self.view is WHOLE else None if self.view is None else list(self.view.field),
            "training_only": self.aux,
        }


def as_number(dim: Dim) -> int | str:
    """A size as a JSON value; a symbolic one is a string."""
    return dim if isinstance(dim, int) else str(dim)
