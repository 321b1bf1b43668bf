"""The length of nets: the lines that a net needs in `.net` files, and those of the same net in plain PyTorch.

Only lines that compute something count: no comments, docstrings and empty lines, and no promises, labels and recipes,
which a file in PyTorch does not have.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from netdsl.compiler import read_program
from netdsl.elaborate.specs import locate
from netdsl.syntax import tree
from netdsl.syntax.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.elaborate.module import Module

Declared = tree.BlockDeclaration | tree.Variant | tree.Default | tree.Let | tree.Use


def net_lines(name: str) -> list[str]:
    """Return the lines that a shipped net needs, in its file and in the files that it uses.

    These are its declaration and that of the net that it is a variant of, the declarations of all blocks and `let`s
    that they name, the `default`s of their files, and the `use` of its own file if it needs another. The other nets and
    blocks of these files do not count.
    """
    path, _ = locate(name)
    own = read_program(path)
    texts: dict[str, str] = {}
    pending = [(own, name)]
    homes = {id(own)}
    while pending:
        for declaration, home in _meant(*pending.pop()):
            place = declaration.span.place
            if place not in texts:
                texts[place] = _computing(declaration)
                homes.add(id(home))
                pending += [(home, word) for word in set(re.findall(r"\w+", texts[place]))]
    uses = [each.span.text for each in own.file.declarations if isinstance(each, tree.Use)] if len(homes) > 1 else []
    return [line for text in (*uses, *texts.values()) for line in text.splitlines() if line.strip()]


def _meant(module: Module, word: str) -> list[tuple[Declared, Module]]:
    """Return the declaration of a word and the defaults of its file, each with its module."""
    if word in module.lets:
        target = module.lets[word].target.span
        lets = [each for each in parse(target.source).declarations if isinstance(each, tree.Let)]
        return [(each, module) for each in lets if each.span.start <= target.start < each.span.end]
    definition = module.nets.get(word) or module.blocks.get(word)
    if definition is None:
        return []
    home = definition.module
    defaults = [each for each in home.file.declarations if isinstance(each, tree.Default)]
    return [(each, home) for each in (definition.declaration, *defaults)]


def _computing(declaration: Declared) -> str:
    """Return the text of a declaration without comments and without statements that compute nothing."""
    start, text = declaration.span.start, declaration.span.text
    for statement in _silent(declaration):
        first, last = statement.span.start - start, statement.span.end - start
        text = text[:first] + re.sub(r"[^\n]", " ", text[first:last]) + text[last:]
    return re.sub(r"#.*|\{\s*\}$", "", text)


def _silent(declaration: Declared) -> Iterator[tree.Statement]:
    """Return the promises, labels and recipes of a net, and the conditions around them."""
    body = declaration.body if isinstance(declaration, tree.BlockDeclaration | tree.Variant) else None
    return (statement for statement in (body.statements if body is not None else ()) if _computes_nothing(statement))


def _computes_nothing(statement: tree.Statement) -> bool:
    match statement:
        case tree.Chain(links=[tree.Element(item=tree.If(body=body, otherwise=None))]):
            return all(map(_computes_nothing, body.statements))
    return isinstance(statement, tree.Assert | tree.Expect | tree.ClassLabels | tree.Train)


def python_lines(source: str) -> list[str]:
    """Return the lines of code of a Python file."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() if ast.get_docstring(node) is not None:
                text = node.body[0]
                for number in range(text.lineno, (text.end_lineno or text.lineno) + 1):
                    lines[number - 1] = ""
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]
