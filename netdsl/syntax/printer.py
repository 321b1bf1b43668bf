"""Printing of a syntax tree: the output of `netdsl compile --emit tree`."""

from __future__ import annotations

from dataclasses import fields

from netdsl.syntax.tree import Tree


def print_tree(tree: Tree) -> str:
    """Print a tree, one node or value on each line, its parts indented; comments and absent parts are omitted."""
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
