"""Warnings about legal but suspicious code. Each has its own code, by which it can be disabled."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import Diagnostic
from netdsl.base.show import show
from netdsl.layers.base import LayerError
from netdsl.layers.linear import Dense
from netdsl.layers.norm import BatchNorm
from netdsl.layers.shape import Reshape, Transpose
from netdsl.layers.windows import SIDES, Windowed
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netdsl.ir.graph import Graph, Node
    from netdsl.ir.types import TensorType

MAX_LAYERS_LOOKED_BACK = 8
"""The largest number of layers searched backwards from a layer; without a limit, long nets would take too long."""


def lint(graph: Graph, file: tree.File) -> tuple[Diagnostic, ...]:
    """The warnings of a net, one for each place in the text; those of `file` cover all its declarations."""
    found: dict[tuple[str, int, int], Diagnostic] = {}
    for diagnostic in (*_of_graph(graph), *_unused(file)):
        span = diagnostic.span
        key = (diagnostic.code, id(span.source), span.start) if span else (diagnostic.code, 0, len(found))
        found.setdefault(key, diagnostic)
    return tuple(found.values())


def _of_graph(graph: Graph) -> Iterator[Diagnostic]:
    users: dict[Node, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for source in node.inputs:
            users[source].append(node)
    ends = {*graph.outputs.values(), *graph.aux.values()}
    for node in graph.nodes:
        if not users[node] and node not in ends:
            yield _lost(node)
        yield from _unseen(node)
        yield from _of_node(node, users[node], ends)


def _of_node(node: Node, users: list[Node], ends: set[Node]) -> Iterator[Diagnostic]:
    layer = node.layer
    source = node.inputs[0] if node.inputs else None
    if layer.activation and source is not None and source.layer.activation:
        yield _warning(
            "W0102",
            f"`{layer.kind}` follows `{source.layer.kind}`, with no layer between them",
            node,
            "drop one of the two",
        )
    normed = users and all(isinstance(user.layer, BatchNorm) for user in users)
    if layer.weight_axis is not None and "bias" in node.params and normed:
        yield _warning(
            "W0103",
            f"the batch norm after this `{layer.kind}` subtracts its bias, which has no effect",
            node,
            f"add `bias=no`, or `default {layer.kind} bias=no` for the whole file",
        )
    if layer.training_only and node in ends:
        yield _warning(
            "W0104",
            f"`{layer.kind}` after the last layer makes the outputs themselves random in training",
            node,
            "move it before the last layer",
        )
    if isinstance(layer, Dense) and source is not None and source.type.rank == 3 and _is_image(source):
        yield _warning(
            "W0105",
            f"`dense` acts only on the last axis of {source.type}, on each row separately",
            node,
            "put `flatten` before it to see the whole image",
        )


def _lost(node: Node) -> Diagnostic:
    kind, name = node.layer.kind, node.name
    if kind == "input":
        return _warning("W0107", f"nothing reads the input `{name}`", node, f"begin a chain with `@{name}`, or drop it")
    if kind == "param":
        return _warning("W0107", f"nothing reads the tensor `{name}`", node, f"read it as `@{name}`, or drop it")
    remedy = "drop it, mark it by `-> output name`, or label it and read it by `@label`"
    return _warning("W0107", f"nothing reads what this `{kind}` computes, and it is no output", node, remedy)


def _is_image(node: Node) -> bool:
    """Whether three dimensions are channels, height and width: no nearby layer gives them another meaning."""
    for _ in range(MAX_LAYERS_LOOKED_BACK):
        if isinstance(node.layer, Transpose | Reshape | Dense):
            return False
        if len(node.inputs) != 1:
            break
        (node,) = node.inputs
    return True


def _unseen(node: Node) -> Iterator[Diagnostic]:
    if not isinstance(node.layer, Windowed):
        return
    (x,) = node.input_types
    counts = node.layer.unseen(x)
    missed = [(count, side) for count, side in zip(counts, SIDES[len(counts)], strict=True) if count]
    if missed:
        parts = [f"the last {count} {side}" if count > 1 else f"the last {side[:-1]}" for count, side in missed]
        yield _warning("W0101", f"no window sees {' and '.join(parts)} of {x}", node, _seeing(node.layer, x))


def _seeing(layer: Windowed, x: TensorType) -> str:
    """The arguments with which the layer would read all of its input."""
    known = layer.arguments()
    for name, value in [("ceil", True), *(("p", padding) for padding in range(1, 8))]:
        if name not in known:
            continue
        other = type(layer)(**{**known, name: value})
        try:
            other.infer(x)
        except LayerError:
            continue
        if not any(other.unseen(x)):
            return f"use `{name}={show(value)}`"
    return "pad, or change the stride"


def _warning(code: str, message: str, node: Node, remedy: str) -> Diagnostic:
    return Diagnostic(code, message, node.span, help=remedy, stack=node.scope.stack())


@lru_cache(maxsize=1)
def _unused(file: tree.File) -> tuple[Diagnostic, ...]:
    """Parameters and `let` names that nothing in their body reads; all nets of a file share the result."""
    return tuple(
        diagnostic
        for declaration in file.declarations
        if isinstance(declaration, tree.BlockDeclaration)
        for diagnostic in _unused_in(declaration)
    )


def _unused_in(declaration: tree.BlockDeclaration) -> Iterator[Diagnostic]:
    items = list(_walk(declaration))
    names = set(_names(items))
    for parameter in declaration.parameters:
        if parameter.name not in names:
            yield Diagnostic(
                "W0106",
                f"the parameter `{parameter.name}` is never used",
                parameter.span,
                help="use it, or drop it and the arguments given for it",
            )
    targets = (target for item in items if isinstance(item, tree.Let) for target in item.targets)
    for target in sorted(targets, key=lambda name: name.span.start):
        if target.id not in names and target.id != "_":
            yield Diagnostic("W0106", f"`{target.id}` is never used", target.span, help="drop it, or call it `_`")


def _names(items: Sequence[tree.Tree]) -> Iterator[str]:
    """Every name that is read, as a value, as a layer or as a tensor; targets of `let` and `for` do not count."""
    targets = {id(target) for item in items if isinstance(item, tree.Let | tree.For) for target in item.targets}
    for item in items:
        if isinstance(item, tree.Name) and id(item) not in targets:
            yield item.id
        elif isinstance(item, tree.Call):
            yield item.name
        elif isinstance(item, tree.Reference):
            yield item.parts[0].name


def _walk(item: tree.Tree) -> Iterator[tree.Tree]:
    """All nodes of a tree."""
    stack: list[Any] = [item]
    while stack:
        here = stack.pop()
        if isinstance(here, tuple):
            stack.extend(here)
        elif isinstance(here, tree.Tree):
            yield here
            names: Any = here.__match_args__  # the fields of its class; the first is the span
            stack.extend(getattr(here, name) for name in names[1:])
