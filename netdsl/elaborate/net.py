"""Elaboration of a whole net: the statements that only nets have, and the finished graph."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError, fail, visible
from netdsl.base.interpreter import deep_stack, without_garbage_collection
from netdsl.elaborate.bodies import BodyElaborator
from netdsl.elaborate.bounds import check_bounds
from netdsl.elaborate.calls import MADE_BY_STATEMENTS, block_place
from netdsl.elaborate.errors import Budget, Stop
from netdsl.elaborate.inputs import make_input
from netdsl.elaborate.names import Names
from netdsl.elaborate.place import Place
from netdsl.elaborate.promises import Promise, check_promises
from netdsl.elaborate.recipe import check_batch, check_loss, check_recipe, loss_of
from netdsl.elaborate.values import UNKNOWN, Unknown
from netdsl.elaborate.variants import given, resolve
from netdsl.ir.deciding import decide
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.ir.invariants import verified
from netdsl.ir.labels import class_name
from netdsl.layers.arguments import describe
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.base.source import Span
    from netdsl.elaborate.module import Module, VariantDefinition
    from netdsl.elaborate.observer import Observer
    from netdsl.elaborate.place import Tensor
    from netdsl.ir.constraint import Constraint
    from netdsl.recipe.words import Recipe


def elaborate(
    module: Module,
    name: str,
    arguments: Mapping[str, object] | None = None,
    budget: Budget | None = None,
    observer: Observer | None = None,
) -> Graph:
    """Elaborate a net to its graph.

    Args:
        module: the program.
        name: one of `module.nets`.
        arguments: values for the net's parameters, instead of their defaults.
        budget: limits the work; None is a new budget.
        observer: is notified of everything that is carried out.

    Raises:
        NetdslError: it holds all errors, each once, with their locations and stacks of block calls.
    """
    with without_garbage_collection(), deep_stack():
        return verified(NetElaborator(name, budget or Budget(), observer).run(module, arguments or {}))


class NetElaborator(BodyElaborator):
    """A `BodyElaborator` for a whole net, with the statements that only nets have."""

    def __init__(self, name: str, budget: Budget, observer: Observer | None) -> None:
        super().__init__(budget, observer)
        self.name = name
        self.labels: tuple[str, ...] = ()
        self._labels_span: Span | None = None
        self.recipe: Recipe | None = None
        self.constraints: dict[Constraint, None] = {}
        self._inputs: list[tree.Input] = []
        self._promises: list[Promise] = []

    def run(self, module: Module, arguments: Mapping[str, object]) -> Graph:
        """Carry out the net's body and check its promises."""
        graph = None
        with suppress(Stop):
            try:
                graph = self._carry_out(module, arguments)
            except NetdslError as error:
                self.errors.report(error)
        if graph is None or self.errors.found:
            raise NetdslError(self.errors.found, self.errors.more)
        return graph

    def _carry_out(self, module: Module, arguments: Mapping[str, object]) -> Graph | None:
        base, values, variants = resolve(module.nets[self.name], self.errors)
        declaration = base.declaration
        self._inputs = [s for s in declaration.body.statements if isinstance(s, tree.Input)]
        values |= given(self.name, base, arguments)
        names = Names(Scope(""), "", "", declaration.body.style, None)
        called_at = self.errors.origin[-1][1] if self.errors.origin else declaration.name_span
        place = block_place(self, base, values, names, 0, called_at)
        result = self.body(place, declaration.body, None)
        self._of_variants(variants, names, result, promised=not arguments)
        self._finish(result, declaration)
        if self.errors.found:
            return None
        graph = self._graph()
        check_bounds(graph, self.errors)
        if self.recipe is not None:
            check_loss(self.recipe, graph)
            check_batch(self.recipe, graph)
        if self._promises:
            check_promises(self._promises, graph, self.errors)
        return graph

    # -------------------------------------------------------------------------------------------- statements of a net

    def statement(self, place: Place, statement: tree.Statement, current: Tensor) -> Tensor:
        """Carry out a statement other than a chain, including those that only nets have."""
        if not isinstance(statement, tree.Input | tree.Assert | tree.ClassLabels | tree.Train):
            return super().statement(place, statement, current)
        if place.names.scope.stack():
            return super().statement(place, statement, current)  # which refuses it inside a block
        match statement:
            case tree.Input():
                return make_input(self, place, statement, self._inputs, self.constraints)
            case tree.Assert():
                self._promises.append(Promise(place, statement, self.errors.origin))
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

    def _of_variants(
        self, variants: Sequence[VariantDefinition], names: Names, result: Tensor, *, promised: bool
    ) -> None:
        """Carry out the bodies of variants; `variants` begins with the outermost, which takes effect last.

        A promise of a variant holds for the variant's own arguments: not for arguments given from outside
        (`promised`), and not for variants of the variant.
        """
        origin = self.errors.origin
        for number, variant in reversed(list(enumerate(variants))):
            declaration = variant.declaration
            statements = declaration.body.statements if declaration.body is not None else ()
            place = Place(variant.module, variant.module.environment, names, {}, 0)
            self.errors.origin = origin[len(origin) - number :]
            if any(isinstance(statement, tree.Train) for statement in statements):
                self.recipe = None
            if any(isinstance(statement, tree.ClassLabels) for statement in statements):
                self._labels_span = None
            for statement in statements:
                if not isinstance(statement, tree.Assert | tree.Expect | tree.ClassLabels | tree.Train):
                    message = "a variant has the layers of its base; its body holds promises, labels and a recipe only"
                    way = f"write `assert`, `expect`, `labels` or `train`, or a separate net for `{declaration.name}`"
                    self.errors.report(fail("E0507", message, statement.span, help=way))
                elif isinstance(statement, tree.ClassLabels | tree.Train) or (promised and number == 0):
                    self.guarded(place, statement, result)
        self.errors.origin = origin

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
            raise fail("E0305", f"`labels` expected a list of strings, got {describe(value)}", statement.names.span)
        for item in map(str, value):
            if visible(item) != item:
                raise fail(
                    "E0112",
                    f"expected the name of a class, got `{item}` with control characters",
                    statement.names.span,
                    help="write it without them",
                )
        self.labels = tuple(class_name(str(item), statement.names.span) for item in value)

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
        shape = outputs[0].type.shape if outputs else ()
        fitting = shape == (len(self.labels),) or (shape == (1,) and len(self.labels) == 2)  # yes or no is two classes
        if self.labels and len(outputs) == 1 and not fitting:
            raise fail(
                "E0306",
                f"{len(self.labels)} labels do not fit an output of {outputs[0].type}",
                self._labels_span,
                help=f"give {shape[0]} labels, one for each class" if len(shape) == 1 else "end the net with a vector",
            )

    def _graph(self) -> Graph:
        outputs = {name: node for name, node in self.outputs.items() if isinstance(node, Node)}
        aux = {name: node for name, node in self.aux.items() if isinstance(node, Node)}
        nodes, constraints = tuple(self.nodes.made), tuple(self.constraints)
        graph = Graph(self.name, nodes, outputs, aux, self.labels, self.recipe, constraints)
        loss = None if self.recipe is None else loss_of(self.recipe, graph)
        return replace(graph, meaning=decide(graph, loss))
