"""Statements other than layers: checks of a shape, learned tensors, outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.elaborate.nodes import MemberSpot
from netdsl.elaborate.place import Place, Tensor, check_label, need
from netdsl.elaborate.values import UNKNOWN, Unknown
from netdsl.ir.dim import equality_constraints
from netdsl.ir.types import format_shape
from netdsl.layers.ends import ParamLayer

if TYPE_CHECKING:
    from netdsl.base.source import Span
    from netdsl.elaborate.elaboration import Elaboration
    from netdsl.syntax import tree


def expect(elaboration: Elaboration, place: Place, statement: tree.Expect, current: Tensor) -> None:
    """Carry out `expect 512x7x7`: check the shape of the current tensor."""
    evaluator = elaboration.evaluator(place, current)
    wanted = [evaluator.size(dim) for dim in statement.shape.dims]
    sizes = tuple(size for size in wanted if not isinstance(size, Unknown))
    here = need(current, statement.span)
    if isinstance(here, Unknown) or len(sizes) < len(wanted):
        return
    if here.type.shape != sizes:
        same_rank = here.type.rank == len(sizes)
        constraint = equality_constraints(zip(here.type.shape, sizes, strict=True)) if same_rank else None
        raise fail(
            "E0407",
            f"expected the shape {format_shape(sizes)}, got {here.type}",
            statement.shape.span,
            help=f"add `where {constraint}` to the `input` if that is meant" if constraint else None,
        )


def learned_tensor(elaboration: Elaboration, place: Place, statement: tree.Parameter) -> None:
    """Carry out `param position: 1x768 = 0`: make a learned tensor."""
    evaluator = elaboration.evaluator(place, None)
    check_label(place, statement.name, statement.name_span)
    name, member = place.names.enter(statement.name, "param", statement.name_span, counted=False)
    member.output = UNKNOWN
    wanted = [evaluator.whole(dim, 1) for dim in statement.shape.dims]
    value = evaluator.number(statement.value) if statement.value is not None else None
    sizes = tuple(size for size in wanted if not isinstance(size, Unknown))
    if len(sizes) == len(wanted) and not isinstance(value, Unknown):
        spot = MemberSpot.of(place.names, name)
        member.output = elaboration.make(spot, ParamLayer(sizes, value), (), statement.span, {})


def mark_output(elaboration: Elaboration, link: tree.Output, current: Tensor) -> None:
    """Carry out `output name`: the current tensor becomes an output of the net."""
    check_output_name(elaboration, link.name, link.name_span)
    elaboration.outputs[link.name] = need(current, link.span)


def check_output_name(elaboration: Elaboration, name: str, span: Span) -> None:
    """Refuse a name that another output has (E0506)."""
    if name in elaboration.outputs or name in elaboration.aux:
        raise fail("E0506", f"two outputs are called `{name}`", span, help="choose another name")
