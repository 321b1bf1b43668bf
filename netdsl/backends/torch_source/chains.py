"""The modules of a chain for torch.nn.Sequential: a list, or code with the loops and conditions of the net."""

from __future__ import annotations

import ast
from itertools import groupby
from typing import TYPE_CHECKING, Any

from netdsl.backends.torch_source.boxes import Box
from netdsl.backends.torch_source.expressions import NoExpressionError
from netdsl.backends.torch_source.forms import Form
from netdsl.backends.torch_source.python import attribute, flat, is_attribute, laid_out, literal, variable
from netdsl.backends.torch_source.scope import AXES, BodyScope, NotAlikeError, plain, size_of, total
from netdsl.backends.torch_source.steps import Choice, Loop, flattened, steps_of
from netdsl.ir.graph import Node
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.backends.torch_source.arguments import Arguments
    from netdsl.backends.torch_source.scope import ConstructorScope, Sizes
    from netdsl.backends.torch_source.steps import Step
    from netdsl.backends.torch_source.trace import Trace

MIN_LOOP_MODULES = 3
"""This many equal modules in succession, or more, are written as a loop."""
LISTS = ("layers", "inner", "innermost", "modules", "parts", "units", "members", "elements")
"""Variable names for lists of modules, from the outside in."""


class ChainWriter:
    """Writes the modules of chains that share a class.

    Modules are collected in `modules` until there is a loop; then they are written to a list, to which later
    modules are added.
    """

    def __init__(
        self, arguments: Arguments, items: Mapping[Trace, Form | Box], variables: Sequence[str] = LISTS
    ) -> None:
        self.arguments, self.items, self.variables = arguments, items, variables
        self.places = {item: trace for trace, item in items.items()}
        self.modules: list[ast.expr] = []
        self.listed = False
        self.named = False
        """Whether each module is assigned to an attribute of the class as soon as it is written."""

    def write(self, boxes: Sequence[Box], scope: ConstructorScope) -> list[ast.expr]:
        """Return the modules; lines that must come before them are added to the scope's.

        Raises:
            NotAlikeError: the chains differ in a way that no loop or condition explains.
        """
        words = scope.words()
        self.variables = [name for name in self.variables if name not in words]
        sizes = scope.sizes_of(boxes[0].inputs[0])
        steps = [steps_of(box, self.items) for box in boxes]
        if any(list(flattened(some)) != box.items for some, box in zip(steps, boxes, strict=True)):
            steps = [[*box.items] for box in boxes]
        sizes = self.rows(steps, scope, sizes)
        if isinstance(boxes[0].outputs[0], Node):
            scope.put(boxes[0].outputs[0], sizes)
        if self.named:
            return []
        if not self.listed:
            return _repeated(self.modules)
        self.empty(scope)
        return [ast.Starred(ast.Name(self.variables[0], ast.Load()), ast.Load())]

    def empty(self, scope: ConstructorScope) -> None:
        """Write the modules collected until now to the list."""
        if self.named:
            return
        name = self.variables[0]
        modules, self.modules = _repeated(self.modules), []
        if not self.listed:
            typed = "" if name in scope.used else ": list[nn.Module]"
            scope.used[name] = None
            scope.lines += laid_out(f"{name}{typed} = ", ast.List(modules, ast.Load()), scope.indent)
            self.listed = True
        elif len(modules) == 1 and not isinstance(modules[0], ast.Starred):
            append = ast.Call(attribute(name, "append"), modules, [])
            scope.lines += laid_out("", append, scope.indent)
        elif modules:
            only = modules[0].value if len(modules) == 1 and isinstance(modules[0], ast.Starred) else None
            if isinstance(only, ast.GeneratorExp):
                only = ast.ListComp(only.elt, only.generators)
            scope.lines += laid_out(f"{name} += ", only or ast.List(modules, ast.Load()), scope.indent)

    def rows(self, steps: Sequence[Sequence[Step]], scope: ConstructorScope, sizes: Sizes) -> Sizes:
        """Write corresponding steps of all chains; return what is known of the tensor's sizes after them."""
        if len({len(some) for some in steps}) != 1:
            raise NotAlikeError
        for row in zip(*steps, strict=True):
            forms = [step for step in row if isinstance(step, Form)]
            boxes = [step for step in row if isinstance(step, Box)]
            loops = [step for step in row if isinstance(step, Loop)]
            choices = [step for step in row if isinstance(step, Choice)]
            if len(forms) == len(row):
                sizes = self._form(forms, scope, sizes)
            elif len(boxes) == len(row):
                sizes = self._box(boxes, scope, sizes)
            elif len(loops) == len(row):
                sizes = self._loop(loops, scope, sizes)
            elif len(choices) == len(row):
                sizes = self._choice(choices, scope, sizes)
            else:
                raise NotAlikeError
        return sizes

    def _form(self, row: Sequence[Form], scope: ConstructorScope, sizes: Sizes) -> Sizes:
        made = [form.module and (form.module.name, *form.module.arguments) for form in row]
        if len(set(made)) != 1:
            raise NotAlikeError
        scope.put(row[0].sources[0], sizes)
        self._add(row, self.arguments.module(row, scope), scope)
        return scope.sizes_of(row[0].node)

    def _add(self, row: Sequence[Form | Box], module: ast.expr, scope: ConstructorScope) -> None:
        if not self.named:
            self.modules.append(module)
            return
        names = [item.path.rpartition(".")[2] for item in row]
        if len(set(names)) == 1 and not isinstance(scope, BodyScope):
            if not is_attribute(names[0]):
                raise NotAlikeError
            scope.lines += laid_out(f"self.{names[0]} = ", module, scope.indent)
            return
        traces = [self.places[item] for item in row]
        label = _label(traces[0])
        if label is None or label.index is None:
            raise NotAlikeError
        for index in scope.translated([label.index], traces, None):
            value = ast.FormattedValue(index, -1)
            name = ast.JoinedStr([ast.Constant(label.name), value])
            if scope.holds(name, names):
                scope.accept(name)
                add = ast.Call(attribute("self", "add_module"), [name, module], [])
                scope.lines += laid_out("", add, scope.indent)
                return
        raise NotAlikeError

    def _box(self, row: Sequence[Box], scope: ConstructorScope, sizes: Sizes) -> Sizes:
        if len({box.py_class for box in row}) != 1:
            raise NotAlikeError
        source = row[0].inputs[0]
        assert isinstance(source, Node)  # noqa: S101 - the boxes of a chain read one tensor
        scope.put(source, sizes)
        if row[0].py_class is not None:
            self._add(row, self.arguments.box(row, scope), scope)
        else:
            modules = ChainWriter(self.arguments, self.items, self.variables[1:]).write(row, scope)
            self._add(row, ast.Call(attribute("nn", "Sequential"), modules, []), scope)
        return scope.sizes_of(row[0].outputs[0])

    # -------------------------------------------------------------------------------------------- loops

    def _loop(self, row: Sequence[Loop], scope: ConstructorScope, sizes: Sizes) -> Sizes:
        origin = [i for i, loop in enumerate(row) for _ in loop.turns]
        if not origin:
            return sizes
        written = row[0].trace.tree
        if any(loop.trace.tree is not written for loop in row):
            raise NotAlikeError
        try:
            state = scope.save(), [*self.modules], self.listed
            return self._rolled(row, origin, scope, sizes)
        except (NotAlikeError, NoExpressionError):
            saved, self.modules, self.listed = state
            scope.restore(saved)
        if len({len(loop.turns) for loop in row}) != 1:
            raise NotAlikeError
        for turns in zip(*(loop.turns for loop in row), strict=True):
            sizes = self.rows([steps for _, steps in turns], scope, sizes)
        return sizes

    def _rolled(self, row: Sequence[Loop], origin: Sequence[int], scope: ConstructorScope, sizes: Sizes) -> Sizes:
        turns = [turn for loop in row for turn in loop.turns]
        traces = [trace for trace, _ in turns]
        if len(turns) == len(row) and len(row[0].turns) == 1:
            raise NotAlikeError  # a loop that always has one turn is not written as a loop
        view = scope.view(origin, traces)
        targets = _targets(row[0].trace.tree)
        for word in targets:
            try:
                view.loop_variable(word, [plain(trace.place.environment.find(word)) for trace in traces])
            except NoExpressionError:
                continue
        inside, counted = self._enter(view, traces, sizes)
        body = self._inside()
        after = body.rows([steps for _, steps in turns], view, inside)
        header = self._header(row, targets, view, scope)
        read = [name for name in counted if name in view.used]
        if not view.lines and len(body.modules) == 1 and not read:
            self.modules.append(_comprehension(body.modules[0], header))
            return _outside(after, view, scope, row)
        body.empty(view)
        self.empty_once(scope)
        for name in read:
            end = after.get(counted[name])
            if end is None:
                raise NotAlikeError
            view.accept(end)
            if flat(end) != name:
                view.lines += _updated(name, end, view.indent)
            start = sizes.get(counted[name]) or _only([loop.trace.before for loop in row], AXES[counted[name]])
            if start is None:
                raise NotAlikeError
            if flat(start) != name:
                scope.accept(start)
                scope.lines += laid_out(f"{name} = ", start, scope.indent)
        scope.lines += laid_out(f"for {header[0]} in ", header[1], scope.indent, ":")
        scope.lines += view.lines
        results = _outside(after, view, scope, row)
        for name in read:
            nodes = [loop.trace.after for loop in row if isinstance(loop.trace.after, Node)]
            values = size_of(nodes, AXES[counted[name]])
            if values is None or len(values) != len(row):
                raise NotAlikeError
            grown = _grown(name, sizes.get(counted[name]), after[counted[name]], header[1], view)
            results[counted[name]] = scope.set(name, values)
            scope.closed.setdefault(name, grown)
        return results

    def _inside(self) -> ChainWriter:
        """Return a chain for the body of a loop or condition, which adds to the same list or class."""
        body = ChainWriter(self.arguments, self.items, self.variables)
        body.listed, body.named = True, self.named
        return body

    def empty_once(self, scope: ConstructorScope) -> None:
        """Write the modules collected until now, if there are any or the list does not exist yet."""
        if self.modules or not self.listed:
            self.empty(scope)

    def _enter(self, view: BodyScope, traces: Sequence[Trace], sizes: Sizes) -> tuple[Sizes, dict[str, str]]:
        """Return what is known of the sizes of the tensor that reaches a body, and the variables that follow them."""
        nodes = [trace.before for trace in traces if isinstance(trace.before, Node)]
        inside: Sizes = {}
        counted: dict[str, str] = {}
        for key, axis in AXES.items():
            values = size_of(nodes, axis)
            if values is None or len(values) != len(traces):
                continue
            if key in sizes and view.holds(sizes[key], values):
                inside[key] = sizes[key]
            elif axis == 0 or len(nodes[0].type.shape) == 2:
                name = key if len(nodes[0].type.shape) > 1 else "in_features"
                if name in view.words():
                    raise NotAlikeError
                view.loop_variable(name, values)
                inside[key] = ast.Name(name, ast.Load())
                counted[name] = key
        return inside, counted

    def _header(
        self, row: Sequence[Loop], targets: Sequence[str], view: BodyScope, scope: ConstructorScope
    ) -> tuple[str, ast.expr]:
        """Return the variables of a loop, and what it iterates over."""
        traces = [loop.trace for loop in row]
        written = traces[0].tree
        counts = [len(loop.turns) for loop in row]
        sizes = scope.sizes_of(traces[0].before) if isinstance(traces[0].before, Node) else {}

        def said(values: list[Any], *expressions: tree.Expression) -> ast.expr:
            candidates = scope.translated(expressions, traces, sizes.get("in_channels"))
            return scope.expression(values, candidates, "depth")

        if isinstance(written, tree.Repeat):
            return "_", _call("range", said(counts, written.count))
        assert isinstance(written, tree.For)  # noqa: S101 - there are only two kinds of loops
        shown = [variable(word) if variable(word) in view.used else "_" for word in targets]
        if isinstance(written.items, tree.CountingRange):
            if any(word != "_" for word in shown):
                turns = [loop.turns[0][0] if loop.turns else None for loop in row]
                firsts = [plain(turn.place.environment.find(targets[0])) if turn is not None else 1 for turn in turns]
                first = said(firsts, written.items.first)
                past = said([a + b for a, b in zip(firsts, counts, strict=True)], _plus_one(written.items.last))
                return shown[0], _call("range", *([] if flat(first) == "0" else [first]), past)
            return "_", _call("range", said(counts, written.items.last))
        if all(word == "_" for word in shown):
            return "_", _call("range", said(counts, _length(written.items)))
        values = []
        for loop in row:
            found = [tuple(plain(turn.place.environment.find(word)) for word in targets) for turn, _ in loop.turns]
            values.append(tuple(item[0] for item in found) if len(targets) == 1 else tuple(found))
        return ", ".join(shown), scope.expression(
            values, scope.translated([written.items], traces, sizes.get("in_channels")), "items"
        )

    # -------------------------------------------------------------------------------------------- conditions

    def _choice(self, row: Sequence[Choice], scope: ConstructorScope, sizes: Sizes) -> Sizes:
        numbers = [choice.number() for choice in row]
        if len(set(numbers)) == 1:
            return self.rows([choice.steps for choice in row], scope, sizes)
        alternatives = row[0].alternatives()
        self.empty_once(scope)
        branches: list[tuple[str, BodyScope, Sizes]] = []
        word = "if"
        for number, (condition, _) in enumerate(alternatives):
            rest = [i for i, taken in enumerate(numbers) if taken >= number]
            chosen = [i for i in rest if numbers[i] == number]
            if not chosen:
                continue
            header = "else:"
            if len(chosen) < len(rest):
                around = scope.view(rest, [row[i].trace for i in rest], deeper=False)
                candidates = around.translated([condition], [row[i].trace for i in rest], sizes.get("in_channels"))
                test = around.expression([numbers[i] == number for i in rest], candidates, "use")
                header = f"{word} {flat(test)}:"
            view = scope.view(chosen, [_taken(row[i]) for i in chosen])
            body = self._inside()
            after = body.rows([row[i].steps for i in chosen], view, dict(sizes))
            body.empty_once(view)
            branches.append((header, view, after))
            word = "elif"
        result: Sizes = {}
        ends = [after for _, _, after in branches]
        nodes = [choice.trace.after for choice in row if isinstance(choice.trace.after, Node)]
        for key, axis in AXES.items():
            values = size_of(nodes, axis)
            if values is None or len(values) != len(row):
                continue
            for expression in (*(some[key] for some in (sizes, *ends) if key in some), literal(values[0])):
                if scope.holds(expression, values):
                    result[key] = expression
                    break
            else:
                if flat(sizes.get(key, literal(0))) == key and all(key in some for some in ends):
                    for _, view, after in branches:
                        view.accept(after[key])
                        view.lines += _updated(key, after[key], view.indent) if flat(after[key]) != key else []
                    result[key] = scope.set(key, values)
        for header, view, _ in branches:
            scope.lines += [f"{' ' * scope.indent}{header}", *view.lines]
        return result


def _taken(choice: Choice) -> Trace:
    return choice.taken if choice.taken is not None else choice.trace


def _label(trace: Trace) -> tree.Label | None:
    """Return the label of an elaborated item."""
    match trace.outer and trace.outer.tree:
        case tree.Chain(links=links):
            return next(link.label for link in links if isinstance(link, tree.Element) and link.item is trace.tree)
        case tree.Aux(element=element):
            return element.label
    return None


def _targets(written: tree.Tree) -> list[str]:
    return [target.id for target in written.targets] if isinstance(written, tree.For) else []


def _outside(after: Sizes, view: BodyScope, scope: ConstructorScope, row: Sequence[Loop]) -> Sizes:
    """Return what is known of sizes after a loop: what its last turn knew, unless it depends on the turn."""
    nodes = [loop.trace.after for loop in row if isinstance(loop.trace.after, Node)]
    result: Sizes = {}
    for key, axis in AXES.items():
        values = size_of(nodes, axis)
        if values is None or len(values) != len(row):
            continue
        known = [after[key]] if key in after and not _names(after[key]) & {*view.own, *view.lets} else []
        for expression in (*known, literal(values[0])):
            if scope.holds(expression, values):
                result[key] = expression
                break
    return result


def _updated(name: str, value: ast.expr, indent: int) -> list[str]:
    match value:
        case ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=right) if left == name:
            return laid_out(f"{name} += ", right, indent)
    return laid_out(f"{name} = ", value, indent)


def _grown(name: str, start: ast.expr | None, end: ast.expr, turns: ast.expr, view: BodyScope) -> ast.expr | None:
    """Return the final value of a size that starts at `start` and grows by the same amount in every turn."""
    match end, turns:
        case ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=step), ast.Call(func=ast.Name(id="range")):
            if left != name or start is None or _names(step) & {*view.own, *view.lets}:
                return None
            match turns.args:
                case [count] | [ast.Constant(value=1), ast.BinOp(left=count, right=ast.Constant(value=1))]:
                    return total([start, ast.BinOp(count, ast.Mult(), step)])
    return None


def _only(tensors: Sequence[object], axis: int) -> ast.expr | None:
    values = size_of([tensor for tensor in tensors if isinstance(tensor, Node)], axis)
    return literal(values[0]) if values and len(set(values)) == 1 else None


def _names(expression: ast.expr) -> set[str]:
    return {inner.id for inner in ast.walk(expression) if isinstance(inner, ast.Name)}


def _call(function: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function, ast.Load()), [*arguments], [])


def _plus_one(last: tree.Expression) -> tree.Expression:
    return tree.Binary(last.span, "+", last, tree.Constant(last.span, 1))


def _length(items: tree.Expression) -> tree.Expression:
    return tree.FunctionCall(items.span, "len", (items,))


def _comprehension(element: ast.expr, header: tuple[str, ast.expr]) -> ast.expr:
    target = ast.parse(header[0], mode="eval").body
    loop = ast.comprehension(target, header[1], [], 0)
    return ast.Starred(ast.GeneratorExp(element, [loop]), ast.Load())


def _repeated(modules: Sequence[ast.expr]) -> list[ast.expr]:
    """Write equal modules in succession as a loop."""
    found: list[ast.expr] = []
    for text, group in groupby(modules, flat):
        alike = list(group)
        if len(alike) < MIN_LOOP_MODULES:
            found += alike
        else:
            loop = ast.parse(f"({text} for _ in range({len(alike)}))", mode="eval").body
            found.append(ast.Starred(loop, ast.Load()))
    return found
