"""Elaboration of bodies: statements are carried out one after the other, and layers become nodes.

The current tensor is threaded through; after an error it is `UNKNOWN`, which keeps names and arguments being checked
and silences everything about shapes. A `Place` is where a statement stands: what names mean there, and where new
layers are put.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from netdsl.arguments import describe
from netdsl.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.binding import Bound, callable_formals, dataclass_formals, make_layer, match, require
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.names import Member, Names
from netdsl.elaborate.program import BlockDefinition, Module, suggestion
from netdsl.elaborate.values import UNKNOWN, BlockValue, Environment, LayerValue, TensorValue, Unknown, Value
from netdsl.ir.dim import lower_bound
from netdsl.ir.graph import Node, Param
from netdsl.ir.types import format_shape
from netdsl.layer import LAYERS, Layer, LayerError
from netdsl.layers.ends import Param as LearnedTensor
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netdsl.source import Span

MOST_LAYERS = 50_000
MOST_STEPS = 300_000
MOST_TURNS = 100_000
DEEPEST = 64
MOST_ELEMENTS = 10**11
MOST_ERRORS = 20

Tensor = Node | Unknown | None
"""The current tensor: None before any input."""


class Stop(Exception):  # noqa: N818 - not an error of its own: those are in the list already
    """Elaboration cannot go on; the errors so far are the answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands.

    Attributes:
        module: the file, whose blocks can be called.
        environment: parameters, `let` names and loop variables.
        names: the scope that new members enter.
        defaults: evaluated `default` arguments by layer or block.
        depth: how many bodies deep this is.
    """

    module: Module
    environment: Environment
    names: Names
    defaults: dict[str, dict[str, Bound]]
    depth: int

    def inner(self, names: Names, values: dict[str, Value] | None = None) -> Place:
        """A body inside this one: own names on top, the defaults in force so far."""
        return Place(self.module, Environment(values or {}, self.environment), names, dict(self.defaults), self.depth + 1)


class BodyElaborator:
    """Carries out statements and collects nodes, parameters and errors."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.params: dict[str, Param] = {}
        self.aux: dict[str, Node | Unknown] = {}
        self.outputs: dict[str, Node | Unknown] = {}
        self.errors: list[Diagnostic] = []
        self._reported: set[tuple[str, int, int]] = set()
        self._steps = 0

    # -------------------------------------------------------------------------------------------- errors and limits

    def report(self, error: NetdslError, place: Place | None = None) -> None:
        """Keep an error, once for each place in the text however often a loop meets it."""
        for diagnostic in error.diagnostics:
            span = diagnostic.span
            key = (diagnostic.code, span.start, id(span.source)) if span else (diagnostic.message, 0, 0)
            if key in self._reported:
                continue
            self._reported.add(key)
            stack = diagnostic.stack or (place.names.scope.stack() if place is not None else ())
            self.errors.append(replace(diagnostic, stack=stack))
            if len(self.errors) >= MOST_ERRORS:
                raise Stop

    def _step(self, place: Place, span: Span) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS or len(self.nodes) > MOST_LAYERS:
            much = f"{MOST_LAYERS} layers" if len(self.nodes) > MOST_LAYERS else f"{MOST_STEPS} statements"
            self.report(fail("E0701", f"the net is larger than netdsl builds: more than {much}", span,
                             help="is a loop longer than it was meant to be?"), place)
            raise Stop

    # -------------------------------------------------------------------------------------------- statements

    def body(self, place: Place, body: tree.Body, current: Tensor) -> Tensor:
        """Carry out a body at a place made for it; the result is the tensor it leaves."""
        for statement in body.statements:
            self._step(place, statement.span)
            if isinstance(statement, tree.Chain):
                current = self._chain(place, statement, current)
                continue
            try:
                current = self.statement(place, statement, current)
            except NetdslError as error:
                self.report(error, place)
                if isinstance(statement, tree.Let):
                    place.environment.values.update((target.id, UNKNOWN) for target in statement.targets)
        return current

    def statement(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement that is no chain; the result is the current tensor after it."""
        match statement:
            case tree.Let():
                value = self.evaluator(place, current).evaluate(statement.value)
                place.environment.values.update(unpacked(statement.targets, value, statement.value.span))
            case tree.Default():
                self.default(place, statement, current)
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
                raise fail("E0507", f"`{words[type(statement)]}` belongs to the body of a net", statement.span,
                           help="move it to the `net`; a block is given tensors as arguments: `name @label`")
        return current

    def evaluator(self, place: Place, current: Tensor) -> Evaluator:
        """What evaluates expressions here."""
        return Evaluator(place.module, place.environment, current, partial(self._tensor, place, current))

    def default(self, place: Place, statement: tree.Default, current: Tensor) -> None:
        """`default conv bias=no`: remember the arguments for what follows here."""
        target = self._callable(place, statement.name, statement.name_span)
        bound = match(statement.name, callable_formals(target), statement.arguments, self.evaluator(place, current))
        place.defaults[statement.name] = {**place.defaults.get(statement.name, {}), **bound}

    def _expect(self, place: Place, statement: tree.Expect, current: Tensor) -> None:
        evaluator = self.evaluator(place, current)
        wanted = tuple(evaluator.size(dim) for dim in statement.shape.dims)
        here = self._need(current, statement.span)
        if isinstance(here, Unknown) or any(isinstance(dim, Unknown) for dim in wanted):
            return
        if here.type.shape != wanted:
            shown = format_shape(dim for dim in wanted if not isinstance(dim, Unknown))
            raise fail("E0407", f"the shape here is {here.type}, not {shown}", statement.shape.span,
                       label=f"it is {here.type}")

    def _parameter(self, place: Place, statement: tree.Parameter) -> None:
        evaluator = self.evaluator(place, None)
        shape = tuple(evaluator.whole(dim, 1) for dim in statement.shape.dims)
        name, member = place.names.enter(statement.name, "param", statement.name_span, counted=False)
        sizes = tuple(size for size in shape if not isinstance(size, Unknown))
        member.output = UNKNOWN if len(sizes) < len(shape) else self._node(
            place, place.names, name, place.names.weight_path(name), LearnedTensor(sizes), (), statement.span, {})

    def _output(self, statement: tree.Output, current: Tensor) -> None:
        if statement.name in self.outputs:
            raise fail("E0506", f"two outputs are called `{statement.name}`", statement.name_span)
        self.outputs[statement.name] = self._need(current, statement.span)

    def _aux(self, place: Place, statement: tree.Aux, current: Tensor) -> None:
        name, member = place.names.enter(statement.name, "aux", statement.name_span, counted=False)
        member.inside = place.names.open(name, statement.body.style)
        result = self._inside(place, member.inside, statement.body, current, statement.span)
        member.output = self.aux[name] = self._need(result, statement.span)

    # -------------------------------------------------------------------------------------------- chains and elements

    def _chain(self, place: Place, chain: tree.Chain, current: Tensor) -> Tensor:
        for position, element in enumerate(chain.elements):
            try:
                if position and isinstance(element.item, tree.Reference):
                    raise fail("E0507", f"`{element.item.span.text}` starts a chain: what came before it would be lost",
                               element.item.span, help="put it on a line of its own, or join the two: "
                                                       f"`add {{ identity ; {element.item.span.text} }}`")
                current = self._element(place, element, current)
            except NetdslError as error:
                self.report(error, place)
                current = UNKNOWN
        return current

    def _element(self, place: Place, element: tree.Element, current: Tensor) -> Tensor:
        item, label = element.item, self._label(place, element.label, current)
        if label is None and not isinstance(item, tree.Call | tree.Reuse):
            return self._unnamed(place, item, current)
        kind = item.name if isinstance(item, tree.Call) else "reuse"
        if isinstance(item, tree.Call):
            kind = self._kind(place, item)
        elif isinstance(item, tree.Reuse):
            kind = f"{item.target.parts[-1].name}_reuse"
        span = element.label.span if element.label is not None else item.span
        counted = not isinstance(item, tree.Reuse | tree.Reference)
        name, member = place.names.enter(label, kind, span, counted=counted)
        try:
            member.output = self._named(place, item, member, place.names, name, place.names.weight_path(name), current)
        except NetdslError:
            member.output = UNKNOWN
            raise
        return member.output

    def _label(self, place: Place, label: tree.Label | None, current: Tensor) -> str | None:
        if label is None or label.index is None:
            return label.name if label is not None else None
        value = self.evaluator(place, current).evaluate(label.index)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise fail("E0305", f"a label is computed from a whole number or a string, not {describe(value)}",
                       label.index.span)
        return f"{label.name}{value}"

    def _kind(self, place: Place, call: tree.Call) -> str:
        """What an unlabelled call is named after: the layer or block itself, also where a parameter holds it."""
        value = place.environment.find(call.name)
        if isinstance(value, BlockValue):
            return value.definition.declaration.name
        return value.layer.kind if isinstance(value, LayerValue) else call.name

    def _unnamed(self, place: Place, item: tree.Item, current: Tensor) -> Tensor:
        """An item that opens no scope: its members belong to the scope it stands in."""
        match item:
            case tree.Group(body=body):
                return self._inside(place, place.names, body, current, item.span)
            case tree.Join() | tree.Skip():
                inputs = self._branches(place, place.names, item, current)
                name, member = place.names.enter(None, _join_kind(item), item.span, counted=False)
                member.output = self._join(place, item, inputs, place.names, name, current)
                return member.output
            case tree.Repeat() | tree.For():
                for values in self._turns(place, item, current):
                    current = self._inside(place, place.names, item.body, current, item.span, values)
                return current
            case tree.If():
                chosen = self._chosen(place, item, current)
                if isinstance(chosen, tree.Body):
                    return self._inside(place, place.names, chosen, current, item.span)
                return current if chosen is None else chosen
            case tree.Reference():
                return self._tensor(place, current, item)
            case _:
                raise AssertionError(item)  # calls and reuses always have names

    def _named(self, place: Place, item: tree.Item, member: Member, names: Names, name: str, weights: str,
               current: Tensor) -> Node | Unknown:
        """An item as a member called `name` of `names`, with its parameters under the path `weights`."""
        member.again = partial(self._again, place, item, weights)
        match item:
            case tree.Call():
                return self._call(place, item, member, names, name, weights, current)
            case tree.Reference():
                return self._tensor(place, current, item)
            case tree.Reuse():
                return self._reuse(place, item, names, name, current)
            case tree.Join() | tree.Skip():
                member.inside = names.open(name, item.body.style, span=item.span, weights=weights)
                inputs = self._branches(place, member.inside, item, current)
                return self._join(place, item, inputs, names, name, current)
            case tree.Repeat() | tree.For():
                member.inside = names.open(name, "[", span=item.span, weights=weights)
                for turn, values in enumerate(self._turns(place, item, current)):
                    inside, one = self._turn(member.inside, turn, item.body.style, item.span)
                    one.output = current = self._inside(place, inside, item.body, current, item.span, values)
                return self._need(current, item.span)
            case tree.Group(body=body):
                member.inside = names.open(name, body.style, span=item.span, weights=weights)
                return self._need(self._inside(place, member.inside, body, current, item.span), item.span)
            case tree.If():
                chosen = self._chosen(place, item, current)
                if isinstance(chosen, tree.Body):
                    member.inside = names.open(name, chosen.style, span=item.span, weights=weights)
                    current = self._inside(place, member.inside, chosen, current, item.span)
                return UNKNOWN if isinstance(chosen, Unknown) else self._need(current, item.span)

    def _turn(self, names: Names, turn: int, style: str, span: Span) -> tuple[Names, Member]:
        name, member = names.enter(str(turn), "", span, counted=True)
        member.inside = names.open(name, "{" if style == "{" else "[")
        return member.inside, member

    def _inside(self, place: Place, names: Names, body: tree.Body, current: Tensor, span: Span,
                values: dict[str, Value] | None = None) -> Tensor:
        """Carry out a body in a scope, with further names known to it."""
        return self.body(self._deeper(place.inner(names, values), span), body, current)

    def _deeper(self, place: Place, span: Span | None) -> Place:
        """The place itself, unless it is too deep: a block that calls itself without end is found here."""
        if place.depth <= DEEPEST:
            return place
        self.report(fail("E0702", f"bodies are nested more than {DEEPEST} deep", span,
                         help="a block that calls itself needs an `if` that ends it"), place)
        raise Stop

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
        if name in LAYERS and name not in _MADE_BY_STATEMENTS:
            return LAYERS[name]
        if value is not None:
            raise fail("E0201", f"`{name}` is {describe(value)}, and neither a layer nor a block", span)
        if name in place.module.nets:
            raise fail("E0201", f"`{name}` is a net, and a net cannot be a part of another", span,
                       help="make it a `block`, and call that from a `net`")
        raise fail("E0201", f"there is no layer or block `{name}`", span,
                   help=suggestion(name, {*place.module.blocks, *LAYERS}) or "`netdsl layers` lists them")

    def _call(self, place: Place, call: tree.Call, member: Member, names: Names, name: str, weights: str,
              current: Tensor) -> Node | Unknown:
        if place.environment.find(call.name) is UNKNOWN:
            return UNKNOWN
        target = self._callable(place, call.name, call.name_span)
        bound = match(call.name, callable_formals(target), call.arguments, self.evaluator(place, current))
        bound = {**place.defaults.get(call.name, {}), **bound}
        if isinstance(target, type):
            layer = make_layer(target, bound, call.span, partial(self._located, call.span, bound, ()))
            node = self._need(current, call.span)
            if isinstance(layer, Unknown) or isinstance(node, Unknown):
                return UNKNOWN
            return self._node(place, names, name, weights, layer, (node,), call.span, bound)
        arguments = " ".join(argument.span.text for argument in call.arguments)
        member.inside = names.open(name, target.declaration.body.style, block=target.declaration.name, span=call.span,
                                   arguments=arguments, weights=weights)
        values = {key: argument.value for key, argument in bound.items()}
        inner = self.block_place(target, values, member.inside, place.depth, call.span)
        result = self.body(inner, target.declaration.body, current)
        return self._need(result, call.span)

    def block_place(self, target: BlockDefinition, values: Mapping[str, Value], names: Names, depth: int,
                    span: Span | None) -> Place:
        """The place of a block's body: its parameters, and the defaults of the file that defines it."""
        declaration = target.declaration
        require(declaration.name, callable_formals(target), values, span)
        file_level = Place(target.module, Environment({}), names, {}, depth)
        for default in target.defaults:
            self.default(file_level, default, None)
        place = self._deeper(file_level.inner(names, dict(values)), span)
        for parameter in declaration.parameters:
            if parameter.default is not None and parameter.name not in values:
                place.environment.values[parameter.name] = self.evaluator(place, None).evaluate(parameter.default)
        return place

    def _node(self, place: Place, names: Names, name: str, weights: str, layer: Layer, inputs: tuple[Node, ...],
              span: Span, bound: Mapping[str, Bound]) -> Node:
        """Make a node and its parameters; a shape that does not fit becomes a located error."""
        try:
            node = Node(names.join(name), layer, inputs, names.scope, span)
            specs = layer.params(*node.input_types)
        except (LayerError, ValueError) as error:
            raise self._located(span, bound, inputs, error) from None
        shared = weights != node.name
        for role, spec in specs.items():
            path = f"{weights}.{role}" if role else weights
            if spec.elements > MOST_ELEMENTS:
                raise fail("E0703", f"the {role} of this `{layer.kind}` would have {spec.elements:,} elements", span,
                           notes=_shapes(inputs), help="is a size too large, or a flatten too early?")
            known = self.params.get(path) if shared else None
            if known is not None and known.spec.shape != spec.shape:
                raise fail("E0410", f"`{path}` is {format_shape(known.spec.shape)}, and here it would be "
                                    f"{format_shape(spec.shape)}", span, notes=_shapes(inputs),
                           help="reused layers need an input like that of their first use")
            node.params[role] = known or Param(path, spec)
            self.params[path] = node.params[role]
        elements = lower_bound(node.type.elements)
        if elements is not None and elements > MOST_ELEMENTS:
            raise fail("E0703", f"the result would be {node.type}, {elements:,} elements", span)
        self.nodes.append(node)
        return node

    def _located(self, span: Span, bound: Mapping[str, Bound], inputs: tuple[Node, ...], error: Exception) -> NetdslError:
        """A layer's error with its place: the argument at fault if one is named and was given, else the call."""
        if not isinstance(error, LayerError):
            raise error
        place = bound[error.argument].span if error.argument is not None and error.argument in bound else span
        return fail(error.code, error.message, place, notes=_shapes(inputs), help=error.help)

    # -------------------------------------------------------------------------------------------- joins

    def _branches(self, place: Place, names: Names, item: tree.Join | tree.Skip, current: Tensor) -> list[Tensor]:
        """The results of the branches, each of which starts from the current tensor."""
        if isinstance(item, tree.Join):
            results = list(self._collect(self._deeper(place.inner(names), item.span), item.body, current))
            if not results:
                raise fail("E0505", f"`{item.kind}` has no branches", item.span,
                           help="each line of its body is a branch: a chain, `identity` or `@label`")
            return results
        wanted = True if item.condition is None else self.evaluator(place, current).truth(item.condition)
        result = self._inside(place, names, item.body, current, item.span)
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
            self._step(place, statement.span)
            if not isinstance(statement, tree.Chain):
                try:
                    self.statement(place, statement, current)
                except NetdslError as error:
                    self.report(error, place)
                continue
            first = statement.elements[0]
            if len(statement.elements) == 1 and first.label is None and isinstance(
                    first.item, tree.Repeat | tree.For | tree.If):
                try:
                    yield from self._collect_inside(place, first.item, current)
                except NetdslError as error:
                    self.report(error, place)
                    yield UNKNOWN
            else:
                yield self._chain(place, statement, current)

    def _collect_inside(self, place: Place, item: tree.Repeat | tree.For | tree.If, current: Tensor) -> Iterator[Tensor]:
        if isinstance(item, tree.If):
            chosen = self._chosen(place, item, current)
            if isinstance(chosen, tree.Body):
                yield from self._collect(self._deeper(place.inner(place.names), item.span), chosen, current)
            elif chosen is UNKNOWN:
                yield UNKNOWN
            return
        for values in self._turns(place, item, current):
            yield from self._collect(self._deeper(place.inner(place.names, values), item.span), item.body, current)

    def _join(self, place: Place, item: tree.Join | tree.Skip, inputs: list[Tensor], names: Names, name: str,
              current: Tensor) -> Node | Unknown:
        if isinstance(item, tree.Skip) and len(inputs) == 1:
            return self._need(inputs[0], item.span)  # the condition of the skip failed
        kind = _join_kind(item)
        arguments = item.arguments if isinstance(item, tree.Join) else ()
        bound = match(kind, dataclass_formals(LAYERS[kind]), arguments, self.evaluator(place, current))
        bound = {**place.defaults.get(kind, {}), **bound}
        layer = make_layer(LAYERS[kind], bound, item.span, partial(self._located, item.span, bound, ()))
        nodes = [self._need(tensor, item.span) for tensor in inputs]
        known = tuple(node for node in nodes if isinstance(node, Node))
        if isinstance(layer, Unknown) or len(known) < len(nodes):
            return UNKNOWN
        head = replace(item.span, end=item.span.start + len(kind if isinstance(item, tree.Join) else "skip"))
        return self._node(place, names, name, names.weight_path(name), layer, known, head, bound)

    # -------------------------------------------------------------------------------------------- control

    def _turns(self, place: Place, item: tree.Repeat | tree.For, current: Tensor) -> Iterator[dict[str, Value]]:
        """The names that each turn of a loop knows."""
        evaluator = self.evaluator(place, current)
        if isinstance(item, tree.Repeat):
            count = evaluator.whole(item.count, 0)
            self._check_turns(0 if isinstance(count, Unknown) else count, item.count.span)
            yield from ({} for _ in range(0 if isinstance(count, Unknown) else count))
            return
        if isinstance(item.items, tree.CountingRange):
            first, last = evaluator.whole(item.items.first, -(2**31)), evaluator.whole(item.items.last, -(2**31))
            if isinstance(first, Unknown) or isinstance(last, Unknown):
                return
            self._check_turns(last - first + 1, item.items.span)
            values: Value = tuple(range(first, last + 1))
        else:
            values = evaluator.evaluate(item.items)
        if isinstance(values, Unknown):
            return
        if not isinstance(values, tuple):
            raise fail("E0305", f"`for` goes through a list, not {describe(values)}", item.items.span,
                       help="write `for i in 1..n` to count")
        for value in values:
            yield dict(unpacked(item.targets, value, item.items.span))

    def _check_turns(self, turns: int, span: Span) -> None:
        if turns > MOST_TURNS:
            raise fail("E0704", f"{turns} repetitions are more than the {MOST_TURNS} that netdsl builds", span)

    def _chosen(self, place: Place, item: tree.If, current: Tensor) -> tree.Body | Unknown | None:
        """The body whose condition holds; None if there is none."""
        choice: tree.If | tree.Body | None = item
        while isinstance(choice, tree.If):
            holds = self.evaluator(place, current).truth(choice.condition)
            if isinstance(holds, Unknown):
                return holds
            choice = choice.body if holds else choice.otherwise
        return choice

    # -------------------------------------------------------------------------------------------- tensors by name

    def _member(self, place: Place, reference: tree.Reference, current: Tensor) -> Member | Unknown:
        steps = []
        for part in reference.parts:
            index = "" if part.index is None else self.evaluator(place, current).evaluate(part.index)
            if isinstance(index, Unknown):
                return index
            steps.append(f"{part.name}{index}")
        return place.names.find(steps, reference.span)

    def _tensor(self, place: Place, current: Tensor, reference: tree.Reference) -> Node | Unknown:
        if len(reference.parts) == 1 and reference.parts[0].index is None:
            value = place.environment.find(reference.parts[0].name)
            if isinstance(value, TensorValue):
                return value.node
            if isinstance(value, Unknown):
                return value
        member = self._member(place, reference, current)
        if isinstance(member, Unknown):
            return member
        if member.output is None:
            raise fail("E0203", f"`{reference.span.text}` is not finished here: it would read itself", reference.span)
        return member.output

    def _reuse(self, place: Place, item: tree.Reuse, names: Names, name: str, current: Tensor) -> Node | Unknown:
        member = self._member(place, item.target, current)
        if isinstance(member, Unknown):
            return member
        if member.again is None:
            raise fail("E0203", f"`{item.target.span.text}` names a tensor, and not a layer or a group", item.target.span,
                       help=f"write `@{item.target.span.text.removeprefix('@')}` for the tensor")
        return member.again(names, name, self._need(current, item.span))

    def _again(self, place: Place, item: tree.Item, weights: str, names: Names, name: str,
               current: Node | Unknown) -> Node | Unknown:
        return self._named(place, item, Member(item.span), names, name, weights, current)

    def _need(self, current: Tensor, span: Span) -> Node | Unknown:
        if current is None:
            raise fail("E0502", "no tensor arrives here", span,
                       help="begin the net with `input image: 3x224x224`, or the chain with `@label`")
        return current


_MADE_BY_STATEMENTS = ("input", "param")


def _join_kind(item: tree.Join | tree.Skip) -> str:
    return item.kind if isinstance(item, tree.Join) else "add"


def _shapes(inputs: tuple[Node, ...]) -> tuple[str, ...]:
    if len(inputs) == 1:
        return (f"the input here is {inputs[0].type}",)
    return tuple(f"branch {i} is {node.type}, from `{node.name}`" for i, node in enumerate(inputs, 1))


def unpacked(targets: tuple[tree.Name, ...], value: Value, span: Span) -> Mapping[str, Value]:
    """The names of a `let` or `for` with their values."""
    if len(targets) == 1:
        return {targets[0].id: value}
    if isinstance(value, Unknown):
        return {target.id: UNKNOWN for target in targets}
    if not isinstance(value, tuple) or len(value) != len(targets):
        found = f"a list of {len(value)}" if isinstance(value, tuple) else describe(value)
        raise fail("E0309", f"{len(targets)} names need a list of {len(targets)}, not {found}", span)
    return {target.id: item for target, item in zip(targets, value, strict=True)}
