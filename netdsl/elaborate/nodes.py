"""Creation of nodes: shapes are inferred, parameters are named, and errors of layers get a source location."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.ir.dim import DimError, lower_bound
from netdsl.ir.graph import Node
from netdsl.ir.params import Param
from netdsl.ir.types import format_shape
from netdsl.layers.base import LayerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from netdsl.base.source import Span
    from netdsl.elaborate.callee import Bound
    from netdsl.elaborate.names import Names
    from netdsl.ir.params import ParamSpec
    from netdsl.ir.types import TensorType
    from netdsl.layers.base import Layer

MAX_ELEMENTS = 10**11
IDENTITY = "the identity"
"""The name in errors of the branch of a skip that a shortcut would replace."""
MAX_BRANCHES_SHOWN = 8
"""The largest number of branches of which an error shows each; of more, it shows one of each shape."""
TOO_LARGE = "is a size too large, or a `flatten` too early?"


class MemberSpot(NamedTuple):
    """The place of a new member: its name in a scope, and the path of its parameters."""

    names: Names
    name: str
    weights: str

    @staticmethod
    def of(names: Names, name: str) -> MemberSpot:
        """The spot of a member with its own parameters."""
        return MemberSpot(names, name, names.weight_path(name))

    def open(
        self,
        style: Literal["{", "["],
        span: Span | None,
        outer: Names | None,
        *,
        block: str | None = None,
        arguments: str = "",
    ) -> Names:
        """Open the scope of the member; `outer` is as in `Names.open`."""
        return self.names.open(
            self.name, style, outer, block=block, span=span, arguments=arguments, weights=self.weights
        )


class Nodes:
    """The nodes and parameters of a graph under construction."""

    def __init__(self) -> None:
        self.made: list[Node] = []
        self.params: dict[str, Param] = {}
        self._paths: dict[str, Node] = {}
        """The layer that each path belongs to: its own path, and that of its parameters."""

    def make(
        self,
        spot: MemberSpot,
        layer: Layer,
        inputs: tuple[Node, ...],
        span: Span,
        bound: Mapping[str, Bound],
        roles: tuple[str, ...] = (),
    ) -> Node:
        """Make a node with its parameters.

        Args:
            spot: the place of the new member.
            layer: the layer.
            inputs: the nodes that it reads.
            span: its source location.
            bound: the arguments that were given, for the locations of errors.
            roles: the names of a join's inputs in errors; numbers by default.

        Raises:
            NetdslError: the layer cannot take these inputs, a size exceeds the limits, reused weights do not fit, or
                the path belongs to another layer.
        """
        try:
            node = Node(spot.names.join(spot.name), layer, inputs, spot.names.scope, span)
            elements = lower_bound(node.type.elements)
        except LayerError as error:
            raise _located(error, span, bound, inputs, roles) from None
        except DimError as error:
            raise error.at(span) from None
        if elements is not None and elements > MAX_ELEMENTS:
            raise fail(
                "E0703",
                f"the result would be {node.type}: {elements:,} elements",
                span,
                notes=_shapes(inputs),
                help=TOO_LARGE,
            )
        self._own(node.name, node)
        if spot.weights != node.name:
            self._own(spot.weights, node)
        for role, spec in node.specs.items():
            node.params[role] = self._param(spot, role, spec, node)
        self.made.append(node)
        return node

    def _own(self, path: str, node: Node) -> None:
        """Assign a path to a layer, unless it belongs to another; in a `reuse` it belongs to the same layer."""
        first = self._paths.setdefault(path, node)
        again = path != node.name
        if first is node or (again and (first.span, first.layer) == (node.span, node.layer)):
            return
        raise fail(
            "E0113",
            f"`{path}` is the path of another layer, which has its own weights",
            node.span,
            notes=(f"that is the `{first.layer.kind}` at {first.span.place}",) if first.span is not None else (),
            help="give different layers different labels" if again else "choose another label",
        )

    def _param(self, spot: MemberSpot, role: str, spec: ParamSpec, node: Node) -> Param:
        path = f"{spot.weights}.{role}" if role else spot.weights
        if spec.elements > MAX_ELEMENTS:
            what = f"the {role} of this `{node.layer.kind}`"
            raise fail(
                "E0703",
                f"{what} would have {spec.elements:,} elements",
                node.span,
                notes=_shapes(node.inputs),
                help=TOO_LARGE,
            )
        known = self.params.setdefault(path, Param(path, spec))
        if known.spec.shape != spec.shape:
            raise fail(
                "E0410",
                f"`{path}` is {format_shape(known.spec.shape)}, and here it would be {format_shape(spec.shape)}",
                node.span,
                notes=_shapes(node.inputs),
                help="reused layers need an input like that of their first use",
            )
        return known


def _located(
    error: LayerError, span: Span, bound: Mapping[str, Bound], inputs: tuple[Node, ...], roles: tuple[str, ...]
) -> NetdslError:
    """Give a layer's error a location: the argument at fault if it was given, else the whole call."""
    place = bound[error.argument].span if error.argument is not None and error.argument in bound else span
    remedy = error.help
    if error.append is not None:
        number, layers = error.append
        role = roles[number] if roles else f"branch {number + 1}"
        remedy = f"put `{layers}` at the end of {role}"
        if role.startswith(IDENTITY):
            remedy = f"replace {IDENTITY} by `shortcut {{ {layers} }}`"
    return fail(error.code, error.message, place, notes=_shapes(inputs, roles), help=remedy)


def _shapes(inputs: tuple[Node, ...], roles: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The shapes of the inputs, as notes of a diagnostic."""
    if len(inputs) == 1:
        return (f"the input here is {inputs[0].type}",)
    called = roles or [f"branch {number}" for number in range(1, len(inputs) + 1)]
    notes = [f"{role} is {node.type}, from `{node.name}`" for role, node in zip(called, inputs, strict=True)]
    if len(notes) > MAX_BRANCHES_SHOWN:
        firsts: dict[TensorType, str] = {}
        for node, note in zip(inputs, notes, strict=True):
            firsts.setdefault(node.type, note)
        notes = list(firsts.values())[:MAX_BRANCHES_SHOWN]
    return tuple(notes)
