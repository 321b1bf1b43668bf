"""Joins: the branches of a `concat`, an `add` or a `skip`, and the layer that combines them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.elaborate.binding import make_layer, match
from netdsl.elaborate.callee import Callee
from netdsl.elaborate.calls import target_of
from netdsl.elaborate.control import chosen, turns
from netdsl.elaborate.nodes import IDENTITY, MemberSpot
from netdsl.elaborate.place import Place, Tensor, need
from netdsl.elaborate.values import UNKNOWN, Unknown
from netdsl.ir.graph import Node
from netdsl.layers.merge import Add
from netdsl.syntax import tree
from netdsl.syntax.mistakes.control import ELSE_IF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.elaborate.elaboration import Elaboration
    from netdsl.elaborate.names import Names
    from netdsl.layers.base import Layer


def join_layer(place: Place, item: tree.Join | tree.Skip) -> type[Layer] | Unknown:
    """The layer that combines the branches.

    Raises:
        NetdslError: a call with a body names no layer (E0201), or a layer or block that takes no body (E0507).
    """
    if isinstance(item, tree.Skip):
        return Add
    remedy = f"to label a group, write `{item.name}: {{`"
    if item.name in ELSE_IF:
        remedy = "write `else if`, after the `}` of the `if`"
    target = target_of(place, item.name, item.name_span, remedy)
    if isinstance(target, Unknown) or (isinstance(target, type) and target.joins()):
        return target
    what = "layer" if isinstance(target, type) else "block"
    raise fail(
        "E0507",
        f"the {what} `{item.name}` takes no body",
        replace(item.body.span, end=item.body.span.start + 1),
        help=f"write `->` before the group, or `{item.name}: {{` to label it",
    )


def without_body(place: Place, call: tree.Call) -> NetdslError:
    """The error of a join that is called like a layer: `concat(e1)` and `add [a, b]`, which are `add { @a ; @b }`."""
    remedy = f"write `{call.name} {{ ... }}`, a branch on each line, and the `{{` on the line of the name"
    values = [argument.value for argument in call.arguments if argument.key is None]
    named = values[0].items if len(values) == 1 and isinstance(values[0], tree.List) else values
    words = [value.id for value in named if isinstance(value, tree.Name)]
    words += [value.span.text.removeprefix("@") for value in named if isinstance(value, tree.Reference)]
    if words and len(words) == len(named) and {*words} <= {*place.names.labels(), "identity"}:
        both = words if len(words) > 1 else ["identity", *words]
        inner = " ; ".join(word if word == "identity" else f"@{word}" for word in both)
        remedy = f"write `{call.name} {{ {inner} }}`"
    return fail("E0505", f"`{call.name}` joins branches, and has no body", call.span, help=remedy)


def branches(
    elaboration: Elaboration, place: Place, names: Names, item: tree.Join | tree.Skip, current: Tensor
) -> list[Tensor]:
    """Carry out the branches, each of which starts from the current tensor."""
    if isinstance(item, tree.Join):
        results = list(_collect(elaboration, elaboration.deeper(place.inner(names), item.span), item.body, current))
        if not results:
            raise fail(
                "E0505",
                f"`{item.name}` has no branches",
                item.span,
                help="each line of its body is a branch: a chain, `identity` or `@label`",
            )
        return results
    result = elaboration.inside(place, names, item.body, current, item.span)
    if result is current and isinstance(current, Node):
        raise fail(
            "E0504",
            "the body of this `skip` has no layers, and would add the tensor to itself",
            item.body.span,
            help="write its layers, or drop it; `skip if n > 0 { ... }` drops the addition alone",
        )
    wanted = True if item.condition is None else elaboration.evaluator(place, current).truth(item.condition)
    if isinstance(wanted, Unknown):
        return [UNKNOWN]
    return [result, _shortcut(elaboration, place, names, item.shortcut, current)] if wanted else [result]


def _shortcut(
    elaboration: Elaboration, place: Place, names: Names, shortcut: tree.Shortcut | None, current: Tensor
) -> Tensor:
    if shortcut is None:
        return current
    wanted = True if shortcut.condition is None else elaboration.evaluator(place, current).truth(shortcut.condition)
    if isinstance(wanted, Unknown):
        return UNKNOWN
    return elaboration.inside(place, names, shortcut.body, current, shortcut.span) if wanted else current


def _collect(elaboration: Elaboration, place: Place, body: tree.Body, current: Tensor) -> Iterator[Tensor]:
    """Yield one tensor for each chain of the body; a loop or condition on its own line yields its chains."""
    for statement in body.statements:
        elaboration.errors.spend(place.names.scope, 1, statement.span)
        if not isinstance(statement, tree.Chain):
            if isinstance(statement, tree.Let | tree.Default):
                place = place.onwards()
                elaboration.errors.spend(place.names.scope, len(place.environment.values) // 4, statement.span)
            elaboration.guarded(place, statement, current)
            continue
        first, *others = statement.links
        try:
            if isinstance(first, tree.Output):
                text = first.span.text
                raise fail(
                    "E0507",
                    f"`{text}` is not a branch",
                    first.span,
                    help=f"put it after the element it belongs to: `identity -> {text}`",
                )
            spread = first.item if not others and first.label is None else None
            if isinstance(spread, tree.Repeat | tree.For | tree.If):
                yield from _spread(elaboration, place, spread, current)
            else:
                yield elaboration.chain(place, statement, current)
        except NetdslError as error:
            elaboration.errors.report(error, place.names.scope)
            yield UNKNOWN


def _spread(
    elaboration: Elaboration, place: Place, item: tree.Repeat | tree.For | tree.If, current: Tensor
) -> Iterator[Tensor]:
    """Yield the branches of a loop or a condition."""
    evaluator = elaboration.evaluator(place, current)
    if not isinstance(item, tree.If):
        for values in turns(item, evaluator):
            yield from _collect(
                elaboration, elaboration.deeper(place.inner(place.names, values), item.span), item.body, current
            )
        return
    body = chosen(item, evaluator)
    if isinstance(body, tree.Body):
        yield from _collect(elaboration, elaboration.deeper(place.inner(place.names), item.span), body, current)
    elif body is not None:
        yield body


def join(
    elaboration: Elaboration,
    place: Place,
    item: tree.Join | tree.Skip,
    layer_type: type[Layer],
    inputs: list[Tensor],
    spot: MemberSpot,
    current: Tensor,
) -> Node | Unknown:
    """Make the node that combines the results of branches."""
    if isinstance(item, tree.Skip) and len(inputs) == 1:
        return need(inputs[0], item.span)  # the condition of the skip is false
    name, arguments = (item.name, item.arguments) if isinstance(item, tree.Join) else (layer_type.kind, ())
    given = match(Callee.of_dataclass(name, layer_type), arguments, elaboration.evaluator(place, current))
    bound = {**place.defaults.get(layer_type, {}), **given}
    layer = make_layer(layer_type, bound, item.span)
    nodes = [need(tensor, item.span) for tensor in inputs]
    known = tuple(node for node in nodes if isinstance(node, Node))
    if isinstance(layer, Unknown) or len(known) < len(nodes):
        return UNKNOWN
    word = item.name_span if isinstance(item, tree.Join) else replace(item.span, end=item.span.start + len("skip"))
    roles = _roles(item.shortcut, taken=inputs[1] is not current) if isinstance(item, tree.Skip) else ()
    return elaboration.make(spot, layer, known, word, bound, roles)


def _roles(shortcut: tree.Shortcut | None, *, taken: bool) -> tuple[str, str]:
    """The names of the two branches of a skip in errors."""
    if taken:
        return "the body", "the shortcut"
    return "the body", f"{IDENTITY}, since the shortcut's condition fails," if shortcut is not None else IDENTITY
