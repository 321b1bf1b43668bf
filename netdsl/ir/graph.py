"""The graph: nodes in the order of the source, each of which computes one typed tensor.

A node stands for its result: every layer has exactly one, so the inputs of a node are nodes, and the type of a node
is the type of its result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netdsl.ir.meaning import Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.base.source import Span
    from netdsl.ir.constraint import Constraint
    from netdsl.ir.params import Param, ParamSpec
    from netdsl.ir.types import TensorType
    from netdsl.layers.base import Layer


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A named place in the net: a labelled group, a block call, or one turn of a labelled repeat; the root is the net.

    Attributes:
        name: the last step of the path; empty for the root.
        block: the name of the called block; None for a group.
        span: the source location of the call.
        arguments: the arguments of the call as text, for reports.
    """

    name: str
    parent: Scope | None = None
    block: str | None = None
    span: Span | None = None
    arguments: str = ""

    @property
    def path(self) -> str:
        """The dotted path from the root."""
        return ".".join(scope.name for scope in self.chain() if scope.name)

    def chain(self) -> list[Scope]:
        """All scopes from the root to this one."""
        scopes = [self]
        while (parent := scopes[-1].parent) is not None:
            scopes.append(parent)
        return scopes[::-1]

    def stack(self) -> tuple[tuple[str, Span], ...]:
        """The block calls that lead here, innermost first, as diagnostics show them."""
        return tuple((s.block, s.span) for s in reversed(self.chain()) if s.block is not None and s.span is not None)


@dataclass(slots=True, eq=False)
class Node:
    """One application of a layer; it computes one tensor, whose type is inferred when the node is made.

    Attributes:
        name: the full path, unique in the graph.
        params: the parameters by role. A second application with the same weights holds the same objects.
        type: the type of the result.
        specs: the shape and initial values of each parameter, by role, as the layer specifies them.
    """

    name: str
    layer: Layer
    inputs: tuple[Node, ...]
    scope: Scope
    span: Span | None = None
    params: dict[str, Param] = field(default_factory=dict)
    type: TensorType = field(init=False)
    specs: Mapping[str, ParamSpec] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.type, self.specs = self.layer.inferred(*self.input_types)

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        """The types of the inputs."""
        return tuple([node.type for node in self.inputs])

    def __repr__(self) -> str:
        return f"<{self.name}: {self.layer.kind} -> {self.type}>"


@dataclass(frozen=True, eq=False)
class Graph:
    """A net: typed nodes in topological order.

    Attributes:
        name: the net's name.
        nodes: all nodes, inputs included; each stands after its inputs.
        outputs: the outputs by name.
        aux: the auxiliary outputs, which only the training graph has, by name.
        labels: the names of the classes.
        recipe: the checked `train` block.
        constraints: the conditions on symbolic sizes under which the net runs.
        meaning: the meaning of the inputs and outputs, as far as it is decided; without the labels, which stand above.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Node]
    aux: Mapping[str, Node] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    recipe: Any = None
    constraints: tuple[Constraint, ...] = ()
    meaning: Meaning = field(default_factory=Meaning)

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The input nodes."""
        return tuple(node for node in self.nodes if node.layer.kind == "input")

    @property
    def params(self) -> dict[str, Param]:
        """Each parameter once, by name, in order of first use."""
        return {param.name: param for node in self.nodes for param in node.params.values()}


def needed(graph: Graph, *, training: bool = False) -> tuple[Node, ...]:
    """The inputs and all nodes that the outputs depend on, in order; with `training`, also for the aux outputs."""
    live = {*graph.inputs, *graph.outputs.values(), *(graph.aux.values() if training else ())}
    for node in reversed(graph.nodes):
        if node in live:
            live.update(node.inputs)
    return tuple(node for node in graph.nodes if node in live)
