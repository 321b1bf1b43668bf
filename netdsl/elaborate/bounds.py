"""The bounds on symbolic sizes under which a whole net works."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from netdsl.base.diagnostics import fail
from netdsl.ir.bounds import demanded, order_bound
from netdsl.ir.dim import Symbolic, evaluate, symbol_atoms
from netdsl.ir.graph import needed
from netdsl.layers.base import all_needs

if TYPE_CHECKING:
    from netdsl.base.diagnostics import NetdslError
    from netdsl.elaborate.errors import Errors
    from netdsl.ir.bounds import Need
    from netdsl.ir.constraint import Constraint
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph, Node

    _Owners: TypeAlias = dict[tuple[Dim, int], tuple[Need, Node]]
    """The first layer with a need, by the size and its least value."""


def check_bounds(graph: Graph, errors: Errors) -> None:
    """Report bounds on symbolic sizes under which all layers work, if the net does not state them: in one error.

    Every layer that is run counts, including those of aux outputs. The error points to the first layer that does not
    work at the largest size that is too small.
    """
    if not any(isinstance(dim, Symbolic) for node in graph.inputs for dim in node.type.shape):
        return
    owners: _Owners = {}
    for node in needed(graph, training=True):
        for need in all_needs(node.layer, node.type, *node.input_types):
            if not need.met:
                owners.setdefault((need.size, need.least), (need, node))
    if not owners:
        return
    open_needs = [need for need, _ in owners.values()]
    bounds, unmet = demanded(reversed(open_needs))  # the last layers need most, and decide for the others
    asking = [(bound, *_first(bound, need, owners)) for bound, need in bounds.values()]
    asking.sort(key=lambda item: (item[0].size, item[0].relation == "<="))
    if unmet is not None:
        _, node = owners[unmet.size, unmet.least]
        errors.report(_cannot(unmet, node, asking), node.scope)
    elif asking:
        node = max(asking, key=lambda item: item[0].number)[2]
        errors.report(_only_where(asking, node), node.scope)


def _only_where(asking: list[tuple[Constraint, Need, Node]], place: Node) -> NetdslError:
    """The error of a net that does not state the bounds within which it works."""
    texts = [bound.text for bound, _, _ in asking]
    return fail(
        "E0416",
        f"the net works only where {' and '.join(texts)}",
        place.span,
        notes=tuple(_because(*item) for item in asking),
        help=f"add `where {', '.join(texts)}` to the `input`",
    )


def _first(bound: Constraint, need: Need, owners: _Owners) -> tuple[Need, Node]:
    """The need of the first layer that does not work at the first size beyond a bound."""
    past, good = _past(bound, need), {bound.size: bound.number}
    for other, node in owners.values():
        alone = past and {symbol.name for symbol in symbol_atoms(other.size)} == past.keys()
        if alone and evaluate(other.size, past) < other.least <= evaluate(other.size, good):
            return other, node
    return owners[need.size, need.least]


def _past(bound: Constraint, need: Need) -> dict[str, int]:
    """The first size beyond a bound, by its name; empty where a need depends on several sizes."""
    (*others, symbol) = symbol_atoms(need.size)
    step = -symbol.unit if bound.relation == ">=" else symbol.unit
    return {} if others else {bound.size: bound.number + step}


def _because(bound: Constraint, need: Need, node: Node) -> str:
    """The explanation of what fails at the first size beyond a bound."""
    wrong = f"{need.what} is {need.size}"
    if past := _past(bound, need):
        wrong = f"at {bound.size} = {past[bound.size]}, {need.what} would be {evaluate(need.size, past)}"
    return f"`{node.name}` needs {bound.text}: {wrong}, and must be at least {need.least}"


def _cannot(need: Need, node: Node, asking: list[tuple[Constraint, Need, Node]]) -> NetdslError:
    """The error of a need that no bounds meet, or none together with those of other layers."""
    notes = [_because(*item) for item in asking]
    bound = order_bound(need.size, need.least)
    if bound is None:
        message = f"no bound says for which sizes `{node.name}` works"
        notes = [f"{need.what} is {need.size}, and must be at least {need.least}", *notes]
    else:
        message = f"no size suits `{node.name}` and the other layers"
        notes = [_because(bound, need, node), *notes]
    return fail("E0416", message, node.span, notes=tuple(notes), help="fix the sizes in the `input`")
