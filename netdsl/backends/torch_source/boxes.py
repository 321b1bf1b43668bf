"""Candidates for classes: the net, each block call and each labelled group, with their inputs and outputs."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from netdsl.backends.torch.lower import LIBRARIES
from netdsl.backends.torch_source.forms import Form, Learned, Ref, SharedPart, Submodule
from netdsl.ir.graph import Node
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from netdsl.backends.torch_source.classes import PyClass
    from netdsl.backends.torch_source.trace import Record, Trace
    from netdsl.elaborate.environment import Environment
    from netdsl.ir.graph import Graph, Scope

Outside: TypeAlias = Node | Submodule | Learned
"""What a box can read from outside."""
Target: TypeAlias = Outside | SharedPart
"""What an expression can refer to."""


@dataclass(eq=False, slots=True, repr=False)
class Box:
    """A scope of the net: the layers and inner scopes in it, in order.

    Attributes:
        path: its path in the net.
        weights: the path of its parameters; differs from `path` if it is a `reuse`.
        trace: the item or statement that opened it; for a block and the net, its elaborated body.
        call: the call of a block, else None.
        names: the names that are visible in its text, with their values.
        block: the name of the block or net; empty for a group.
        training: whether it is used only in training.
        items: its layers and inner boxes.
        inputs: what it reads from outside: tensors, modules and learned tensors.
        outputs: the results that are read outside.
        line: equal for items that are written on one line.
        first: the box that this `reuse` applies again, if both are equal.
        py_class: its class; None if it is written inline.
    """

    path: str
    weights: str
    trace: Trace
    call: Trace | None
    names: Environment
    block: str
    parent: Box | None
    training: bool = False
    line: object = None
    items: list[Form | Box] = field(default_factory=list)
    inputs: list[Outside] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    first: Box | None = None
    py_class: PyClass | None = None

    @property
    def module(self) -> Submodule:
        """Return the submodule that is called for it."""
        return Submodule(self.path if self.first is None else self.first.path)

    @property
    def name(self) -> str:
        """Return the last step of its path."""
        return self.path.rpartition(".")[2]

    def relative(self, path: str) -> str | None:
        """Return the path of a module relative to this box; None if the module is outside."""
        return path.removeprefix(f"{self.path}.") if not self.path or path.startswith(f"{self.path}.") else None

    def outwards(self) -> Iterator[Box]:
        """Yield the box itself and those around it, from the inside out."""
        here: Box | None = self
        while here is not None:
            yield here
            here = here.parent

    def everything(self) -> Iterator[Box]:
        """Yield the boxes in it and itself, from the inside out."""
        for item in self.items:
            if isinstance(item, Box):
                yield from item.everything()
        yield self

    def forms(self) -> Iterator[Form]:
        """Yield all layers in it."""
        for item in self.items:
            if isinstance(item, Box):
                yield from item.forms()
            else:
                yield item


def make_boxes(graph: Graph, forms: list[Form], results: Iterable[Node], record: Record) -> Box:
    """Return the net's box with all others in it; a labelled join belongs to the scope of its branches."""
    (root_scope,) = {node.scope for node in graph.inputs}
    body = record.bodies[root_scope]
    root = Box("", "", body, None, body.place.environment, graph.name, None)
    boxes: dict[Scope, Box] = {root_scope: root}
    by_path = {scope.path: scope for scope in record.of_scope}
    for form in forms:
        inner = by_path.get(form.node.name)
        scope = inner if inner is not None and inner.parent is form.node.scope else form.node.scope
        _box(scope, boxes, record).items.append(form)
    by_place = {box.path: box for box in root.everything()}
    for box in root.everything():
        box.training = all(item.training for item in box.items)
        _find_inputs(box)
    _find_outputs(root, results)
    for box in root.everything():
        first = by_place.get(box.weights)
        if box.weights != box.path and first is not None and content(box) == content(first):
            box.first = first
    for box in root.everything():
        _find_inputs(box)
    return root


def _box(scope: Scope, boxes: dict[Scope, Box], record: Record) -> Box:
    if scope not in boxes:
        assert scope.parent is not None  # noqa: S101 - the root is in `boxes` from the start
        parent = _box(scope.parent, boxes, record)
        trace = record.of_scope[scope]
        call = trace if isinstance(trace.tree, tree.Call) else None
        if call is not None:
            trace = record.bodies[scope]
        weights = record.weights.get(scope, scope.path)
        boxes[scope] = Box(scope.path, weights, trace, call, trace.place.environment, scope.block or "", parent)
        boxes[scope].line = record.of_scope[scope].chain
        parent.items.append(boxes[scope])
    return boxes[scope]


def _find_inputs(box: Box) -> None:
    """Find what a box reads from outside; the tensor that reaches it comes first."""
    own: set[Target] = set()
    outside_targets: dict[Outside, None] = {}
    for item in box.items:
        for target in reads_of(item):
            if isinstance(target, Submodule | Learned):
                places = (box.path,) if box.first is None else (box.path, box.weights)
                outside = bool(box.path) and not any(target.path.startswith(f"{place}.") for place in places)
            else:
                outside = target not in own
            if outside and not isinstance(target, SharedPart):
                outside_targets[target] = None
        own |= set(results_of(item))
    box.inputs = sorted(outside_targets, key=lambda target: target is not box.trace.before)


def reads_of(item: Form | Box) -> Iterator[Target]:
    """Yield what an item refers to."""
    if isinstance(item, Form):
        for value in (*(part.value for part in item.parts), item.value):
            yield from reads(value)
    else:
        yield item.module
        yield from item.inputs


def content(box: Box) -> tuple[Any, ...]:
    """Return a key of everything in a box, with the names of modules relative to the path of its parameters."""
    numbers: dict[Target, int] = {}

    def number(target: Target) -> ast.expr:
        if isinstance(target, Submodule | Learned):
            for place in (box.path, box.weights):
                if target.path.startswith(f"{place}."):
                    return ast.Name(target.path.removeprefix(place), ast.Load())
        return ast.Name(f"#{numbers.setdefault(target, len(numbers))}", ast.Load())

    entries = []
    for form in box.forms():
        module = form.module
        arguments = () if module is None else (module.name, tuple(map(repr, module.arguments.items())))
        values = (*(part.value for part in form.parts), form.value)
        entries.append((*(ast.dump(substitute(value, number)) for value in values), arguments, form.training))
        number(form.node)
    return (*entries, tuple(numbers[node] for node in box.outputs))


def results(item: Form | Box) -> tuple[Node, ...]:
    """Return the results of an item that are read outside."""
    return tuple(item.outputs) if isinstance(item, Box) else (item.node,)


def results_of(item: Form | Box) -> Iterator[Node]:
    """Yield all nodes in an item."""
    if isinstance(item, Form):
        yield item.node
    else:
        for inner in item.items:
            yield from results_of(inner)


def _find_outputs(root: Box, results: Iterable[Node]) -> None:
    """Find the results that are read outside of the boxes that compute them."""
    homes: dict[Target, Box] = {}
    for box in root.everything():
        homes |= {item.node: box for item in box.items if isinstance(item, Form)}
    readers = [(target, homes[form.node]) for form in root.forms() for target in reads_of(form)]
    for target, reader in [*readers, *((node, root) for node in results)]:
        around = set(reader.outwards())
        for box in homes[target].outwards() if target in homes else ():
            if box in around:
                break
            if isinstance(target, Node) and target not in box.outputs:
                box.outputs.append(target)
    order = {form.node: i for i, form in enumerate(root.forms())}
    for box in root.everything():
        box.outputs.sort(key=order.__getitem__)


def reads(value: ast.expr) -> Iterator[Target]:
    """Yield what an expression refers to, in order."""
    return (inner.target for inner in walk(value) if isinstance(inner, Ref))


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of an expression, from left to right."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk(child)


def substitute(node: Any, replace: Callable[[Target], ast.expr], instead: Mapping[int, ast.expr] | None = None) -> Any:
    """Return a copy of an expression with its references replaced, and the nodes that are in `instead` by id."""
    if isinstance(node, Ref):
        return replace(node.target)
    if instead is not None and id(node) in instead:
        return instead[id(node)]
    if isinstance(node, list):
        return [substitute(item, replace, instead) for item in node]
    if not isinstance(node, ast.AST):
        return node
    made = copy.copy(node)
    for name, value in ast.iter_fields(node):
        setattr(made, name, substitute(value, replace, instead))
    return made


def sequential(box: Box) -> bool:
    """Whether a box is a chain of its own modules, numbered in order, each applied once."""
    return _chained(box) and all(_called(item) == str(number) for number, item in enumerate(box.items))


def looped(box: Box) -> bool:
    """Whether a box is a chain of its own modules that a loop creates, with names that nn.Sequential can take."""
    taken = dir(LIBRARIES["nn"].Sequential)
    if box.parent is None or not _chained(box) or any(_called(item) in taken for item in box.items):
        return False
    pending = [box.trace]
    while pending:
        here = pending.pop()
        if isinstance(here.tree, tree.Repeat | tree.For) and len(here.parts) > 1:
            return True
        if here is box.trace or not isinstance(here.tree, tree.Call | tree.Group):
            pending += here.parts
    return False


def _called(item: Form | Box) -> str:
    path = item.path if isinstance(item, Box) or item.module is not None else item.node.name
    return path.rpartition(".")[2]


def _chained(box: Box) -> bool:
    if len(box.inputs) != 1 or len(box.outputs) != 1 or not isinstance(box.inputs[0], Node) or box.first is not None:
        return False
    current: Any = box.inputs[0]
    for item in box.items:
        plain = item.path == f"{box.path}.{_called(item)}"
        if isinstance(item, Form):
            plain = plain and item.plain
        else:
            plain = plain and item.first is None and len(item.outputs) == 1
        tensors = [target for target in reads_of(item) if not isinstance(target, Submodule)]
        if not plain or tensors != [current] or item.training != box.training:
            return False
        if isinstance(item, Box) and len(item.inputs) != 1:
            return False
        current = item.node if isinstance(item, Form) else item.outputs[0]
    return bool(box.items) and current is box.outputs[0]
