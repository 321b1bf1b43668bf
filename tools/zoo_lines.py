"""How long nets are: the lines of `.net` that one needs, and those of the same net in plain PyTorch.

Lines with code count: no comments, docstrings and empty lines.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from netdsl.compiler import load, locate
from netdsl.syntax import tree
from netdsl.syntax.parser import parse

if TYPE_CHECKING:
    from netdsl.elaborate.program import Module
    from netdsl.source import Span


def net_lines(name: str) -> list[str]:
    """The lines that a shipped net needs, in its file and in those it uses.

    They are its declaration and that of the net it is a variant of, those of all blocks and `let` that they name, and
    the `use` and `default` of the files in which these stand. The files' other nets and blocks do not count.
    """
    path, _ = locate(name)
    texts: dict[str, str] = {}
    pending = [(load(path), name)]
    while pending:
        for span, home in _meant(*pending.pop()):
            if span.place not in texts:
                texts[span.place] = re.sub("#.*", "", span.text)
                pending += [(home, word) for word in set(re.findall(r"\w+", texts[span.place]))]
    return [line for text in texts.values() for line in text.splitlines() if line.strip()]


def _meant(module: Module, word: str) -> list[tuple[Span, Module]]:
    """The declaration that a word means in a file and what holds for all of its file, each with its module."""
    if word in module.lets:
        target = module.lets[word].target.span
        lets = [each.span for each in parse(target.source).declarations if isinstance(each, tree.Let)]
        return [(span, module) for span in lets if span.start <= target.start < span.end]
    definition = module.nets.get(word) or module.blocks.get(word)
    if definition is None:
        return []
    home = definition.module
    whole = [each.span for each in home.file.declarations if isinstance(each, tree.Use | tree.Default)]
    return [(span, home) for span in (definition.declaration.span, *whole)]


def python_lines(source: str) -> list[str]:
    """The lines of a Python file that are code."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() if ast.get_docstring(node) is not None:
                text = node.body[0]
                for number in range(text.lineno, (text.end_lineno or text.lineno) + 1):
                    lines[number - 1] = ""
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]
