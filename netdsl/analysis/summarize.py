"""Computation of a net's summary: shapes, parameters, MACs, memory and receptive fields, layer by layer."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from netdsl.analysis.counts import reachable
from netdsl.analysis.figures import Figures, Row
from netdsl.analysis.receptive import views
from netdsl.analysis.summary import Summary
from netdsl.layers.written import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netdsl.analysis.receptive import View
    from netdsl.ir.graph import Graph, Node, Scope
    from netdsl.layers.base import Layer


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
    """The sum of the counts of some rows."""
    return sum((row.figures for row in rows), Figures())


def _layer_row(node: Node, aux: bool, view: View | None, counted: set[str]) -> Row:
    """The row of a layer; the names of its parameters are added to `counted`."""
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
    text = written(layer.kind, layer) if layer.kind != "input" else "input"  # another column shows its type
    return Row(node.name, text, len(_scopes(node)) - 1, False, output, figures, shared, view, aux)


def _with_blocks(members: list[tuple[Node, Row]], depth: int) -> Iterator[Row]:
    """The rows of one scope; each inner scope begins with its subtotal."""

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
    """The named scopes around a node, the root first."""
    root, *inner = node.scope.chain()
    return [root, *(scope for scope in inner if scope.name)]


def _call(scope: Scope) -> str:
    return f"{scope.block} {scope.arguments}".rstrip() if scope.block else ""
