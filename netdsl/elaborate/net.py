"""Elaboration of a net: its inputs and outputs, its promises, and the arguments it is given from outside."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import lcm
from typing import TYPE_CHECKING

from netdsl.arguments import describe
from netdsl.counts import count_macs, count_params
from netdsl.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.binding import Bound, Callee, match
from netdsl.elaborate.bodies import MADE_BY_STATEMENTS, BodyElaborator, Place
from netdsl.elaborate.errors import DEEPEST, Budget, Stop
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.names import Names
from netdsl.elaborate.nodes import Spot
from netdsl.elaborate.program import BlockDefinition, Module, NetDefinition, VariantDefinition
from netdsl.elaborate.recipe import check_recipe
from netdsl.elaborate.suggestions import listed, suggestion
from netdsl.elaborate.values import UNKNOWN, BlockValue, Environment, LayerValue, Unknown, Value
from netdsl.interpreter import deep_stack, without_garbage_collection
from netdsl.ir.dim import Symbolic, symbol
from netdsl.ir.graph import Constraint, Graph, Node, Scope
from netdsl.ir.types import DType
from netdsl.layer import LAYERS, signature
from netdsl.layers.ends import Input
from netdsl.show import show
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.elaborate.bodies import Tensor
    from netdsl.recipe import Recipe
    from netdsl.source import Span


def elaborate(
    module: Module, name: str, arguments: Mapping[str, object] | None = None, budget: Budget | None = None
) -> Graph:
    """The graph of a net.

    Args:
        module: the program.
        name: one of `module.nets`.
        arguments: values for the net's parameters, in place of their defaults.
        budget: what the work is taken from; one of its own unless given.

    Raises:
        NetdslError: all errors found, each once, with place and stack of block calls.
    """
    with without_garbage_collection(), deep_stack():
        return NetElaborator(name, budget or Budget()).run(module, arguments or {})


@dataclass(frozen=True, slots=True)
class _Promise:
    """An `assert` and the names it was written among."""

    place: Place
    statement: tree.Assert


class NetElaborator(BodyElaborator):
    """A `BodyElaborator` for a whole net; knows the statements that belong to nets alone."""

    def __init__(self, name: str, budget: Budget) -> None:
        super().__init__(budget)
        self.name = name
        self.labels: tuple[str, ...] = ()
        self._labels_span: Span | None = None
        self.recipe: Recipe | None = None
        self.constraints: list[Constraint] = []
        self._promises: list[_Promise] = []
        self._symbols: dict[str, Symbolic] = {}

    def run(self, module: Module, arguments: Mapping[str, object]) -> Graph:
        """Carry out the net's body and check what it promises."""
        graph = None
        with suppress(Stop):
            try:
                graph = self._carry_out(module, arguments)
            except NetdslError as error:
                self.errors.report(error)
        if graph is None or self.errors.found:
            raise NetdslError(self.errors.found)
        return graph

    def _carry_out(self, module: Module, arguments: Mapping[str, object]) -> Graph | None:
        base, bound = self._resolve(module.nets[self.name])
        declaration = base.declaration
        values: dict[str, Value] = {key: b.value for key, b in bound.items()}
        for key, value in arguments.items():
            values[key] = self._outside(key, value, base)
        names = Names(Scope(""), "", "", declaration.body.style, None)
        called_at = self.errors.origin[-1][1] if self.errors.origin else declaration.name_span
        place = self.block_place(base, values, names, 0, called_at)
        self._finish(self.body(place, declaration.body, None), declaration)
        if self.errors.found:
            return None
        graph = self._graph()
        self._check_promises(graph)
        return graph

    def _resolve(self, net: NetDefinition) -> tuple[BlockDefinition, dict[str, Bound]]:
        """The net with a body behind a variant, and the arguments collected on the way; the outermost win."""
        bound: dict[str, Bound] = {}
        pending: list[VariantDefinition] = []
        while isinstance(net, VariantDefinition):
            variant = net.declaration
            if len(pending) > DEEPEST:
                message = f"variants of variants are nested more than {DEEPEST} deep"
                raise fail("E0702", message, variant.base_span, help="make variants of the net with a body")
            if net in pending:
                raise fail(
                    "E0211",
                    f"`{variant.name}` is a variant of itself",
                    variant.base_span,
                    help="give one of them a body, as `net name { ... }`",
                )
            pending.append(net)
            known = net.module.nets
            if variant.base in net.module.blocks:
                raise fail(
                    "E0206",
                    f"`{variant.base}` is a block, and a variant is made of a net",
                    variant.base_span,
                    help=f"call it in a net: `net {variant.name} {{ input image: 3x224x224; {variant.base} ... }}`",
                )
            if variant.base not in known:
                raise fail(
                    "E0206",
                    f"there is no net `{variant.base}`",
                    variant.base_span,
                    help=suggestion(variant.base, known) or "a variant is made of a `net` seen from here",
                )
            net = known[variant.base]
        for definition in reversed(pending):
            variant = definition.declaration
            callee = Callee.of_declaration(variant.base, net.declaration)
            spend = partial(self.errors.spend, Scope(""))
            bound |= match(callee, variant.arguments, Evaluator(definition.module, Environment({}), spend))
            self.errors.origin = (*self.errors.origin, (variant.base, variant.base_span))
        return net, bound

    def _outside(self, key: str, value: object, base: BlockDefinition) -> Value:
        """An argument given by the command line or the API; a string may be the name of a block or a layer."""
        callee = Callee.of_declaration(self.name, base.declaration)
        known = [formal.name for formal in callee.formals]
        if key not in known:
            raise fail(
                "E0301",
                f"the net `{self.name}` has no parameter `{key}`",
                base.declaration.name_span,
                help=suggestion(key, known) or callee.usage(),
            )
        if isinstance(value, list | tuple):
            return tuple(self._outside(key, item, base) for item in value)
        if isinstance(value, str) and value in base.module.blocks:
            return BlockValue(base.module.blocks[value])
        if isinstance(value, str) and value in LAYERS:
            return LayerValue(LAYERS[value])
        if isinstance(value, int | float | str):
            return value
        raise fail("E0305", f"`{key}` takes a number, a truth value, a string or a list, not {type(value).__name__}")

    # -------------------------------------------------------------------------------------------- statements of a net

    def statement(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement that is no chain; those of nets alone are known here."""
        if not isinstance(statement, tree.Input | tree.Assert | tree.ClassLabels | tree.Train):
            return super().statement(place, statement, current)
        if place.names.scope.stack():
            return super().statement(place, statement, current)  # inside a block: refused there
        match statement:
            case tree.Input():
                return self._input(place, statement)
            case tree.Assert():
                self._promises.append(_Promise(place, statement))
            case tree.ClassLabels():
                self._class_labels(place, statement)
            case tree.Train():
                if self.recipe is not None:
                    raise fail(
                        "E0205",
                        "a net has one `train` block, and this is the second",
                        statement.span,
                        help="write its entries into the first",
                    )
                self.recipe = check_recipe(statement, self.evaluator(place, current))
        return current

    def _input(self, place: Place, statement: tree.Input) -> Tensor:
        if place.names.path:
            raise fail(
                "E0507",
                "`input` belongs to the body of the net itself, not to a group in it",
                statement.span,
                help=f"move it before the group, which can begin with `@{statement.name}`",
            )
        unknown = [self._introduce(place, expression, statement.constraints) for expression in statement.shape.dims]
        errors: list[Diagnostic] = []
        for constraint in statement.constraints:
            try:
                self._check_constraint(constraint, unknown)
            except NetdslError as error:
                errors += error.diagnostics
        if errors:
            raise NetdslError(errors)
        evaluator = self.evaluator(place, None)
        shape = [evaluator.size(dim) for dim in statement.shape.dims]
        name, member = place.names.enter(statement.name, "input", statement.name_span, counted=False)
        member.output = UNKNOWN
        dtype = DType.FLOAT32 if statement.dtype is None else self._dtype(statement.dtype)
        sizes = tuple(dim for dim in shape if not isinstance(dim, Unknown))
        if len(sizes) == len(shape):
            member.output = self.make(Spot.of(place.names, name), Input(sizes, dtype), (), statement.span, {})
        return member.output

    def _dtype(self, word: tree.Name) -> DType:
        kind = signature(Input)[1].kind
        if word.id not in kind.words:
            raise fail(
                "E0305",
                f"`{word.id}` is no element type",
                word.span,
                help=suggestion(word.id, kind.words) or f"it is one of {', '.join(kind.words)}",
            )
        return DType(word.id)

    def _introduce(
        self, place: Place, expression: tree.Expression, constraints: tuple[tree.Expression, ...]
    ) -> str | None:
        """Make a symbol of a capital letter that is not known yet, with what `where` says of it, and return it."""
        if not (isinstance(expression, tree.Name) and len(expression.id) == 1 and expression.id.isupper()):
            return None
        if expression.id == "N":
            raise fail(
                "E0109",
                "`N` is the batch, which is always there and never written",
                expression.span,
                help="drop it, or use another letter for a size that is not known",
            )
        if place.environment.find(expression.id) is not None:
            return None
        multiple, minimum = 1, 1
        for constraint in constraints:
            known = _known_of(constraint, expression.id)
            multiple, minimum = lcm(multiple, known[0]), max(minimum, known[1])
        place.environment.values[expression.id] = symbol(expression.id, multiple, minimum)
        return expression.id

    def _check_constraint(self, constraint: tree.Expression, unknown: list[str | None]) -> None:
        symbolic = _symbol_of(constraint)
        if symbolic is None:
            message = "a constraint has one of the forms `H % 32 == 0` and `H >= 33`"
            raise fail("E0310", message, constraint.span, help=_mended(constraint))
        if symbolic not in unknown:
            raise fail(
                "E0202",
                f"`{symbolic}` is no unknown size that this `input` introduces",
                constraint.span,
                help="write a constraint at the `input` whose shape has the letter first",
            )
        multiple, minimum = _known_of(constraint, symbolic)
        size = symbol(symbolic)
        dim = size - minimum if multiple == 1 else 0 - size % multiple
        self.constraints.append(Constraint(constraint.span.text, dim))

    def _class_labels(self, place: Place, statement: tree.ClassLabels) -> None:
        if self._labels_span is not None:
            raise fail(
                "E0205", "a net has one `labels`, and this is the second", statement.span, help="drop one of them"
            )
        self._labels_span = statement.names.span
        value = self.evaluator(place, None).evaluate(statement.names)
        if isinstance(value, Unknown):
            return
        if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
            raise fail("E0305", f"`labels` takes a list of strings, not {describe(value)}", statement.names.span)
        self.labels = tuple(str(item) for item in value)

    # -------------------------------------------------------------------------------------------- the end

    def _finish(self, result: Tensor, declaration: tree.BlockDeclaration) -> None:
        span = declaration.name_span
        if self.errors.found:
            return
        if not any(node.layer.kind == "input" for node in self.nodes.made):
            raise fail(
                "E0501",
                f"the net `{self.name}` has no input",
                span,
                help="begin its body with `input image: 3x224x224`",
            )
        if not self.outputs:
            if isinstance(result, Node) and result.layer.kind == "input":
                raise fail(
                    "E0503", f"the net `{self.name}` computes nothing", span, help="write layers after the `input`"
                )
            self.outputs["output"] = result if isinstance(result, Node) else UNKNOWN
        for node in self.nodes.made:
            if node.layer.kind in MADE_BY_STATEMENTS and (node.name in self.outputs or node.name in self.aux):
                message = f"`{node.name}` is the name of an output too"
                raise fail("E0506", message, node.span, help="choose another name for one of the two")
        outputs = [node for node in self.outputs.values() if isinstance(node, Node)]
        if self.labels and len(outputs) == 1 and outputs[0].type.shape != (len(self.labels),):
            shape = outputs[0].type.shape
            raise fail(
                "E0306",
                f"{len(self.labels)} labels do not fit an output of {outputs[0].type}",
                self._labels_span,
                help=f"give {shape[0]} labels, one for each class" if len(shape) == 1 else "end the net with a vector",
            )

    def _graph(self) -> Graph:
        outputs = {name: node for name, node in self.outputs.items() if isinstance(node, Node)}
        aux = {name: node for name, node in self.aux.items() if isinstance(node, Node)}
        return Graph(self.name, tuple(self.nodes.made), outputs, aux, self.labels, self.recipe, tuple(self.constraints))

    def _check_promises(self, graph: Graph) -> None:
        if not self._promises:
            return
        facts: dict[str, Value] = {
            "params": count_params(graph),
            "macs": count_macs(graph),
            "layers": len(graph.nodes) - len(graph.inputs),
        }
        for promise in self._promises:
            condition = promise.statement.condition
            place = promise.place
            spend = partial(self.errors.spend, place.names.scope)
            evaluator = Evaluator(place.module, Environment(dict(facts), place.environment), spend)
            try:
                if evaluator.truth(condition) is False:
                    self.errors.report(_broken(condition, evaluator, facts))
            except NetdslError as error:
                self.errors.report(_not_known(error, facts, evaluator.environment.names()))


def _broken(condition: tree.Expression, evaluator: Evaluator, facts: Mapping[str, Value]) -> NetdslError:
    """What a false assertion says: the values of the part that fails."""
    span = condition.span
    if not isinstance(condition, tree.Binary) or condition.operator == "or":
        return fail("E0601", f"`{span.text}` does not hold", span, notes=_named(facts, span))
    if condition.operator == "and":
        fails = condition.left if evaluator.truth(condition.left) is False else condition.right
        return _broken(fails, evaluator, facts)
    left, right = (_number_text(evaluator.evaluate(side)) for side in (condition.left, condition.right))
    label = "" if isinstance(condition.right, tree.Constant) else f"{left} {condition.operator} {right} does not hold"
    return fail("E0601", f"`{condition.left.span.text}` is {left}, and `{span.text}` was promised", span, label=label)


def _not_known(error: NetdslError, facts: Mapping[str, Value], names: set[str]) -> NetdslError:
    """The errors of a condition; one that sizes of the input decide is no promise."""
    found = []
    for d in error.diagnostics:
        if d.code == "E0311" and d.span is not None:
            found.append(replace(d, code="E0602", notes=_named(facts, d.span)))
        elif d.code == "E0202" and d.span is not None:
            known = f"an `assert` knows {listed(facts)}, and the names seen where it stands"
            found.append(replace(d, help=suggestion(d.span.text, names) or known))
        else:
            found.append(d)
    return NetdslError(found)


def _named(facts: Mapping[str, Value], span: Span) -> tuple[str, ...]:
    """The facts that a condition speaks of."""
    words = re.findall(r"\w+", span.text)
    return tuple(f"`{name}` is {value}" for name, value in facts.items() if name in words)


def _number_text(value: Value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else show(value)


def _symbol_of(constraint: tree.Expression) -> str | None:
    """The symbol that a constraint of a known form speaks of."""
    match constraint:
        case tree.Binary(
            operator="==",
            left=tree.Binary(operator="%", left=tree.Name(id=name), right=tree.Constant(value=int(divisor))),
            right=tree.Constant(value=0),
        ) if divisor > 0:
            return name
        case tree.Binary(operator=">=", left=tree.Name(id=name), right=tree.Constant(value=int())):
            return name
    return None


def _mended(constraint: tree.Expression) -> str | None:
    """How to write a constraint of another form, or what it means."""
    match constraint:
        case tree.Binary(operator=">", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write `{name} >= {number + 1}`"
        case tree.Binary(operator="==", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write {number} in the place of `{name}` in the shape"
    return None


def _known_of(constraint: tree.Expression, name: str) -> tuple[int, int]:
    """The divisor and the least value that a constraint gives a symbol; 1 and 1 where it speaks of another."""
    if _symbol_of(constraint) != name or not isinstance(constraint, tree.Binary):
        return 1, 1
    if constraint.operator == "==" and isinstance(constraint.left, tree.Binary):
        return _number(constraint.left.right), 1
    return 1, _number(constraint.right)


def _number(expression: tree.Expression) -> int:
    return max(1, int(expression.value)) if isinstance(expression, tree.Constant) else 1
