"""Printing of a graph, one line for each node: `%c1 = conv(%image) out=6 k=5 : 6x24x24  [weight 6x1x5x5, bias 6]`."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING

from netdsl.base.show import show
from netdsl.ir.types import format_shape

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph, Node
    from netdsl.ir.params import Param


def print_graph(graph: Graph) -> str:
    """Print the nodes in order, each with its inputs, its arguments other than defaults, its type and its parameters.

    A parameter whose name is not the node's path and role is printed with its name, and a derived one with the names of
    its sources.
    """
    lines = [f"net {graph.name}"]
    lines += map(_line, graph.nodes)
    lines += [f"where {constraint.text}" for constraint in graph.constraints]
    lines += [f"output {name} = %{node.name}" for name, node in graph.outputs.items()]
    lines += [f"aux {name} = %{node.name}" for name, node in graph.aux.items()]
    return "\n".join(lines) + "\n"


def _line(node: Node) -> str:
    inputs = ", ".join(f"%{source.name}" for source in node.inputs)
    call = f"%{node.name} = {node.layer.kind}" + (f"({inputs})" if inputs else "")
    params = ", ".join(_param(node, role, param) for role, param in node.params.items())
    return " ".join([call, *_arguments(node), ":", str(node.type)]) + (f"  [{params}]" if params else "")


def _arguments(node: Node) -> list[str]:
    """The arguments that differ from their defaults; for an input they are its type."""
    if node.layer.kind == "input":
        return []
    given = {f.name: getattr(node.layer, f.name) for f in fields(node.layer)}
    return [f"{f.name}={_text(given[f.name])}" for f in fields(node.layer) if given[f.name] != f.default]


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return value if isinstance(value, str) else show(value)


def _param(node: Node, role: str, param: Param) -> str:
    text = f"{role} {format_shape(param.spec.shape)}".lstrip()
    if param.derived is not None:
        return f"{text} from {' '.join(source.name for source in param.derived.sources)}"
    return text if param.name == f"{node.name}.{role}".removesuffix(".") else f"{text} = {param.name}"
