"""The summary of a net: shapes, parameters, multiply-accumulates, activation memory, receptive field.

Data first: `summarize` makes a `Summary`, which knows itself as JSON; `netdsl.analysis.summary_text` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from netdsl.analysis.counts import reachable
from netdsl.analysis.receptive import WHOLE, View, views
from netdsl.layers.written import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph, Node, Scope
    from netdsl.ir.types import TensorType
    from netdsl.layers.base import Layer


@dataclass(frozen=True)
class Figures:
    """What is counted, for one sample.

    Attributes:
        params: trained weights and biases; shared ones count where they are first used.
        buffers: elements that are kept with the weights and not trained (running statistics, fixed tables).
        weight_bytes: the size of both.
        macs: multiply-accumulates of layers with weight matrices.
        activation_bytes: the size of the results of all layers, as training keeps them.
        neurons: results of layers with weight matrices, the units of the older literature.
        connections: what these units read, biases included.
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
        """The figures by name; a symbolic one is a string."""
        return {name: _json(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Row:
    """A layer, or a block with the subtotal of its layers.

    Attributes:
        name: the full path.
        layer: the layer or the block's call as the language writes it.
        depth: how many named scopes it stands in.
        block: whether it is a subtotal.
        output: the type of its (last) result.
        figures: its counts.
        shared: whether its parameters are those of an earlier layer.
        view: how far one result sees along the spatial dimensions of the input.
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
            "output": [_json(dim) for dim in self.output.shape],
            "dtype": self.output.dtype.value,
            **self.figures.as_json(),
            "shared": self.shared,
            "receptive_field": "all" if self.view is WHOLE else None if self.view is None else list(self.view.field),
            "training_only": self.aux,
        }


@dataclass(frozen=True)
class Summary:
    """The summary of a net.

    Attributes:
        net: the net's name.
        inputs: the types of the inputs by name.
        outputs: the types of the outputs by name.
        rows: blocks before their members, in the order of the file.
        totals: the counts of the graph that is compiled.
        aux: what the training graph has beside it.
        constraints: what the net says of sizes left open, as it is written.
    """

    net: str
    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType]
    rows: tuple[Row, ...]
    totals: Figures
    aux: Figures = field(default_factory=Figures)
    constraints: tuple[str, ...] = ()

    def to_depth(self, depth: int | None) -> tuple[Row, ...]:
        """The rows less than `depth` scopes deep; all for None."""
        return tuple(row for row in self.rows if depth is None or row.depth < depth)

    def as_json(self, depth: int | None = None) -> dict[str, Any]:
        """A JSON object with the rows less than `depth` scopes deep."""
        return {
            "net": self.net,
            "inputs": {name: [_json(dim) for dim in type_.shape] for name, type_ in self.inputs.items()},
            "outputs": {name: [_json(dim) for dim in type_.shape] for name, type_ in self.outputs.items()},
            "constraints": list(self.constraints),
            "layers": [row.as_json() for row in self.to_depth(depth)],
            "totals": self.totals.as_json(),
            "training_only": self.aux.as_json(),
        }

    def __repr__(self) -> str:
        from netdsl.analysis.summary_text import render  # noqa: PLC0415 - the data does not depend on its printing

        return render(self)

    def _repr_html_(self) -> str:
        from netdsl.analysis.summary_text import render_html  # noqa: PLC0415 - the data does not depend on its printing

        return render_html(self)


def summarize(graph: Graph) -> Summary:
    """Count everything in a graph, layer by layer."""
    main = set(reachable(graph))
    seen = views(graph.nodes)
    counted: set[str] = set()
    layers = [_layer_row(node, node not in main, seen[node], counted) for node in graph.nodes]
    return Summary(
        net=graph.name,
        inputs={node.name: node.type for node in graph.inputs},
        outputs={name: node.type for name, node in graph.outputs.items()},
        rows=tuple(_with_blocks(list(zip(graph.nodes, layers, strict=True)), 1)),
        totals=total(row for row in layers if not row.aux),
        aux=total(row for row in layers if row.aux),
        constraints=tuple(constraint.text for constraint in graph.constraints),
    )


def total(rows: Iterable[Row]) -> Figures:
    """The sum of the rows' figures."""
    return sum((row.figures for row in rows), Figures())


def _layer_row(node: Node, aux: bool, view: View | None, counted: set[str]) -> Row:
    """A layer's row; the names of its parameters are added to `counted`."""
    fresh = [param.spec for param in node.params.values() if param.name not in counted]
    counted.update(param.name for param in node.params.values())
    layer: Layer = node.layer
    output, inputs = node.type, node.input_types
    macs = layer.macs(output, *inputs)
    figures = Figures(
        params=sum(spec.elements for spec in fresh if spec.trainable),
        buffers=sum(spec.elements for spec in fresh if not spec.trainable),
        weight_bytes=sum(spec.elements * spec.dtype.bytes for spec in fresh),
        macs=macs,
        activation_bytes=0 if layer.kind == "input" else output.elements * output.dtype.bytes,
        neurons=0 if macs == 0 else output.elements,
        connections=layer.connections(output, *inputs),
    )
    shared = bool(node.params) and not fresh
    text = written(layer.kind, layer) if layer.kind != "input" else "input"  # its type stands in a column of its own
    return Row(node.name, text, len(_scopes(node)) - 1, False, output, figures, shared, view, aux)


def _with_blocks(members: list[tuple[Node, Row]], depth: int) -> Iterator[Row]:
    """The rows of one scope; those of an inner scope are led by its subtotal."""

    def key(member: tuple[Node, Row]) -> Scope | Node:
        scopes = _scopes(member[0])
        return scopes[depth] if depth < len(scopes) else member[0]

    for inner, group in groupby(members, key):
        inside = list(group)
        last = inside[-1][1]
        if inside[0][0] is inner:
            yield last
            continue
        scope: Scope = inner  # type: ignore[assignment] # a key is a scope or the node itself
        rows = [row for _, row in inside]
        figures, shared = total(rows), all(row.shared for row in rows if row.shared or row.figures.params)
        shared = shared and any(row.shared for row in rows)
        yield Row(scope.path, _call(scope), depth - 1, True, last.output, figures, shared, last.view, last.aux)
        yield from _with_blocks(inside, depth + 1)


def _scopes(node: Node) -> list[Scope]:
    """The named scopes of a node, the root first."""
    root, *inner = node.scope.chain()
    return [root, *(scope for scope in inner if scope.name)]


def _call(scope: Scope) -> str:
    return f"{scope.block} {scope.arguments}".rstrip() if scope.block else ""


def _json(dim: Dim) -> int | str:
    return dim if isinstance(dim, int) else str(dim)
