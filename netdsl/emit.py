"""The stages of a compilation as text: what `netdsl compile --emit` prints."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Literal, TypeAlias

from netdsl.compiler import check, compile_graph, load, locate
from netdsl.ir.printer import print_graph
from netdsl.syntax.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage: TypeAlias = Literal["tree", "graph", "optimized", "onnx"]


def emit(
    spec: str,
    stage: Stage,
    arguments: Mapping[str, object] | None = None,
    *,
    level: int = 1,
    training: bool = False,
    opset: int | None = None,
    batch: int | None = None,
) -> str:
    """A net after one stage of its compilation.

    Args:
        spec: as for `netdsl.check`.
        stage: `tree` is what was read, `graph` the typed layers, `optimized` what passes make of them, and `onnx` the
            model, without its weights, as onnx prints it.
        arguments: values for the net's parameters.
        level: as for `compile_graph`.
        training: likewise.
        opset: likewise.
        batch: likewise.

    Raises:
        NetdslError: all errors found.
    """
    if stage == "tree":
        return print_tree(load(locate(spec)[0]).file)
    graph = check(spec, arguments).graph
    if stage == "graph":
        return print_graph(graph)
    if stage == "optimized":
        from netdsl.passes import optimize  # noqa: PLC0415 - the earlier stages go without

        return print_graph(graph if training else optimize(graph, level))
    from onnx import printer  # noqa: PLC0415 - likewise

    return str(printer.to_text(compile_graph(graph, level=level, training=training, opset=opset, batch=batch).proto))


def print_tree(tree: Tree) -> str:
    """A tree, one node or value on each line, what belongs to it indented; comments and what is not there left out."""
    return "\n".join(_lines(tree, "", ""))


def _lines(value: object, name: str, indent: str) -> list[str]:
    lead = f"{indent}{name}: " if name else indent
    if isinstance(value, Tree):
        lines = [f"{lead}{type(value).__name__}"]
        for field in fields(value):
            if field.name not in ("span", "source", "comments") and not field.name.endswith("_span"):
                lines += _lines(getattr(value, field.name), field.name, indent + "  ")
        return lines
    if isinstance(value, tuple):
        return [line for item in value for line in _lines(item, name, indent)]
    return [] if value is None else [f"{lead}{value!r}"]
