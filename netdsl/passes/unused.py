"""The pass that drops what inference does not need: auxiliary heads, and nodes that no output depends on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.ir.graph import needed

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph


def drop_unused(graph: Graph) -> Graph:
    """Drop the aux outputs and the nodes that no output depends on; inputs stay."""
    return replace(graph, nodes=needed(graph), aux={})
