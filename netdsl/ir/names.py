"""A check of all names in a graph before a backend writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.naming import need_name, need_path

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph


def need_names(graph: Graph) -> None:
    """Refuse a graph with an invalid name; nothing else checks the names of a graph made by hand.

    Raises:
        NetdslError: a name is too long (E0111), or is not a name (E0112).
    """
    need_name(graph.name, None)
    for name, node in (*graph.outputs.items(), *graph.aux.items()):
        need_name(name, node.span)
    for node in graph.nodes:
        need_path(node.name, node.span)
        for scope in node.scope.chain():
            if scope.block is not None:
                need_name(scope.block, scope.span)
        for param in node.params.values():
            need_path(param.name, node.span)
    for node in graph.inputs:
        need_name(node.name, node.span)
