"""The constructor that is being written: its variables, and which expressions give a value in all instances."""

from __future__ import annotations

import ast
from copy import copy, deepcopy
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from netdsl.backends.torch_source.expressions import NoExpressionError, Whole, computed, same, translate
from netdsl.backends.torch_source.python import flat, laid_out, literal, variable
from netdsl.elaborate.values import TensorValue
from netdsl.ir.graph import Node
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netdsl.backends.torch_source.boxes import Box, Target
    from netdsl.backends.torch_source.forms import Form
    from netdsl.backends.torch_source.trace import Trace

Sizes: TypeAlias = dict[str, ast.expr]
"""Expressions for the channels (`in_channels`, axis 0) and the features (`in_features`, the last axis) of a tensor."""
AXES = {"in_channels": 0, "in_features": -1}
OTHER = "channels of input "
"""The prefix of `Formal.source` for the channels of an input that is not the first."""
MAX_SIZE_EXPRESSION = 40
"""The longest expression for a size; a longer one is replaced by its value."""
MAX_WRITTEN_EXPRESSION = 64
"""The longest translation of an expression of the `.net` file, unless it is a list."""


@dataclass(frozen=True, slots=True)
class ConstructorParameter:
    """A parameter of a constructor.

    Attributes:
        name: the variable.
        source: its name in the language, or one of `AXES`; empty if it has none.
        default: its default, or None.
        values: its value in each instance, by box.
    """

    name: str
    source: str
    default: ast.expr | None
    values: dict[Box, Any]

    @property
    def text(self) -> str:
        """Return its text in the signature."""
        types = dict.fromkeys(_type(value) for value in self.values.values())
        default = f" = {flat(self.default)}" if self.default is not None else ""
        return f"{self.name}: {' | '.join(types)}{default}"


class NotAlikeError(Exception):
    """Instances differ in a way that one text cannot express."""


class ConstructorScope:
    """The variables and sizes in the constructor of some boxes.

    Attributes:
        lines: the lines of the constructor before the statement that is being written.
        known: the values of the variables in each instance.
        used: the variables that the text uses, in order.
    """

    def __init__(self, boxes: Sequence[Box], defaults: dict[str, tree.Expression | None]) -> None:
        self.boxes, self.box, self.count = boxes, boxes[0], len(boxes)
        self.defaults = defaults
        """The parameters of the block with their defaults; None for those without one."""
        self.indent = 8
        self.lines: list[str] = []
        self.known: dict[str, list[Any]] = {}
        self.used: dict[str, None] = {}
        self.lets: dict[str, ast.expr] = {}
        self._let_traces = [_lets(box.trace) for box in boxes]
        self._parameters: dict[str, tuple[str, list[Any]]] = {}
        self.closed: dict[str, ast.expr | None] = {}
        """For each variable that a loop changed: an expression of the parameters for its value, or None."""
        self._sizes: dict[Node, Sizes] = {}
        for target in self.box.inputs:
            if isinstance(target, Node):
                self._enter_input(target)

    def words(self) -> set[str]:
        """Return the Python variables for all names that are visible here."""
        found = {variable(word) for box in self.boxes for word in box.names.names()}
        return found | {variable(word) for lets in self._let_traces for word in lets}

    def view(self, origin: Sequence[int], traces: Sequence[Trace], *, deeper: bool = True) -> BodyScope:
        """Return the scope of a body that runs `len(origin)` times; `origin` holds the instance of each time."""
        return BodyScope(self, origin, traces, self.indent + 4 * deeper)

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
            elif node is not self.box.inputs[0]:
                if axis == 0 and (further := self._tensor_name(node)) not in self.known:
                    self._parameter(further, f"{OTHER}{self.box.inputs.index(node)}", values)
                    sizes["in_channels"] = ast.Name(further, ast.Load())
            elif self.known.get(name, values) == values:
                self._parameter(name, name, values)
                sizes["in_channels" if axis == 0 else name] = ast.Name(name, ast.Load())

    def put(self, node: Target, sizes: Sizes) -> None:
        """Set what is known of the sizes of a tensor."""
        if isinstance(node, Node):
            self._sizes[node] = sizes

    def save(self) -> dict[str, Any]:
        """Return the state, for `restore`."""
        return {name: copy(value) for name, value in vars(self).items()}

    def restore(self, saved: dict[str, Any]) -> None:
        """Return to a saved state."""
        vars(self).update(saved)

    def _tensor_name(self, node: Node) -> str:
        """Return the variable for the channels of a further input."""
        for name, value in self.box.names.values.items():
            if isinstance(value, TensorValue) and value.node is node:
                return variable(f"{name}_channels")
        return "other_channels"

    def sizes_of(self, node: Target) -> Sizes:
        """Return what is known of the sizes of a tensor."""
        return self._sizes.get(node, {}) if isinstance(node, Node) else {}

    def follow(self, row: Sequence[Form], candidates: Iterable[ast.expr] = ()) -> None:
        """Set the sizes of a layer's results; `candidates` are expressions that may give them."""
        form = row[0]
        before = [self.sizes_of(node) for node in form.sources]
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
            others = [size for known in before for size in known.values()]
            summed_up = [total(inputs)] if summed and len(inputs) == len(before) > 0 else []
            constant = [literal(values[0])] if len(set(values)) == 1 else []
            inputs.sort(key=lambda size: isinstance(size, ast.Constant))
            for expression in (*candidates, *inputs, *summed_up, *others, *constant):
                if self.holds(expression, values):
                    sizes[name] = expression
                    break
            if name in sizes and constant and len(flat(sizes[name])) > MAX_SIZE_EXPRESSION:
                sizes[name] = constant[0]

    # -------------------------------------------------------------------------------------------- expressions

    def translated(
        self, written: Iterable[tree.Expression | None], traces: Sequence[Trace], channels: ast.expr | None
    ) -> Iterator[ast.expr]:
        """Yield the translations of expressions that are possible here and are more than a constant."""
        for expression in written:
            if expression is None or isinstance(expression, tree.Constant):
                continue
            try:
                found = translate(expression, lambda word: self._name(word, traces), channels)
            except NoExpressionError:
                continue
            if len(flat(found)) <= MAX_WRITTEN_EXPRESSION or isinstance(expression, tree.List):
                yield from readings(found)

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
        """Return the first of `candidates` that gives the value in every instance, else a further parameter."""
        for expression in candidates:
            if self.holds(expression, values):
                self.accept(expression)
                return expression
        if all(same(value, values[0]) for value in values):
            return literal(values[0])
        return self.further(values, name)

    def accept(self, expression: ast.expr) -> None:
        """Mark the variables of an expression as used, because it is written."""
        for inner in ast.walk(expression):
            if isinstance(inner, ast.Name) and inner.id in self.known and inner.id not in self.used:
                self._use(inner.id)

    def _use(self, name: str) -> None:
        self.used[name] = None
        if name in self.lets:
            self.accept(self.lets[name])
            self.lines += laid_out(f"{name} = ", self.lets[name], self.indent)

    def further(self, values: Sequence[Any], name: str) -> ast.expr:
        """Add a parameter that has no name in the language."""
        number, found = 1, name
        while found in self.known:
            if self._parameters.get(found, ("?", []))[0] == "" and all(map(same, self.known[found], values)):
                break
            number += 1
            found = f"{name}{number}"
        self._parameter(found, "", list(values))
        self.used[found] = None
        return ast.Name(found, ast.Load())

    def _parameter(self, name: str, source: str, values: list[Any]) -> None:
        self.known[name] = values
        self._parameters.setdefault(name, (source, values))

    def set(self, name: str, values: list[Any]) -> ast.expr:
        """Change the values of a variable; sizes that depend on it are forgotten."""
        self.known[name] = values
        self.used[name] = None
        for sizes in self._sizes.values():
            for key in [key for key, value in sizes.items() if name in flat(value)]:
                del sizes[key]
        return ast.Name(name, ast.Load())

    def _name(self, word: str, traces: Sequence[Trace]) -> ast.expr:
        """Return the expression for a name if it has the right value in all `traces`."""
        expression = self.provide(word)
        if not self.holds(expression, [plain(trace.place.environment.find(word)) for trace in traces]):
            raise NoExpressionError
        return expression

    def provide(self, word: str) -> ast.expr:
        """Return the expression for a name: a parameter, or a variable for a `let` of this class."""
        name = variable(word)
        values = [box.names.find(word) for box in self.boxes]
        if any(value is None for value in values):
            return self._let(word, name)
        if name not in self.known:
            self._parameter(name, word, [plain(value) for value in values])
        elif self._parameters.get(name, ("", []))[0] != word:
            raise NoExpressionError
        return ast.Name(name, ast.Load())

    def _let(self, word: str, name: str) -> ast.expr:
        found = [lets.get(word, []) for lets in self._let_traces]
        if any(len(traces) != 1 for traces in found):
            raise NoExpressionError
        traces = [lets[0] for lets in found]
        values = [plain(trace.place.environment.find(word)) for trace in traces]
        if name in self.lets and all(map(same, self.known[name], values)):
            return ast.Name(name, ast.Load())
        let = traces[0].tree
        if name in self.known or not isinstance(let, tree.Let) or not isinstance(traces[0].before, Node | None):
            raise NoExpressionError
        sizes = self.sizes_of(traces[0].before) if traces[0].before is not None else {}
        written = translate(let.value, lambda inner: self._name(inner, traces), sizes.get("in_channels"))
        if len(let.targets) > 1:
            position = [target.id for target in let.targets].index(word)
            if isinstance(written, ast.Tuple):
                written = written.elts[position]
            else:
                written = ast.Subscript(written, ast.Constant(position), ast.Load())
        value = next((found for found in readings(written) if self.holds(found, values)), None)
        if value is None:
            raise NoExpressionError
        if len(let.targets) > 1:
            return value
        self.known[name], self.lets[name] = values, value
        return ast.Name(name, ast.Load())

    # -------------------------------------------------------------------------------------------- parameters

    def formals(self) -> list[ConstructorParameter]:
        """Return the parameters of the constructor: sizes of the input, those of the block, then all others."""
        found = []
        for name in self.used:
            if name not in self._parameters:
                continue
            source, here = self._parameters[name]
            default = self.defaults.get(source)
            shown = None
            if isinstance(default, tree.Constant):
                shown = literal(default.value)
            values = dict(zip(self.boxes, here, strict=True))
            if not self.box.parent:
                shown = literal(as_tuple(here[0]))
            found.append(ConstructorParameter(name, source, shown, values))
        order = [*AXES, *self.defaults]
        found.sort(key=lambda formal: order.index(formal.source) if formal.source in order else len(order))
        return sorted(found, key=lambda formal: formal.default is not None)


class BodyScope(ConstructorScope):
    """The scope of a body in a constructor that runs several times, or for some instances only."""

    def __init__(self, outer: ConstructorScope, origin: Sequence[int], traces: Sequence[Trace], indent: int) -> None:
        self.outer, self.origin, self.indent, self.count = outer, origin, indent, len(origin)
        self.box, self.boxes = outer.box, outer.boxes
        self.lines: list[str] = []
        self.known = {name: self._spread(values) for name, values in outer.known.items()}
        self.used: dict[str, None] = {}
        self.lets: dict[str, ast.expr] = {}
        self.closed: dict[str, ast.expr | None] = {}
        self.own: dict[str, str] = {}
        """The variables that a loop sets, with their names in the language."""
        self._let_traces = [_lets(trace) for trace in traces]
        self._sizes: dict[Node, Sizes] = {}

    def _spread(self, values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in self.origin]

    def inherit(self) -> None:
        """Take over what the outer scope knows of sizes."""
        self._sizes = dict(self.outer._sizes)  # noqa: SLF001 - of its own class

    def loop_variable(self, word: str, values: list[Any]) -> None:
        """Add a variable that has another value in each turn."""
        name = variable(word)
        self.known[name], self.own[name] = values, word

    def _use(self, name: str) -> None:
        self.used[name] = None
        if name in self.lets:
            self.accept(self.lets[name])
            self.lines += laid_out(f"{name} = ", self.lets[name], self.indent)
        elif name not in self.own:
            self.outer.accept(ast.Name(name, ast.Load()))

    def further(self, values: Sequence[Any], name: str) -> ast.expr:
        """Add a parameter of the constructor that has no name in the language; all turns must agree on its value."""
        whole: list[Any] = [None] * self.outer.count
        for i, value in zip(self.origin, values, strict=True):
            if whole[i] is not None and not same(whole[i], value):
                raise NotAlikeError
            whole[i] = value
        filled = [values[0] if value is None else value for value in whole]
        return self._import(self.outer.further(filled, name))

    def _import(self, expression: ast.expr) -> ast.expr:
        """Use an expression of the outer scope here."""
        for inner in ast.walk(expression):
            if isinstance(inner, ast.Name) and inner.id in self.outer.known:
                if inner.id in self.own:
                    raise NoExpressionError
                self.known[inner.id] = self._spread(self.outer.known[inner.id])
        return expression

    def provide(self, word: str) -> ast.expr:
        """Return the expression for a name: a loop variable, a `let` of the body, or what the outer scope has."""
        name = variable(word)
        if self.own.get(name) == word:
            return ast.Name(name, ast.Load())
        if any(word in lets for lets in self._let_traces):
            return self._let(word, name)
        return self._import(self.outer.provide(word))


def readings(expression: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression, and the same with integer division if it divides."""
    yield expression
    if any(isinstance(inner, ast.Div) for inner in ast.walk(expression)):
        yield Whole().visit(deepcopy(expression))


def size_of(nodes: Sequence[Node], axis: int) -> list[int] | None:
    """Return one size of all tensors; None if it is symbolic in any."""
    sizes = [node.type.shape[axis] if node.type.shape else None for node in nodes]
    numbers = [size for size in sizes if isinstance(size, int)]
    return numbers if len(numbers) == len(nodes) else None


def plain(value: Any) -> Any:
    """Return a value that Python has as well: a number, a boolean, a string, or a tuple of such."""
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Fraction):
        return float(value)
    raise NoExpressionError


def as_tuple(value: Any) -> Any:
    """Convert lists to tuples, which are allowed as defaults."""
    return tuple(as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def total(terms: Sequence[ast.expr]) -> ast.expr:
    """Return the sum of sizes; a term that occurs several times is multiplied."""
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
    """Return the terms of a sum, each with an integer factor."""
    match term:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_terms(left), *_terms(right)]
        case ast.BinOp(left=ast.Constant(value=int(factor)), op=ast.Mult(), right=ast.Name() as right):
            return [(factor, right)]
    return [(1, term)]


def _lets(trace: Trace) -> dict[str, list[Trace]]:
    """Return the `let` statements that were elaborated in a class, by the names that they define."""
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
