"""Elaboration of bodies: statements are carried out one after the other, and layers become nodes.

The current tensor is threaded through; after an error it is `UNKNOWN`, which keeps names and arguments being checked
and silences everything about shapes. A `Place` is where a statement stands: what names mean there, and the scope that
new members enter. A `Spot` is where one new member goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from netdsl.arguments import describe
from netdsl.diagnostics import NetdslError, fail
from netdsl.elaborate.binding import Bound, Callee, make_layer, match, require
from netdsl.elaborate.control import chosen, turns, unpacked
from netdsl.elaborate.errors import CALL, DEEPEST, LAYER, PARAM, Budget, Errors
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.nodes import IDENTITY, Nodes, Spot
from netdsl.elaborate.suggestions import LAYERS_ELSEWHERE, suggestion
from netdsl.elaborate.values import UNKNOWN, BlockValue, Environment, LayerValue, TensorValue, Unknown, Value
from netdsl.ir.dim import Symbolic, equality_constraints
from netdsl.ir.graph import Node
from netdsl.ir.types import format_shape
from netdsl.layer import LAYERS, Layer
from netdsl.layers.ends import Param as LearnedTensor
from netdsl.syntax import tree
from netdsl.syntax.scanner import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netdsl.elaborate.names import Member, Names
    from netdsl.elaborate.program import BlockDefinition, Module
    from netdsl.source import Span

Tensor: TypeAlias = Node | Unknown | None
"""The current tensor: None before any input."""

MADE_BY_STATEMENTS = ("input", "param")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands.

    Attributes:
        module: the file, whose blocks can be called.
        environment: parameters, `let` names and loop variables.
        names: the scope that new members enter.
        defaults: evaluated `default` arguments by layer or block, also where a parameter holds it.
        depth: how many bodies deep this is.
    """

    module: Module
    environment: Environment
    names: Names
    defaults: dict[BlockDefinition | type[Layer], dict[str, Bound]]
    depth: int

    def inner(self, names: Names, values: Mapping[str, Value] | None = None) -> Place:
        """A body inside this one: own names on top, the defaults in force so far."""
        environment = Environment(dict(values or {}), self.environment)
        return Place(self.module, environment, names, dict(self.defaults), self.depth + 1)

    def onwards(self) -> Place:
        """The same place for a `let` or `default` to change; a `reuse` of what stands before sees no change."""
        environment = Environment(dict(self.environment.values), self.environment.outer)
        return replace(self, environment=environment, defaults=dict(self.defaults))


class BodyElaborator:
    """Carries out statements."""

    def __init__(self, budget: Budget) -> None:
        self.errors = Errors(budget)
        self.nodes = Nodes()
        self.outputs: dict[str, Node | Unknown] = {}
        self.aux: dict[str, Node | Unknown] = {}

    # -------------------------------------------------------------------------------------------- statements

    def body(self, place: Place, body: tree.Body, current: Tensor) -> Tensor:
        """Carry out a body at a place made for it; the result is the tensor it leaves."""
        for statement in body.statements:
            self.errors.spend(place.names.scope, 1, statement.span)
            if isinstance(statement, tree.Chain):
                current = self._chain(place, statement, current)
                continue
            if isinstance(statement, tree.Let | tree.Default):
                place = place.onwards()
                self.errors.spend(place.names.scope, len(place.environment.values) // 4, statement.span)
            current = self._guarded(place, statement, current)
        return current

    def _guarded(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """A statement that is no chain; after an error what it would have named is unknown."""
        try:
            return self.statement(place, statement, current)
        except NetdslError as error:
            self.errors.report(error, place.names.scope)
            if isinstance(statement, tree.Let):
                place.environment.values.update((target.id, UNKNOWN) for target in statement.targets)
            return UNKNOWN if isinstance(statement, tree.Input) else current

    def statement(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement that is no chain; the result is the current tensor after it."""
        match statement:
            case tree.Let():
                value = self.evaluator(place, current).evaluate(statement.value)
                place.environment.values.update(unpacked(statement.targets, value, statement.value.span))
            case tree.Default():
                self._default(place, statement)
            case tree.Expect():
                self._expect(place, statement, current)
            case tree.Parameter():
                self._parameter(place, statement)
            case tree.Output():
                self._output(statement, current)
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

    def evaluator(self, place: Place, current: Tensor) -> Evaluator:
        """What evaluates expressions here."""
        spend = partial(self.errors.spend, place.names.scope)
        return Evaluator(place.module, place.environment, spend, current, partial(self._tensor, place, current))

    def _default(self, place: Place, statement: tree.Default) -> None:
        """`default conv bias=no`: remember the arguments for what follows here."""
        self.errors.spend(place.names.scope, CALL, statement.span)
        target = self._callable(place, statement.name, statement.name_span)
        callee = Callee.of_target(statement.name, target)
        bound = match(callee, statement.arguments, self.evaluator(place, None))
        place.defaults[target] = {**place.defaults.get(target, {}), **bound}

    def _expect(self, place: Place, statement: tree.Expect, current: Tensor) -> None:
        evaluator = self.evaluator(place, current)
        wanted = [evaluator.size(dim) for dim in statement.shape.dims]
        sizes = tuple(size for size in wanted if not isinstance(size, Unknown))
        here = self._need(current, statement.span)
        if isinstance(here, Unknown) or len(sizes) < len(wanted):
            return
        if here.type.shape != sizes:
            same_rank = here.type.rank == len(sizes)
            constraint = equality_constraints(zip(here.type.shape, sizes, strict=True)) if same_rank else None
            raise fail(
                "E0407",
                f"the shape here is {here.type}, not {format_shape(sizes)}",
                statement.shape.span,
                help=f"add `where {constraint}` to the `input` if that is meant" if constraint else None,
            )

    def _parameter(self, place: Place, statement: tree.Parameter) -> None:
        evaluator = self.evaluator(place, None)
        wanted = [evaluator.whole(dim, 1) for dim in statement.shape.dims]
        sizes = tuple(size for size in wanted if not isinstance(size, Unknown))
        name, member = place.names.enter(statement.name, "param", statement.name_span, counted=False)
        member.output = UNKNOWN
        if len(sizes) == len(wanted):
            member.output = self.make(Spot.of(place.names, name), LearnedTensor(sizes), (), statement.span, {})

    def _output(self, statement: tree.Output, current: Tensor) -> None:
        self._check_output_name(statement)
        self.outputs[statement.name] = self._need(current, statement.span)

    def _aux(self, place: Place, statement: tree.Aux, current: Tensor) -> None:
        name, member = place.names.enter(statement.name, "aux", statement.name_span, counted=False)
        self._check_output_name(statement)
        member.inside = place.names.open(name, statement.body.style, place.names)
        result = self._inside(place, member.inside, statement.body, current, statement.span)
        member.output = self.aux[name] = self._need(result, statement.span)

    def _check_output_name(self, statement: tree.Output | tree.Aux) -> None:
        if statement.name in self.outputs or statement.name in self.aux:
            raise fail(
                "E0506", f"two outputs are called `{statement.name}`", statement.name_span, help="choose another name"
            )

    # -------------------------------------------------------------------------------------------- chains and elements

    def _chain(self, place: Place, chain: tree.Chain, current: Tensor) -> Tensor:
        for position, element in enumerate(chain.elements):
            self.errors.spend(place.names.scope, 3, element.span)
            try:
                if position and isinstance(element.item, tree.Reference):
                    text = element.item.span.text
                    raise fail(
                        "E0507",
                        f"`{text}` starts a chain: what came before it is lost",
                        element.item.span,
                        help=f"put it on a line of its own, or join the two: `add {{ identity ; {text} }}`",
                    )
                current = self._element(place, element, current)
            except NetdslError as error:
                self.errors.report(error, place.names.scope)
                current = UNKNOWN
        return current

    def _element(self, place: Place, element: tree.Element, current: Tensor) -> Tensor:
        item, label = element.item, self._label(place, element.label, current)
        if label is None and not isinstance(item, tree.Call | tree.Reuse):
            return self._unnamed(place, item, current)
        span = element.label.span if element.label is not None else item.span
        counted = not isinstance(item, tree.Reuse | tree.Reference)
        name, member = place.names.enter(label, self._kind(place, item), span, counted=counted)
        member.output = UNKNOWN if isinstance(current, Unknown) else None
        try:
            member.output = self._named(place, item, member, Spot.of(place.names, name), current)
        except NetdslError:
            member.output = UNKNOWN
            raise
        return member.output

    def _label(self, place: Place, label: tree.Label | None, current: Tensor) -> str | None:
        """The label of an element; none where an earlier error hides what it is."""
        name = self._indexed(place, label.name, label.index, current) if label is not None else None
        return None if isinstance(name, Unknown) else name

    def _indexed(self, place: Place, name: str, index: tree.Expression | None, current: Tensor) -> str | Unknown:
        """`name`, or what `name{index}` computes."""
        if index is None:
            return name
        value = self.evaluator(place, current).evaluate(index)
        if isinstance(value, Unknown):
            return value
        if isinstance(value, bool) or not isinstance(value, int | str):
            message = f"a label is computed from a whole number or a string, not {describe(value)}"
            raise fail("E0305", message, index.span)
        if len(computed := f"{name}{value}") > LONGEST_NAME:
            raise fail("E0111", f"a name has at most {LONGEST_NAME} characters, not {len(computed):,}", index.span)
        return computed

    def _kind(self, place: Place, item: tree.Item) -> str:
        """What an unlabelled call is named after: the layer or block itself, also where a parameter holds it."""
        if isinstance(item, tree.Reuse):
            return f"{item.target.parts[-1].name}_reuse"
        if not isinstance(item, tree.Call):
            return ""
        value = place.environment.find(item.name)
        if isinstance(value, BlockValue):
            return value.definition.declaration.name
        return value.layer.kind if isinstance(value, LayerValue) else item.name

    def _unnamed(self, place: Place, item: tree.Item, current: Tensor) -> Tensor:
        """An item that opens no scope: its members belong to the scope it stands in."""
        match item:
            case tree.Group():
                return self._inside(place, place.names, item.body, current, item.span)
            case tree.Join() | tree.Skip():
                inputs = self._branches(place, place.names, item, current)
                name, member = place.names.enter(None, _join_kind(item), item.span, counted=False)
                member.output = self._join(place, item, inputs, Spot.of(place.names, name), current)
                return member.output
            case tree.Repeat() | tree.For():
                for values in turns(item, self.evaluator(place, current)):
                    current = self._inside(place, place.names, item.body, current, item.span, values)
                return current
            case tree.If():
                body = chosen(item, self.evaluator(place, current))
                if isinstance(body, tree.Body):
                    return self._inside(place, place.names, body, current, item.span)
                return current if body is None else body
            case tree.Reference():
                return self._tensor(place, current, item)
            case tree.Call() | tree.Reuse():
                raise AssertionError(item)  # these always have names

    def _named(self, place: Place, item: tree.Item, member: Member, spot: Spot, current: Tensor) -> Node | Unknown:
        """An item as a member of a scope."""
        member.again = partial(self._again, place, item, spot.weights)
        match item:
            case tree.Call():
                return self._call(place, item, member, spot, current)
            case tree.Reference():
                return self._tensor(place, current, item)
            case tree.Reuse():
                return self._reuse(place, item, member, spot, current)
            case tree.Join() | tree.Skip():
                member.inside = spot.open(item.body.style, item.span, place.names)
                inputs = self._branches(place, member.inside, item, current)
                return self._join(place, item, inputs, spot, current)
            case tree.Repeat() | tree.For():
                member.inside = spot.open("[", item.span, place.names)
                for number, values in enumerate(turns(item, self.evaluator(place, current))):
                    name, turn = member.inside.enter(str(number), "", item.span, counted=True)
                    known = replace(place, environment=Environment(values, place.environment))
                    turn_spot = Spot.of(member.inside, name)
                    turn.output = current = self._named(
                        known, tree.Group(item.span, item.body), turn, turn_spot, current
                    )
            case tree.Group() | tree.If():
                taken = item.body if isinstance(item, tree.Group) else chosen(item, self.evaluator(place, current))
                if isinstance(taken, Unknown):
                    return taken
                if taken is not None:
                    member.inside = spot.open(taken.style, item.span, place.names)
                    current = self._inside(place, member.inside, taken, current, item.span)
        return self._need(current, item.span)

    def _inside(
        self,
        place: Place,
        names: Names,
        body: tree.Body,
        current: Tensor,
        span: Span,
        values: Mapping[str, Value] | None = None,
    ) -> Tensor:
        """Carry out a body in a scope, with further names known to it."""
        return self.body(self._deeper(place.inner(names, values), span), body, current)

    def _deeper(self, place: Place, span: Span | None) -> Place:
        """The place itself, unless it is too deep: a block that calls itself without end is found here."""
        self.errors.spend(place.names.scope, 1 + len(place.defaults) // 16, span)
        if place.depth <= DEEPEST:
            return place
        raise self.errors.fatal(
            fail(
                "E0702",
                f"calls and bodies are nested more than {DEEPEST} deep",
                span,
                help="a block that calls itself needs an `if` that ends it",
            ),
            place.names.scope,
        )

    def make(
        self,
        spot: Spot,
        layer: Layer,
        inputs: tuple[Node, ...],
        span: Span,
        bound: Mapping[str, Bound],
        roles: tuple[str, ...] = (),
    ) -> Node:
        """A node, as `Nodes.make` makes it; its work is counted."""
        node = self.nodes.make(spot, layer, inputs, span, bound, roles)
        unknown = sum(dim.atoms for dim in node.type.shape if isinstance(dim, Symbolic))
        steps = LAYER * (1 + 3 * unknown) + PARAM * len(node.params) + len(inputs)
        self.errors.spend(spot.names.scope, steps, span)
        return node

    # -------------------------------------------------------------------------------------------- calls

    def _callable(self, place: Place, name: str, span: Span) -> BlockDefinition | type[Layer]:
        value = place.environment.find(name)
        if isinstance(value, BlockValue):
            return value.definition
        if isinstance(value, LayerValue):
            return value.layer
        if isinstance(value, TensorValue):
            raise fail("E0201", f"`{name}` holds a tensor", span, help=f"write `@{name}`")
        if name in place.module.blocks:
            return place.module.blocks[name]
        if name in LAYERS and name not in MADE_BY_STATEMENTS:
            return LAYERS[name]
        if value is not None:
            raise fail("E0201", f"`{name}` is {describe(value)}, and neither a layer nor a block", span)
        if name in place.module.nets:
            raise fail(
                "E0201",
                f"`{name}` is a net, and a net cannot be a part of another",
                span,
                help="make it a `block`, and call that from a `net`",
            )
        raise fail(
            "E0201",
            f"there is no layer or block `{name}`",
            span,
            help=f"write `@{name}` for the tensor"
            if name in place.names.labels()
            else suggestion(name, {*place.module.blocks, *LAYERS, "skip"}, LAYERS_ELSEWHERE)
            or "`netdsl layers` lists them",
        )

    def _call(self, place: Place, call: tree.Call, member: Member, spot: Spot, current: Tensor) -> Node | Unknown:
        if isinstance(place.environment.find(call.name), Unknown):
            return UNKNOWN
        self.errors.spend(place.names.scope, CALL, call.span)
        target = self._callable(place, call.name, call.name_span)
        given = match(Callee.of_target(call.name, target), call.arguments, self.evaluator(place, current))
        bound = {**place.defaults.get(target, {}), **given}
        if isinstance(target, type):
            layer = make_layer(target, bound, call.span)
            node = self._need(current, call.span)
            if isinstance(layer, Unknown) or isinstance(node, Unknown):
                return UNKNOWN
            return self.make(spot, layer, (node,), call.span, bound)
        declaration = target.declaration
        arguments = " ".join(argument.span.text for argument in call.arguments)[:LONGEST_NAME]
        member.inside = spot.open(declaration.body.style, call.span, None, block=declaration.name, arguments=arguments)
        values = {key: argument.value for key, argument in bound.items()}
        inner = self.block_place(target, values, member.inside, place.depth, call.span)
        return self._need(self.body(inner, declaration.body, current), call.span)

    def block_place(
        self, target: BlockDefinition, values: Mapping[str, Value], names: Names, depth: int, span: Span | None
    ) -> Place:
        """The place of a block's body: its parameters, and the defaults of the file that defines it."""
        declaration = target.declaration
        require(Callee.of_declaration(declaration.name, declaration), values, span)
        file_level = Place(target.module, Environment({}), names, {}, depth)
        for default in target.module.defaults[: target.defaults]:
            self._guarded(file_level, default, None)
        place = self._deeper(file_level.inner(names, values), span)
        for parameter in declaration.parameters:
            if parameter.default is not None and parameter.name not in values:
                place.environment.values[parameter.name] = self.evaluator(place, None).evaluate(parameter.default)
        return place

    # -------------------------------------------------------------------------------------------- joins

    def _branches(self, place: Place, names: Names, item: tree.Join | tree.Skip, current: Tensor) -> list[Tensor]:
        """The results of the branches, each of which starts from the current tensor."""
        if isinstance(item, tree.Join):
            results = list(self._collect(self._deeper(place.inner(names), item.span), item.body, current))
            if not results:
                raise fail(
                    "E0505",
                    f"`{item.kind}` has no branches",
                    item.span,
                    help="each line of its body is a branch: a chain, `identity` or `@label`",
                )
            return results
        result = self._inside(place, names, item.body, current, item.span)
        if result is current and isinstance(current, Node):
            raise fail(
                "E0504",
                "the body of this `skip` has no layers, and would add the tensor to itself",
                item.body.span,
                help="write its layers, or drop it; `skip if n > 0 { ... }` drops the addition alone",
            )
        wanted = True if item.condition is None else self.evaluator(place, current).truth(item.condition)
        if isinstance(wanted, Unknown):
            return [UNKNOWN]
        return [result, self._shortcut(place, names, item.shortcut, current)] if wanted else [result]

    def _shortcut(self, place: Place, names: Names, shortcut: tree.Shortcut | None, current: Tensor) -> Tensor:
        if shortcut is None:
            return current
        wanted = True if shortcut.condition is None else self.evaluator(place, current).truth(shortcut.condition)
        if isinstance(wanted, Unknown):
            return UNKNOWN
        return self._inside(place, names, shortcut.body, current, shortcut.span) if wanted else current

    def _collect(self, place: Place, body: tree.Body, current: Tensor) -> Iterator[Tensor]:
        """One tensor for each chain of the body; a loop or condition that is a whole line gives its chains."""
        for statement in body.statements:
            self.errors.spend(place.names.scope, 1, statement.span)
            if not isinstance(statement, tree.Chain):
                if isinstance(statement, tree.Let | tree.Default):
                    place = place.onwards()
                    self.errors.spend(place.names.scope, len(place.environment.values) // 4, statement.span)
                self._guarded(place, statement, current)
                continue
            first = statement.elements[0]
            if (
                len(statement.elements) == 1
                and first.label is None
                and isinstance(first.item, tree.Repeat | tree.For | tree.If)
            ):
                try:
                    yield from self._spread(place, first.item, current)
                except NetdslError as error:
                    self.errors.report(error, place.names.scope)
                    yield UNKNOWN
            else:
                yield self._chain(place, statement, current)

    def _spread(self, place: Place, item: tree.Repeat | tree.For | tree.If, current: Tensor) -> Iterator[Tensor]:
        """The branches that a loop or a condition stands for."""
        evaluator = self.evaluator(place, current)
        if not isinstance(item, tree.If):
            for values in turns(item, evaluator):
                yield from self._collect(self._deeper(place.inner(place.names, values), item.span), item.body, current)
            return
        body = chosen(item, evaluator)
        if isinstance(body, tree.Body):
            yield from self._collect(self._deeper(place.inner(place.names), item.span), body, current)
        elif body is not None:
            yield body

    def _join(
        self, place: Place, item: tree.Join | tree.Skip, inputs: list[Tensor], spot: Spot, current: Tensor
    ) -> Node | Unknown:
        if isinstance(item, tree.Skip) and len(inputs) == 1:
            return self._need(inputs[0], item.span)  # the condition of the skip failed
        kind = _join_kind(item)
        arguments = item.arguments if isinstance(item, tree.Join) else ()
        given = match(Callee.of_dataclass(kind, LAYERS[kind]), arguments, self.evaluator(place, current))
        bound = {**place.defaults.get(LAYERS[kind], {}), **given}
        layer = make_layer(LAYERS[kind], bound, item.span)
        nodes = [self._need(tensor, item.span) for tensor in inputs]
        known = tuple(node for node in nodes if isinstance(node, Node))
        if isinstance(layer, Unknown) or len(known) < len(nodes):
            return UNKNOWN
        word = replace(item.span, end=item.span.start + len(kind if isinstance(item, tree.Join) else "skip"))
        roles = _roles(item.shortcut, taken=inputs[1] is not current) if isinstance(item, tree.Skip) else ()
        return self.make(spot, layer, known, word, bound, roles)

    # -------------------------------------------------------------------------------------------- tensors by name

    def _member(self, place: Place, reference: tree.Reference, current: Tensor) -> Member | Unknown:
        steps: list[str] = []
        for part in reference.parts:
            step = self._indexed(place, part.name, part.index, current)
            if isinstance(step, Unknown):
                return step
            steps.append(step)
        return place.names.find(steps, reference.span)

    def _tensor(self, place: Place, current: Tensor, reference: tree.Reference) -> Node | Unknown:
        """The tensor that `@label` names: a label's output, or what a parameter holds."""
        if len(reference.parts) == 1 and reference.parts[0].index is None:
            value = place.environment.find(reference.parts[0].name)
            if isinstance(value, TensorValue):
                return value.node
            if isinstance(value, Unknown):
                return value
            if value is not None and reference.parts[0].name not in place.names.labels():
                raise fail(
                    "E0305",
                    f"`{reference.parts[0].name}` is {describe(value)}, and not a tensor",
                    reference.span,
                    help="where it is an argument, give it a tensor: `@label`",
                )
        member = self._member(place, reference, current)
        if isinstance(member, Unknown):
            return member
        if member.output is None:
            raise fail(
                "E0203",
                f"`{reference.span.text}` is not finished here: it would read itself",
                reference.span,
                help="read the tensor that goes into it: `identity`, or a label before it",
            )
        return member.output

    def _reuse(self, place: Place, item: tree.Reuse, member: Member, spot: Spot, current: Tensor) -> Node | Unknown:
        first = self._member(place, item.target, current)
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
        tensor = self._need(current, item.span)
        with self.errors.reusing(label, item.span, place.names.scope):
            try:
                return first.again(member, spot.names, spot.name, tensor)
            except NetdslError as error:
                self.errors.report(error, place.names.scope)
                return UNKNOWN

    def _again(
        self, place: Place, item: tree.Item, weights: str, member: Member, names: Names, name: str, current: Tensor
    ) -> Node | Unknown:
        """An item once more, as the member that a `reuse` makes, with the parameters it had."""
        return self._named(place, item, member, Spot(names, name, weights), current)

    def _need(self, current: Tensor, span: Span) -> Node | Unknown:
        if current is None:
            raise fail(
                "E0502",
                "no tensor arrives here",
                span,
                help="begin the net with `input image: 3x224x224`, or the chain with `@label`",
            )
        return current


def _roles(shortcut: tree.Shortcut | None, *, taken: bool) -> tuple[str, str]:
    """What errors call the two branches of a skip."""
    if taken:
        return "the body", "the shortcut"
    return "the body", f"{IDENTITY}, since the shortcut's condition fails," if shortcut is not None else IDENTITY


def _join_kind(item: tree.Join | tree.Skip) -> str:
    return item.kind if isinstance(item, tree.Join) else "add"
