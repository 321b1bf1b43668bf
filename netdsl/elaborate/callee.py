"""The callee of a call: its name and its parameters."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from netdsl.base.diagnostics import fail
from netdsl.layers.base import Layer, signature
from netdsl.layers.suggestions import ARGUMENTS_ELSEWHERE, suggestion

if TYPE_CHECKING:
    from netdsl.base.source import Span
    from netdsl.elaborate.module import BlockDefinition
    from netdsl.elaborate.values import Value
    from netdsl.layers.arguments import Kind
    from netdsl.syntax import tree


class Bound(NamedTuple):
    """The value of an argument, and its source location."""

    value: Value
    span: Span


class Formal(NamedTuple):
    """A parameter that a call may fill. `kind` is None for parameters of blocks, which take any value."""

    name: str
    kind: Kind | None


class Callee(NamedTuple):
    """The callee of a call: a layer, a word of a recipe, a block or a net, under the name used in the call."""

    name: str
    formals: tuple[Formal, ...]
    required: tuple[str, ...]
    net: bool = False

    @staticmethod
    def of_dataclass(name: str, cls: type) -> Callee:
        """Make the callee for a layer or a word of a recipe."""
        return Callee(name, *_formals(cls))

    @staticmethod
    @lru_cache(maxsize=256)
    def of_declaration(name: str, declaration: tree.BlockDeclaration) -> Callee:
        """Make the callee for a block or a net."""
        formals = tuple(Formal(p.name, None) for p in declaration.parameters)
        required = tuple(p.name for p in declaration.parameters if p.default is None)
        return Callee(name, formals, required, declaration.net)

    @staticmethod
    def of_target(name: str, target: BlockDefinition | type[Layer]) -> Callee:
        """Make the callee for a block or a layer."""
        if isinstance(target, type):
            return Callee.of_dataclass(name, target)
        return Callee.of_declaration(name, target.declaration)

    def usage(self) -> str:
        """The signature on one line, with optional arguments in brackets."""
        if not self.formals:
            return f"`{self.name}` takes no arguments"
        words = [f.name if f.name in self.required else f"[{f.name}]" for f in self.formals]
        call = f"{self.name}({', '.join(words)})" if self.net else " ".join([self.name, *words])
        return f"it is called as `{call}`"

    def formal(self, name: str, span: Span) -> Formal:
        """The parameter of that name; raises an error if there is none (E0301)."""
        for formal in self.formals:
            if formal.name == name:
                return formal
        known = [formal.name for formal in self.formals]
        remedy = suggestion(name, known, ARGUMENTS_ELSEWHERE) or self.usage()
        raise fail("E0301", f"`{self.name}` has no argument `{name}`", span, help=remedy)

    def what(self, formal: Formal) -> str:
        """The name of a parameter in messages."""
        return f"`{formal.name}` of `{self.name}`" if len(self.formals) > 1 else f"`{self.name}`"


@cache
def _formals(cls: type) -> tuple[tuple[Formal, ...], tuple[str, ...]]:
    fields = signature(cls)
    return tuple(Formal(f.name, f.kind) for f in fields), tuple(f.name for f in fields if f.required)
