"""One file of a program: the blocks, nets and `let` names that it declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from netdsl.elaborate.environment import Environment

if TYPE_CHECKING:
    from netdsl.syntax import tree


@dataclass(frozen=True, slots=True, eq=False)
class BlockDefinition:
    """A block or a net with a body, its module, and the number of the module's defaults that apply there."""

    declaration: tree.BlockDeclaration
    module: Module
    defaults: int


@dataclass(frozen=True, slots=True, eq=False)
class VariantDefinition:
    """`net a = b(...)` and its module."""

    declaration: tree.Variant
    module: Module


@dataclass(frozen=True, slots=True, eq=False)
class LetDefinition:
    """A name defined by `let` outside all bodies."""

    target: tree.Name
    value: Any


NetDefinition: TypeAlias = BlockDefinition | VariantDefinition


@dataclass(slots=True, eq=False)
class Module:
    """One file: its declarations, and those that it sees through `use`."""

    file: tree.File
    defaults: list[tree.Default] = field(default_factory=list)
    blocks: dict[str, BlockDefinition] = field(default_factory=dict)
    nets: dict[str, NetDefinition] = field(default_factory=dict)
    lets: dict[str, LetDefinition] = field(default_factory=dict)
    environment: Environment = field(default_factory=lambda: Environment({}))
    """The values of `lets`, visible in all bodies of the file."""
    own_nets: list[str] = field(default_factory=list)


def needs_arguments(net: NetDefinition) -> bool:
    """Whether a net is only a pattern for variants: it has a parameter without a default."""
    return isinstance(net, BlockDefinition) and any(p.default is None for p in net.declaration.parameters)
