"""Elaboration of bodies: statements are carried out one after the other, and layers become nodes.

Each statement takes the current tensor and returns the next one; after an error it is `UNKNOWN`, with which names and
arguments are still checked but nothing about shapes is reported. A `Place` is where a statement stands: what names
mean there, and the scope of new members. A `MemberSpot` is the place of one new member.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.naming import MAX_NAME_LENGTH
from netdsl.elaborate import joins, statements
from netdsl.elaborate.binding import make_layer, match
from netdsl.elaborate.callee import Callee
from netdsl.elaborate.calls import block_place, kind_of, set_default, target_of
from netdsl.elaborate.control import chosen, turns, unpacked
from netdsl.elaborate.elaboration import Elaboration
from netdsl.elaborate.environment import Environment
from netdsl.elaborate.errors import CALL
from netdsl.elaborate.nodes import MemberSpot
from netdsl.elaborate.place import Place, Tensor, check_label, need
from netdsl.elaborate.values import UNKNOWN, Unknown, Value
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.base.source import Span
    from netdsl.elaborate.names import Member, Names
    from netdsl.ir.graph import Node


class BodyElaborator(Elaboration):
    """Carries out statements."""

    def body(self, place: Place, body: tree.Body, current: Tensor) -> Tensor:
        """Carry out a body at a place made for it, and return its last tensor."""
        if self.observer is not None:
            self.observer.enter(body, place, current)
        for statement in body.statements:
            self.errors.spend(place.names.scope, 1, statement.span)
            if isinstance(statement, tree.Chain):
                current = self.chain(place, statement, current)
                continue
            if isinstance(statement, tree.Let | tree.Default):
                place = place.onwards()
                self.errors.spend(place.names.scope, len(place.environment.values) // 4, statement.span)
            current = self.guarded(place, statement, current)
        if self.observer is not None:
            self.observer.leave(current)
        return current

    def guarded(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement other than a chain; after an error, the names that it defines are unknown."""
        if self.observer is not None:
            self.observer.enter(statement, place, current)
        try:
            after = self.statement(place, statement, current)
        except NetdslError as error:
            self.errors.report(error, place.names.scope)
            if isinstance(statement, tree.Let):
                place.environment.values.update((target.id, UNKNOWN) for target in statement.targets)
            after = UNKNOWN if isinstance(statement, tree.Input) else current
        if self.observer is not None:
            self.observer.leave(after)
        return after

    def statement(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement other than a chain, and return the current tensor after it."""
        match statement:
            case tree.Let():
                value = self.evaluator(place, current).evaluate(statement.value)
                place.environment.values.update(unpacked(statement.targets, value, statement.value.span))
            case tree.Default():
                set_default(self, place, statement)
            case tree.Expect():
                statements.expect(self, place, statement, current)
            case tree.Parameter():
                statements.learned_tensor(self, place, statement)
            case tree.Aux():
                self._aux(place, statement, current)
            case _:
                words = {tree.Input: "input", tree.Assert: "assert", tree.ClassLabels: "labels", tree.Train: "train"}
                word = words[type(statement)]
                way = "; a block gets a further tensor as an argument, `name @label`" if word == "input" else ""
                raise fail(
                    "E0507",
                    f"`{word}` belongs to the body of a net",
                    statement.span,
                    help=f"move it to the `net`{way}",
                )
        return current

    def _aux(self, place: Place, aux: tree.Aux, current: Tensor) -> None:
        element = aux.element
        label = self._label(place, element.label, current) if element.label is not None else None
        tensor = self._element(place, element, current, aside=True)
        if element.label is not None and label is not None:
            statements.check_output_name(self, label, element.label.span)
            self.aux[label] = need(tensor, aux.span)

    def inside(
        self,
        place: Place,
        names: Names,
        body: tree.Body,
        current: Tensor,
        span: Span,
        values: Mapping[str, Value] | None = None,
    ) -> Tensor:
        """Carry out a body in a scope, with further names defined in it."""
        return self.body(self.deeper(place.inner(names, values), span), body, current)

    # -------------------------------------------------------------------------------------------- chains and elements

    def chain(self, place: Place, chain: tree.Chain, current: Tensor) -> Tensor:
        """Carry out a chain, and return its last tensor."""
        if self.observer is not None:
            self.observer.enter(chain, place, current)
        for position, link in enumerate(chain.links):
            self.errors.spend(place.names.scope, 3, link.span)
            try:
                if isinstance(link, tree.Output):
                    statements.mark_output(self, link, current)
                    continue
                if position and isinstance(link.item, tree.Reference):
                    text = link.item.span.text
                    raise fail(
                        "E0507",
                        f"`{text}` starts a chain: what came before it is lost",
                        link.item.span,
                        help=f"put it on a line of its own, or join the two: `add {{ identity ; {text} }}`",
                    )
                current = self._element(place, link, current)
            except NetdslError as error:
                self.errors.report(error, place.names.scope)
                current = UNKNOWN
        if self.observer is not None:
            self.observer.leave(current)
        return current

    def _element(self, place: Place, element: tree.Element, current: Tensor, *, aside: bool = False) -> Tensor:
        """Carry out an element; one that stands aside takes no number among the members of its scope."""
        item = element.item
        label = self._label(place, element.label, current) if element.label is not None else None
        if label is None and not isinstance(item, tree.Call | tree.Reuse):
            return self._unnamed(place, item, current)
        span = element.label.span if element.label is not None else item.span
        if label is not None:
            check_label(place, label, span)
        counted = not (aside or isinstance(item, tree.Reuse | tree.Reference))
        name, member = place.names.enter(label, kind_of(place, item), span, counted=counted)
        member.output = UNKNOWN if isinstance(current, Unknown) else None
        try:
            member.output = self._named(place, item, member, MemberSpot.of(place.names, name), current)
        except NetdslError:
            member.output = UNKNOWN
            raise
        return member.output

    def _label(self, place: Place, label: tree.Label, current: Tensor) -> str | None:
        """Evaluate the label of an element; None where an earlier error hides it."""
        name = self.indexed(place, label.name, label.index, current)
        return None if isinstance(name, Unknown) else name

    def _unnamed(self, place: Place, item: tree.Item, current: Tensor) -> Tensor:
        """Carry out an item that opens no scope: its members belong to the scope around it."""
        if self.observer is None:
            return self._carry_out_unnamed(place, item, current)
        self.observer.enter(item, place, current)
        after = self._carry_out_unnamed(place, item, current)
        self.observer.leave(after)
        return after

    def _carry_out_unnamed(self, place: Place, item: tree.Item, current: Tensor) -> Tensor:
        match item:
            case tree.Group():
                return self.inside(place, place.names, item.body, current, item.span)
            case tree.Join() | tree.Skip():
                layer_type = joins.join_layer(place, item)
                inputs = joins.branches(self, place, place.names, item, current)
                if isinstance(layer_type, Unknown):
                    return UNKNOWN
                name, member = place.names.enter(None, layer_type.kind, item.span, counted=False)
                spot = MemberSpot.of(place.names, name)
                member.output = joins.join(self, place, item, layer_type, inputs, spot, current)
                return member.output
            case tree.Repeat() | tree.For():
                for values in turns(item, self.evaluator(place, current)):
                    current = self.inside(place, place.names, item.body, current, item.span, values)
                return current
            case tree.If():
                body = chosen(item, self.evaluator(place, current))
                if isinstance(body, tree.Body):
                    return self.inside(place, place.names, body, current, item.span)
                return current if body is None else body
            case tree.Reference():
                return self.tensor(place, current, item)
            case tree.Call() | tree.Reuse():
                raise AssertionError(item)  # all other items have names

    def _named(
        self, place: Place, item: tree.Item, member: Member, spot: MemberSpot, current: Tensor
    ) -> Node | Unknown:
        """Carry out an item as a member of a scope."""
        if self.observer is None:
            return self._carry_out_named(place, item, member, spot, current)
        self.observer.enter(item, place, current)
        after = self._carry_out_named(place, item, member, spot, current)
        if member.inside is not None:
            self.observer.open_scope(member.inside)
        self.observer.leave(after)
        return after

    def _carry_out_named(
        self, place: Place, item: tree.Item, member: Member, spot: MemberSpot, current: Tensor
    ) -> Node | Unknown:
        member.again = partial(self._again, place, item, spot.weights)
        match item:
            case tree.Call():
                return self._call(place, item, member, spot, current)
            case tree.Reference():
                return self.tensor(place, current, item)
            case tree.Reuse():
                return self._reuse(place, item, member, spot, current)
            case tree.Join() | tree.Skip():
                member.inside = spot.open(item.body.style, item.span, place.names)
                layer_type = joins.join_layer(place, item)
                inputs = joins.branches(self, place, member.inside, item, current)
                if isinstance(layer_type, Unknown):
                    return UNKNOWN
                return joins.join(self, place, item, layer_type, inputs, spot, current)
            case tree.Repeat() | tree.For():
                member.inside = spot.open("[", item.span, place.names)
                for number, values in enumerate(turns(item, self.evaluator(place, current))):
                    name, turn = member.inside.enter(str(number), "", item.span, counted=True)
                    known = replace(place, environment=Environment(values, place.environment))
                    turn_spot = MemberSpot.of(member.inside, name)
                    turn.output = current = self._named(
                        known, tree.Group(item.span, item.body), turn, turn_spot, current
                    )
            case tree.Group() | tree.If():
                taken = item.body if isinstance(item, tree.Group) else chosen(item, self.evaluator(place, current))
                if isinstance(taken, Unknown):
                    return taken
                if taken is not None:
                    member.inside = spot.open(taken.style, item.span, place.names)
                    current = self.inside(place, member.inside, taken, current, item.span)
        return need(current, item.span)

    # -------------------------------------------------------------------------------------------- calls

    def _call(self, place: Place, call: tree.Call, member: Member, spot: MemberSpot, current: Tensor) -> Node | Unknown:
        self.errors.spend(place.names.scope, CALL, call.span)
        target = target_of(place, call.name, call.name_span)
        if isinstance(target, Unknown):
            return target
        if isinstance(target, type) and target.joins():
            raise joins.without_body(place, call)
        bound = place.defaults.get(target, {})
        if call.arguments:
            callee = Callee.of_target(call.name, target)
            bound = {**bound, **match(callee, call.arguments, self.evaluator(place, current))}
        if isinstance(target, type):
            layer = make_layer(target, bound, call.span)
            node = need(current, call.span)
            if isinstance(layer, Unknown) or isinstance(node, Unknown):
                return UNKNOWN
            return self.make(spot, layer, (node,), call.span, bound)
        declaration = target.declaration
        arguments = " ".join(argument.span.text for argument in call.arguments)[:MAX_NAME_LENGTH]
        member.inside = spot.open(declaration.body.style, call.span, None, block=declaration.name, arguments=arguments)
        values = {key: argument.value for key, argument in bound.items()}
        inner = block_place(self, target, values, member.inside, place.depth, call.span, current)
        return need(self.body(inner, declaration.body, current), call.span)

    def _reuse(
        self, place: Place, item: tree.Reuse, member: Member, spot: MemberSpot, current: Tensor
    ) -> Node | Unknown:
        first = self.member(place, item.target, current)
        if isinstance(first, Unknown):
            return first
        label = item.target.span.text.removeprefix("@")
        if first.again is None:
            raise fail(
                "E0203",
                f"`{label}` names a tensor, and not a layer or a group",
                item.target.span,
                help=f"write `@{label}` for the tensor",
            )
        tensor = need(current, item.span)
        with self.errors.reusing(label, item.span, place.names.scope):
            try:
                return first.again(member, spot.names, spot.name, tensor)
            except NetdslError as error:
                self.errors.report(error, place.names.scope)
                return UNKNOWN

    def _again(
        self, place: Place, item: tree.Item, weights: str, member: Member, names: Names, name: str, current: Tensor
    ) -> Node | Unknown:
        """Carry out an item again for a `reuse`, as a new member with the old parameters."""
        return self._named(place, item, member, MemberSpot(names, name, weights), current)
