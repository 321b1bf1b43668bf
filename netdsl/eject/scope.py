"""The constructor of a class in the making: which names it has, and which expression gives a value in all instances."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from netdsl.eject.expressions import NoExpressionError, computed, same, translate
from netdsl.eject.python import flat, laid_out, literal, variable
from netdsl.ir.graph import Node
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netdsl.eject.boxes import Box, Target
    from netdsl.eject.forms import Form
    from netdsl.eject.trace import Trace

Sizes: TypeAlias = dict[str, ast.expr]
"""What gives the channels (`in_channels`, axis 0) and the features (`in_features`, the last) of a tensor."""
AXES = {"in_channels": 0, "in_features": -1}
LONGEST = 40
"""A longer expression for a size is given up for its value."""


@dataclass(frozen=True, slots=True)
class Formal:
    """A parameter of a constructor.

    Attributes:
        name: the variable.
        source: what the language calls it: a name, or one of `AXES`; empty for what it does not know.
        default: its default, or None.
        values: its value in each instance, by box.
    """

    name: str
    source: str
    default: ast.expr | None
    values: dict[Box, Any]

    @property
    def text(self) -> str:
        """As it stands in the signature."""
        types = dict.fromkeys(_type(value) for value in self.values.values())
        default = f" = {flat(self.default)}" if self.default is not None else ""
        return f"{self.name}: {' | '.join(types)}{default}"


class Scope:
    """Names and sizes as the constructor of some boxes sees them."""

    def __init__(self, boxes: Sequence[Box], defaults: dict[str, tree.Expression | None]) -> None:
        self.boxes, self.box = boxes, boxes[0]
        self.defaults = defaults
        """The parameters of the block, with what stands for each unless it is given."""
        self.lines: list[str] = []
        self.known: dict[str, list[Any]] = {}
        self.sources: dict[str, str] = {}
        self.used: dict[str, None] = {}
        self.lets: dict[str, tuple[ast.expr, str]] = {}
        self._let_traces = [_lets(box.trace) for box in boxes]
        self._sizes: dict[Node, Sizes] = {}
        for target in self.box.inputs:
            if isinstance(target, Node):
                self._enter_input(target)

    # -------------------------------------------------------------------------------------------- sizes

    def _enter_input(self, node: Node) -> None:
        row = [box.inputs[self.box.inputs.index(node)] for box in self.boxes]
        nodes = [target for target in row if isinstance(target, Node)]
        sizes = self._sizes[node] = {}
        for name, axis in AXES.items():
            values = size_of(nodes, axis)
            if values is None or (axis == -1 and len(nodes[0].type.shape) != 2):
                continue
            if len(nodes[0].type.shape) == 1:
                name = "in_features"  # noqa: PLW2901 - a vector has features, which are its channels
            if not any(box.block and box.parent for box in self.box.outwards()) and len(set(values)) == 1:
                sizes["in_channels" if axis == 0 else name] = literal(values[0])
            elif self.known.get(variable(name), values) == values:
                self.known[name], self.sources[name] = values, name
                sizes["in_channels" if axis == 0 else name] = ast.Name(name, ast.Load())

    def sizes_of(self, node: Target) -> Sizes:
        """What is known of the sizes of a tensor."""
        return self._sizes.get(node, {}) if isinstance(node, Node) else {}

    def follow(self, row: Sequence[Form], candidates: Iterable[ast.expr] = ()) -> None:
        """Take note of the sizes of a layer's results; `candidates` may be what gives them."""
        form = row[0]
        before = [self.sizes_of(node) for node in form.node.inputs]
        self.set_sizes([item.node for item in row], [*candidates], before, summed=form.node.layer.kind == "concat")

    def set_sizes(
        self, nodes: Sequence[Node], candidates: Sequence[ast.expr], before: Sequence[Sizes], *, summed: bool = False
    ) -> None:
        """Find expressions for the sizes of a tensor."""
        sizes = self._sizes[nodes[0]] = {}
        for name, axis in AXES.items():
            values = size_of(nodes, axis)
            if values is None:
                continue
            inputs = [size[name] for size in before if name in size]
            summed_up = [total(inputs)] if summed and len(inputs) == len(before) > 0 else []
            constant = [literal(values[0])] if len(set(values)) == 1 else []
            inputs.sort(key=lambda size: isinstance(size, ast.Constant))
            for expression in (*candidates, *inputs, *summed_up, *constant):
                if self.holds(expression, values):
                    sizes[name] = expression
                    break
            if name in sizes and constant and len(flat(sizes[name])) > LONGEST:
                sizes[name] = constant[0]

    # -------------------------------------------------------------------------------------------- expressions

    def translated(
        self, written: Iterable[tree.Expression | None], traces: Sequence[Trace], channels: ast.expr | None
    ) -> Iterator[ast.expr]:
        """Those of some expressions that can be said here, and say more than a number."""
        for expression in written:
            if expression is None or isinstance(expression, tree.Constant):
                continue
            try:
                yield translate(expression, lambda word: self._name(word, traces), channels)
            except NoExpressionError:
                continue

    def holds(self, expression: ast.expr, values: Sequence[Any]) -> bool:
        """Whether an expression gives the value in every instance."""
        try:
            return all(
                same(computed(expression, {name: known[i] for name, known in self.known.items()}), value)
                for i, value in enumerate(values)
            )
        except NoExpressionError:
            return False

    def expression(self, values: Sequence[Any], candidates: Iterable[ast.expr], name: str) -> ast.expr:
        """The first of `candidates` that gives the value in every instance, else a further parameter."""
        for expression in candidates:
            if self.holds(expression, values):
                self.accept(expression)
                return expression
        if all(same(value, values[0]) for value in values):
            return literal(values[0])
        return self._further(values, name)

    def accept(self, expression: ast.expr) -> None:
        """An expression is written, and so its names are needed."""
        for inner in ast.walk(expression):
            if isinstance(inner, ast.Name) and inner.id in self.known and inner.id not in self.used:
                self.used[inner.id] = None
                if inner.id in self.lets:
                    value, _ = self.lets[inner.id]
                    self.accept(value)
                    self.lines += laid_out(f"{inner.id} = ", value, 8)

    def _further(self, values: Sequence[Any], name: str) -> ast.expr:
        number, found = 1, name
        while found in self.known:
            if self.sources.get(found) == "" and all(map(same, self.known[found], values)):
                break
            number += 1
            found = f"{name}{number}"
        self.known[found], self.sources[found], self.used[found] = list(values), "", None
        return ast.Name(found, ast.Load())

    def _name(self, word: str, traces: Sequence[Trace]) -> ast.expr:
        """What stands for a name: a parameter, or what a `let` of this class says."""
        values = [plain(trace.place.environment.find(word)) for trace in traces]
        name = variable(word)
        entry = [box.names.find(word) for box in self.boxes]
        if all(value is not None and same(plain(value), here) for value, here in zip(entry, values, strict=True)):
            if name in self.known and (self.sources.get(name) != word or not same(self.known[name], values)):
                raise NoExpressionError
            self.known[name], self.sources[name] = values, word
            return ast.Name(name, ast.Load())
        return self._let(word, name, values)

    def _let(self, word: str, name: str, values: list[Any]) -> ast.expr:
        if name in self.lets and self.lets[name][1] == word and same(self.known[name], values):
            return ast.Name(name, ast.Load())
        found = [lets.get(word, []) for lets in self._let_traces]
        if name in self.known or any(len(traces) != 1 for traces in found):
            raise NoExpressionError
        traces = [lets[0] for lets in found]
        let = traces[0].tree
        if not isinstance(let, tree.Let) or not isinstance(traces[0].before, Node | None):
            raise NoExpressionError
        sizes = self.sizes_of(traces[0].before) if traces[0].before is not None else {}
        value = translate(let.value, lambda inner: self._name(inner, traces), sizes.get("in_channels"))
        if len(let.targets) > 1:
            position = [target.id for target in let.targets].index(word)
            value = ast.Subscript(value, ast.Constant(position), ast.Load())
        if not self.holds(value, values):
            raise NoExpressionError
        if len(let.targets) > 1:
            return value
        self.known[name], self.lets[name] = values, (value, word)
        return ast.Name(name, ast.Load())

    # -------------------------------------------------------------------------------------------- parameters

    def formals(self) -> list[Formal]:
        """The parameters of the constructor: sizes of the input, those of the block, what else is needed."""
        found = []
        for name in self.used:
            if name in self.lets:
                continue
            source = self.sources[name]
            default = self.defaults.get(source)
            shown = None
            if isinstance(default, tree.Constant):
                shown = literal(default.value)
            values = dict(zip(self.boxes, self.known[name], strict=True))
            if not self.box.parent:
                shown = literal(as_tuple(self.known[name][0]))
            found.append(Formal(name, source, shown, values))
        order = [*AXES, *self.defaults]
        found.sort(key=lambda formal: order.index(formal.source) if formal.source in order else len(order))
        return sorted(found, key=lambda formal: formal.default is not None)


def size_of(nodes: Sequence[Node], axis: int) -> list[int] | None:
    """A size of some tensors, if all have it as a number."""
    sizes = [node.type.shape[axis] if node.type.shape else None for node in nodes]
    numbers = [size for size in sizes if isinstance(size, int)]
    return numbers if len(numbers) == len(nodes) else None


def plain(value: Any) -> Any:
    """A value that Python has as well: a number, a truth value, a word, or a list of such."""
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, bool | int | float | str):
        return value
    raise NoExpressionError


def as_tuple(value: Any) -> Any:
    """Lists as tuples, which a default can be."""
    return tuple(as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def total(terms: Sequence[ast.expr]) -> ast.expr:
    """The sum of some sizes; a term that occurs several times is multiplied."""
    counts: dict[str, int] = {}
    constant = 0
    for term in terms:
        for factor, part in _terms(term):
            if isinstance(part, ast.Constant):
                constant += factor * int(str(part.value))
            else:
                counts[flat(part)] = counts.get(flat(part), 0) + factor
    parts = [text if count == 1 else f"{count} * {text}" for text, count in counts.items()]
    parts += [str(constant)] if constant or not parts else []
    return ast.parse(" + ".join(parts), mode="eval").body


def _terms(term: ast.expr) -> list[tuple[int, ast.expr]]:
    """What a sum is made of, with a whole factor each."""
    match term:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_terms(left), *_terms(right)]
        case ast.BinOp(left=ast.Constant(value=int(factor)), op=ast.Mult(), right=ast.Name() as right):
            return [(factor, right)]
    return [(1, term)]


def _lets(trace: Trace) -> dict[str, list[Trace]]:
    """The `let` statements that were carried out in a class, by the names that they give."""
    found: dict[str, list[Trace]] = {}
    pending = [trace]
    while pending:
        here = pending.pop()
        if isinstance(here.tree, tree.Let):
            for target in here.tree.targets:
                found.setdefault(target.id, []).append(here)
        if not isinstance(here.tree, tree.Call):
            pending += here.parts
    return found


def _type(value: Any) -> str:
    if isinstance(value, list | tuple):
        types = dict.fromkeys(_type(item) for item in value)
        return f"tuple[{' | '.join(types)}, ...]" if types else "tuple[()]"
    return type(value).__name__
