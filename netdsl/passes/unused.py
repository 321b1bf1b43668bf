"""Dropping what inference does not need: auxiliary heads, and values that no output depends on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.ir.graph import needed

if TYPE_CHECKING:
    from netdsl.ir.graph import Graph


def drop_unused(graph: Graph) -> Graph:
    """The graph without its aux outputs and without nodes that the outputs do not depend on; inputs stay."""
    return replace(graph, nodes=needed(graph), aux={})
