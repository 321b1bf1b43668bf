"""Names: the path of every layer, and the labels that are visible at a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from netdsl.base.diagnostics import fail
from netdsl.ir.graph import Node, Scope
from netdsl.layers.suggestions import listed, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.base.source import Span
    from netdsl.elaborate.values import Unknown


@dataclass(slots=True, eq=False)
class Member:
    """A named element of a scope.

    Attributes:
        span: where it is named.
        output: its result, once it is computed.
        inside: the scope that it opens.
        again: applies it again with the same weights, as another member, in a scope under a name, to a tensor.
        params: the path of its parameters.
    """

    span: Span | None
    output: Node | Unknown | None = None
    inside: Names | None = None
    again: Callable[[Member, Names, str, Node | Unknown], Node | Unknown] | None = None


@dataclass(slots=True, eq=False)
class Names:
    """An open scope, with the names of its members.

    A `{}` scope names an unlabelled member by its kind and a number, a `[]` scope by its position.

    Attributes:
        scope: the scope in the graph.
        path: the dotted path of the scope, empty for the net itself.
        weights: the path of its parameters; in a `reuse` it differs from `path`.
        style: the bracket of the body that opens it.
        outer: the scope whose labels are visible here; None for a block, which sees only its arguments.
    """

    scope: Scope
    path: str
    weights: str
    style: Literal["{", "["]
    outer: Names | None
    members: dict[str, Member] = field(default_factory=dict)
    ordinals: dict[str, int] = field(default_factory=dict)
    position: int = 0

    @property
    def reused(self) -> bool:
        """Whether the weights belong to an earlier application."""
        return self.weights != self.path

    def join(self, name: str) -> str:
        """The path of a member."""
        return f"{self.path}.{name}" if self.path else name

    def weight_path(self, name: str) -> str:
        """The path of a member's parameters."""
        return f"{self.weights}.{name}" if self.weights else name

    def enter(self, label: str | None, kind: str, span: Span | None, *, counted: bool) -> tuple[str, Member]:
        """Name a new member.

        Args:
            label: the label, or None for an automatic name.
            kind: the layer's or block's name.
            span: where the member is written.
            counted: whether it takes a number in a `[]` scope (layers, blocks and labelled elements do).
        """
        position = self.position
        self.position += counted
        if label is not None:
            name = label
            if name in self.members:
                raise _taken(name, self.members[name], span)
        elif self.style == "[" and counted:
            name = str(position)
        else:
            name = self._ordinal(kind)
        member = self.members[name] = Member(span)
        return name, member

    def _ordinal(self, kind: str) -> str:
        while True:
            count = self.ordinals[kind] = self.ordinals.get(kind, 0) + 1
            if (name := f"{kind}{count}") not in self.members:
                return name

    def open(
        self,
        name: str,
        style: Literal["{", "["],
        outer: Names | None,
        *,
        block: str | None = None,
        span: Span | None = None,
        arguments: str = "",
        weights: str | None = None,
    ) -> Names:
        """Open the scope of a member; it sees the labels of `outer`: the scope around it, or None for a block."""
        scope = Scope(name, self.scope, block, span, arguments)
        path = self.join(name)
        return Names(
            scope,
            path,
            self.weight_path(name) if weights is None else weights,
            style,
            outer,
        )

    def find(self, steps: list[str], span: Span) -> Member:
        """The member with a dotted path, searched from the inner scope outwards.

        Raises:
            NetdslError: there is no such member (E0203).
        """
        here: Names | None = self
        while here is not None and steps[0] not in here.members:
            here = here.outer
        if here is None:
            raise fail(
                "E0203",
                f"nothing before this place is labelled `{steps[0]}`",
                span,
                help=suggestion(steps[0], self.labels()) or self._advice(steps[0]),
            )
        member = here.members[steps[0]]
        for depth, step in enumerate(steps[1:], start=1):
            inner = member.inside.members if member.inside is not None else {}
            if step not in inner:
                path = ".".join(steps[:depth])
                raise fail(
                    "E0203",
                    f"there is no `{step}` in `{path}`",
                    span,
                    help=suggestion(step, inner) or (f"it has {listed(inner)}" if inner else f"write `@{path}`"),
                )
            member = inner[step]
        return member

    def labels(self) -> set[str]:
        """The visible names whose tensors are computed."""
        own = {name for name, member in self.members.items() if member.output is not None}
        return own | (self.outer.labels() if self.outer else set())

    def _advice(self, label: str) -> str:
        if self.scope.stack():
            return "a block does not see the labels of its caller: give it a parameter, and call it with `@label`"
        return f"label a layer above: `{label}: conv 8 k3`"


def _taken(name: str, other: Member, span: Span | None) -> Exception:
    if other.span == span:
        return fail(
            "E0204",
            f"each turn of the loop would label something `{name}`",
            span,
            help=f"label the loop, or compute the label from what it counts, as in `{name}{{i}}:`",
        )
    return fail(
        "E0204",
        f"`{name}` is already the name of something in this scope",
        span,
        notes=(f"the first stands at {other.span.place}",) if other.span else (),
        help="choose another label",
    )
