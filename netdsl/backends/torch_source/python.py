"""Python text: literals, names and statements, formatted as `ruff format` does."""

from __future__ import annotations

import ast
import builtins
import keyword
import math
from typing import Any

from netdsl.base.naming import is_name

WIDTH = 88
"""The longest line, ruff's default."""

TAKEN = {*keyword.kwlist, *dir(builtins), "self", "torch", "nn", "functional", "math", "operator", "super", "l"}
"""Names that a generated variable must not have."""


def literal(value: Any) -> ast.expr:
    """Return the expression for a plain value."""
    match value:
        case bool() | str() | None:
            return ast.Constant(value)
        case int():
            return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))
        case float() if not math.isfinite(value):
            return ast.Call(ast.Name("float", ast.Load()), [ast.Constant(str(value))], [])
        case float():
            sign = math.copysign(1, value)
            return ast.Constant(value) if sign > 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))
        case list():
            return ast.List([literal(item) for item in value], ast.Load())
        case tuple():
            return ast.Tuple([literal(item) for item in value], ast.Load())
    raise TypeError(f"{value!r} has no literal")


def quoted(literal: ast.Constant | ast.JoinedStr) -> str:
    """Write a string in double quotes if it contains neither kind of quote, otherwise as `ast` does."""
    written = ast.unparse(literal)
    opening, inner = written[: written.index(written[-1])], written[written.index(written[-1]) + 1 : -1]
    return written if "'" in inner or '"' in inner else f'{opening}"{inner}"'


def flat(expression: ast.expr) -> str:
    """Return an expression on one line."""
    text = ast.unparse(expression)
    return ast.unparse(_spelled(expression)) if "'" in text or "e-0" in text else text


def _spelled(node: Any) -> Any:
    """Copy a tree, with the literals that ruff and `ast` write differently spelled as in ruff."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return ast.Name(quoted(node), ast.Load())
        case ast.Constant(value=float()):
            return ast.Name(repr(node.value).replace("e-0", "e-"), ast.Load())
        case ast.AST():
            return type(node)(**{name: _spelled(value) for name, value in ast.iter_fields(node)})
        case list():
            return [_spelled(item) for item in node]
    return node


def docstring(text: str) -> str:
    """Return a text as the docstring at the top of a file."""
    return ast.unparse(ast.Module([ast.Expr(ast.Constant(text))], []))


def attribute(*names: str) -> ast.expr:
    """Return `self.blocks.conv` for names that are identifiers."""
    first, *others = names
    found: ast.expr = ast.Name(first, ast.Load())
    for name in others:
        assert is_attribute(name)  # noqa: S101 - checked by the caller
        found = ast.Attribute(found, name, ast.Load())
    return found


def laid_out(prefix: str, expression: ast.expr, indent: int, suffix: str = "", *, opened: bool = False) -> list[str]:
    """Return the lines of `prefix`, an expression and `suffix`.

    If a line is too long, brackets are split from the outside in; with `opened`, the outermost are always split.
    """
    margin = " " * indent
    line = f"{margin}{prefix}{flat(expression)}{suffix}"
    if len(line) <= WIDTH and not opened:
        return [line]
    match expression:
        case ast.Call(func=func, args=args, keywords=keywords) if args or keywords:
            opening, closing = f"{flat(func)}(", ")"
            items = [("", arg) for arg in args]
            items += [(f"{key.arg}=" if key.arg else "**", key.value) for key in keywords]
        case ast.List(elts=elts) if elts:
            opening, closing, items = "[", "]", [("", item) for item in elts]
        case ast.Tuple(elts=elts) if elts:
            opening, closing, items = "(", ")", [("", item) for item in elts]
        case ast.Dict(keys=keys, values=values) if keys:
            opening, closing = "{", "}"
            items = [(f"{flat(key)}: ", value) for key, value in zip(keys, values, strict=True) if key is not None]
        case ast.BinOp(left=left, op=op, right=ast.Call() as right):
            beginning = flat(ast.BinOp(left, op, ast.Name("_", ast.Load()))).removesuffix("_")
            return laid_out(f"{prefix}{beginning}", right, indent, suffix)
        case ast.Starred(value=value):
            return laid_out(f"{prefix}*", value, indent, suffix)
        case ast.GeneratorExp() | ast.ListComp():
            return _comprehension(prefix, expression, indent, suffix)
        case _:
            return [line]
    lines = [f"{margin}{prefix}{opening}"]
    together = ", ".join(f"{lead}{flat(item)}" for lead, item in items)
    if isinstance(expression, ast.Call) and indent + 4 + len(together) <= WIDTH and not opened:
        return [*lines, f"{margin}    {together}", f"{margin}{closing}{suffix}"]
    for lead, item in items:
        lines += laid_out(lead, item, indent + 4, ",")
    return [*lines, f"{margin}{closing}{suffix}"]


def _comprehension(prefix: str, expression: ast.GeneratorExp | ast.ListComp, indent: int, suffix: str) -> list[str]:
    brackets = "()" if isinstance(expression, ast.GeneratorExp) else "[]"
    (generator,) = expression.generators
    margin = " " * indent
    return [
        f"{margin}{prefix}{brackets[0]}",
        *laid_out("", expression.elt, indent + 4),
        *laid_out(f"for {flat(generator.target)} in ", generator.iter, indent + 4),
        f"{margin}{brackets[1]}{suffix}",
    ]


def signature(head: str, formals: list[str], result: str, indent: int) -> list[str]:
    """Return the first lines of a function."""
    margin = " " * indent
    line = f"{margin}{head}({', '.join(formals)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inner = f"{margin}    {', '.join(formals)}"
    middle = [inner] if len(inner) <= WIDTH else [f"{margin}    {formal}," for formal in formals]
    return [f"{margin}{head}(", *middle, f"{margin}) -> {result}:"]


def variable(name: str) -> str:
    """Return a Python variable for a name of the language: in lower case, and not a word with a meaning."""
    plain = name.lower()
    if plain.startswith("__"):  # Python mangles such names within a class
        return f"{plain.strip('_') or 'x'}_"
    return f"{plain}_" if plain in TAKEN else plain


def class_name(name: str) -> str:
    """Return `InceptionA` for `inception_a`; names that start with a digit or are keywords get a prefix."""
    words = [word for word in name.split("_") if word]
    joined = "".join(word[0].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() and not keyword.iskeyword(joined) else f"Block{joined}"


def is_attribute(name: str) -> bool:
    """Whether `self.name` can be written."""
    return is_name(name) and not keyword.iskeyword(name)
