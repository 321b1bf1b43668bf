"""A class for boxes that are equal: its constructor, and its `forward`."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from netdsl.backends.torch_source.alike import aligned, stand_in
from netdsl.backends.torch_source.boxes import Box, looped, results, sequential, substitute
from netdsl.backends.torch_source.chains import ChainWriter
from netdsl.backends.torch_source.forms import Form, Learned, Ref, Submodule, numbers
from netdsl.backends.torch_source.forward import Forward, Operation, in_one_line
from netdsl.backends.torch_source.python import WIDTH, attribute, flat, is_attribute, laid_out, signature, variable
from netdsl.backends.torch_source.scope import ConstructorScope, NotAlikeError
from netdsl.elaborate.values import TensorValue
from netdsl.ir.graph import Node
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netdsl.backends.torch_source.arguments import Arguments
    from netdsl.backends.torch_source.boxes import Target
    from netdsl.backends.torch_source.scope import ConstructorParameter
    from netdsl.backends.torch_source.trace import Trace


MAX_RESULTS_COUNTED = 3
"""The largest number of results that the return type of a `forward` lists one by one."""


@dataclass(eq=False, slots=True)
class PyClass:
    """A class of the file.

    Attributes:
        name: its name.
        formals: the parameters of its constructor, in order.
        lines: its text.
        sizes: the channels and the features of its results, as expressions of its parameters.
    """

    name: str
    formals: list[ConstructorParameter] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    sizes: list[dict[str, ast.expr]] = field(default_factory=list)


class ClassWriter:
    """Writes the class of some boxes."""

    def __init__(
        self,
        name: str,
        boxes: Sequence[Box],
        arguments: Arguments,
        items: Mapping[Trace, Form | Box],
        places: Mapping[Form | Box, Trace],
        returns: Sequence[Operation] = (),
        *,
        strict: bool = False,
    ) -> None:
        self.boxes, self.box = boxes, boxes[0]
        self.made = PyClass(name)
        self.scope = ConstructorScope(boxes, arguments.defaults(boxes[0]))
        self.arguments, self.items, self.places, self.returns = arguments, items, places, returns
        self.whole = len({len(box.items) for box in boxes}) == 1
        self.pairs = [] if self.whole else [aligned(self.box, box, places) or {} for box in boxes]
        self.flags: dict[Form, str] = {}
        self.strict = strict
        self.attributes: dict[int, ast.expr] = {}
        self.body: list[str] = []
        self.built: set[str] = set()

    def write(self) -> PyClass:
        """Return the class."""
        sequence = sequential(self.box) and bool(self.box.block) and self.box.parent is not None
        named = not sequence and looped(self.box) and self._named_chain()
        if sequence:
            modules = ChainWriter(self.arguments, self.items).write(self.boxes, self.scope)
            self._flush()
            self.body += laid_out("", ast.Call(ast.Name("super().__init__", ast.Load()), modules, []), 8)
        elif not named:
            for row in self._rows():
                self._member(row)
        if self.box.parent is None:
            self._orphans()
        self.made.formals = self.scope.formals()
        self.made.sizes = [self._sizes(node) for node in self.box.outputs]
        base = "nn.Sequential" if sequence or named else "nn.Module"
        lines = [f"class {self.made.name}({base}):"]
        if self.body or sequence:
            formals = ["self", *(formal.text for formal in self.made.formals)]
            lines += signature("def __init__", formals, "None", 4)
            lines += [] if sequence else ["        super().__init__()"]
            lines += self.body
        if not sequence and not named:
            lines += ["", *self._forward()] if len(lines) > 1 else self._forward()
        self.made.lines = lines
        return self.made

    def _sizes(self, node: Node) -> dict[str, ast.expr]:
        """Return the sizes of a result, as expressions of the constructor's parameters."""
        closed = self.scope.closed
        known = {key: closed.get(flat(size), size) for key, size in self.scope.sizes_of(node).items()}
        return {key: size for key, size in known.items() if size is not None}

    def _named_chain(self) -> bool:
        """Write a chain of named modules with its loops, if that is possible; return whether it is."""
        saved = self.scope.save()
        chain = ChainWriter(self.arguments, self.items)
        chain.named = True
        try:
            chain.write(self.boxes, self.scope)
        except NotAlikeError:
            if not self.strict:
                raise
            self.scope.restore(saved)
            return False
        self._flush()
        return True

    # -------------------------------------------------------------------------------------------- the constructor

    def _rows(self) -> Iterator[list[Form | Box | None]]:
        """Yield each item of the first box with the corresponding items of the others."""
        waiting = [list(box.items) for box in self.boxes]
        for item in self.box.items:
            written = self.places[item].tree
            row: list[Form | Box | None] = []
            for items in waiting:
                there = len(self.boxes) == 1 or self.whole or (items and self.places[items[0]].tree is written)
                row.append(items.pop(0) if there else None)
            yield row

    def _member(self, row: Sequence[Form | Box | None]) -> None:
        """Write the lines of the constructor for one item."""
        if None in row:
            self._optional(row)
            return
        forms = [item for item in row if isinstance(item, Form)]
        boxes = [item for item in row if isinstance(item, Box)]
        if forms:
            self._numbers(forms)
            built = self._learned(forms)
            if forms[0].module is not None and self._new(forms[0].path):
                built.append((forms[0].path, self.arguments.module(forms, self.scope)))
            else:
                self.scope.follow(forms)
        elif boxes[0].first is not None:
            self._follow_reuse(boxes, boxes[0].first)
            built = []
        else:
            built = [(boxes[0].path, self._box(boxes, self.scope))]
            self.built |= {path for path, _ in built}
        self._flush()
        for path, value in built:
            self._set(path, value)

    def _follow_reuse(self, row: Sequence[Box], first: Box) -> None:
        """Set the sizes of the results of a `reuse`, whose modules are those of its first application."""
        before = [self.scope.sizes_of(target) for target in row[0].inputs[:1]]
        for number, output in enumerate(first.outputs):
            nodes = [box.outputs[number] for box in row]
            self.scope.set_sizes(nodes, [*self.scope.sizes_of(output).values()], before)

    def _numbers(self, row: Sequence[Form]) -> None:
        """Turn numbers in `forward` that differ between instances into attributes."""
        lists = [[found for value in _values(form) for found in numbers(value)] for form in row]
        for column in zip(*lists, strict=True):
            values = [[ast.literal_eval(item) for item in found.elts] for found in column]
            if all(value == values[0] for value in values):
                continue
            items: list[ast.expr] = []
            for i in range(len(values[0])):
                candidates = self.arguments.numbers(row, self.scope)
                items.append(self.scope.expression([value[i] for value in values], candidates, "margin"))
            name = self._name(f"margins{len(self.attributes) + 1}")
            self.attributes[id(column[0])] = attribute("self", name)
            self._flush()
            self.body += laid_out(f"self.{name} = ", ast.Tuple(items, ast.Load()), 8)

    def _optional(self, row: Sequence[Form | Box | None]) -> None:
        """Write the lines for an item that some instances lack: nn.Identity replaces it, or `forward` tests a flag."""
        item = row[0]
        assert item is not None  # noqa: S101 - the first box has everything
        chosen = [i for i, other in enumerate(row) if other is not None]
        test = self.scope.expression(
            [other is not None for other in row], self._conditions(item), variable(item_name(item))
        )
        view = self.scope.view(chosen, [], deeper=False)
        view.inherit()
        (result,) = results(item)
        if isinstance(item, Form) and item.module is None:
            self.flags[item] = flag = self._name("residual")
            self._flush()
            self.body += laid_out(f"self.{flag} = ", test, 8)
        else:
            forms = [other for other in row if isinstance(other, Form)]
            boxes = [other for other in row if isinstance(other, Box)]
            value = self.arguments.module(forms, view) if forms else self._box(boxes, view)
            path = item.path
            self.built.add(path)
            self._flush()
            self._set_either(path, test, view.lines, value)
        nodes = [pairs[result] for pairs in self.pairs]
        source = stand_in(item, self.places)
        before = [self.scope.sizes_of(source)] if source is not None else []
        self.scope.set_sizes(nodes, list(view.sizes_of(result).values()), before)

    def _set_either(self, path: str, test: ast.expr, lines: Sequence[str], value: ast.expr) -> None:
        """Write the lines that assign a module if a condition holds, and nn.Identity otherwise."""
        name = self.box.relative(path)
        assert name is not None  # noqa: S101 - it is created here
        identity = ast.Call(attribute("nn", "Identity"), [], [])
        one_line = laid_out(f"self.{name} = ", ast.IfExp(test, value, identity), 8)
        if not is_attribute(name):
            raise NotAlikeError
        if not lines and len(one_line) == 1 and len(one_line[0]) <= WIDTH:
            self.body += one_line
            return
        self.body += laid_out("if ", test, 8, ":")
        self.body += [f"    {line}" for line in lines]
        self.body += laid_out(f"self.{name} = ", value, 12)
        self.body += ["        else:", f"            self.{name} = nn.Identity()"]

    def _name(self, word: str) -> str:
        """Return a free name for an attribute that is not a module."""
        taken = {item_name(item) for item in self.box.items} | {*self.flags.values()}
        return next(name for name in chain([word], (f"{word}{n}" for n in count(2))) if name not in taken)

    def _conditions(self, item: Form | Box) -> Iterator[ast.expr]:
        """Yield the condition under which an item exists, if it can be expressed."""
        inner, outer = self.places[item], self.places[item].outer
        if isinstance(inner.tree, tree.Skip):
            outer = inner
        while outer is not None and outer is not self.box.trace:
            condition: tree.Expression | None = None
            match outer.tree:
                case tree.Skip(shortcut=tree.Shortcut() as shortcut) if inner.tree is shortcut.body:
                    condition = shortcut.condition
                case tree.Skip() if inner is outer:
                    condition = outer.tree.condition
                case tree.If() if inner.tree is outer.tree.body:
                    condition = outer.tree.condition
            traces = [_find(box.trace, outer.tree) for box in self.boxes]
            known = [trace for trace in traces if trace is not None]
            if condition is not None and len(known) == len(traces) and isinstance(outer.before, Node):
                sizes = self.scope.sizes_of(outer.before)
                yield from self.scope.translated([condition], known, sizes.get("in_channels"))
            inner, outer = outer, outer.outer

    def _learned(self, row: Sequence[Form]) -> list[tuple[str, ast.expr]]:
        """Return the learned tensors of a layer without a submodule; roles become keys of an nn.ParameterDict."""
        form = row[0]
        made = {path: self.arguments.learned(row, path, self.scope) for path in form.learned if self._new(path)}
        if "" in form.learned.values():
            return list(made.items())
        roles = [ast.Constant(form.learned[path]) for path in made]
        owners = {path.removesuffix(f".{form.learned[path]}") for path in made}
        call = ast.Call(attribute("nn", "ParameterDict"), [ast.Dict([*roles], [*made.values()])], [])
        return [(owner, call) for owner in owners]

    def _flush(self) -> None:
        self.body += self.scope.lines
        self.scope.lines = []

    def _new(self, path: str) -> bool:
        """Whether a module or tensor is to be created here and now."""
        if self.box.relative(path) is None or path in self.built or path in self.arguments.orphans:
            return False
        if any(path.startswith(f"{built}.") for built in self.built):
            return False
        self.built.add(path)
        return True

    def _orphans(self) -> None:
        """Write the lines for modules that a `reuse` applies although the layer that created them is not needed."""
        for form in self.box.forms():
            for path in (form.path, *form.learned):
                if path not in self.arguments.orphans or path in self.built:
                    continue
                self.built.add(path)
                if path in form.learned:
                    value = self.arguments.learned([form], path, self.scope)
                else:
                    value = self.arguments.module([form], self.scope)
                self._flush()
                *around, last = path.split(".")
                for depth in range(1, len(around) + 1):
                    if (outer := ".".join(around[:depth])) not in self.built:
                        self.built.add(outer)
                        self._set(outer, ast.Call(attribute("nn", "Module"), [], []))
                set_it = "register_parameter" if path in form.learned else "add_module"
                call = ast.Attribute(_own(".".join(around), "get_submodule"), set_it, ast.Load())
                self.body += laid_out("", ast.Call(call, [ast.Constant(last), value], []), 8)

    def _set(self, path: str, value: ast.expr) -> None:
        """Write the lines that assign a value to an attribute."""
        name = self.box.relative(path)
        assert name is not None  # noqa: S101 - checked by `_new`
        around, _, last = name.rpartition(".")
        if all(map(is_attribute, name.split("."))):
            self.body += laid_out(f"self.{name} = ", value, 8)
        else:
            add = ast.Attribute(_own(around, "get_submodule"), "add_module", ast.Load())
            self.body += laid_out("", ast.Call(add, [ast.Constant(last), value], []), 8)

    def _box(self, row: Sequence[Box], scope: ConstructorScope) -> ast.expr:
        """Return the expression that creates a box, and set the sizes of its results."""
        if row[0].py_class is None:
            modules = ChainWriter(self.arguments, self.items).write(row, scope)
            return ast.Call(attribute("nn", "Sequential"), modules, [])
        return self.arguments.box(row, scope)

    # -------------------------------------------------------------------------------------------- forward

    def _forward(self) -> list[str]:
        variables = self._input_names()
        operations = [operation for item in self.box.items for operation in self._operations(item)]
        operations = in_one_line([*operations, *self._results()])
        lines = Forward(variables, self._place).write(operations)
        formals = ["self"]
        for target, name in variables.items():
            formals.append(f"{name}: {'torch.Tensor' if isinstance(target, Node | Learned) else 'nn.Module'}")
        return [*signature("def forward", formals, self._result_type(), 4), *lines]

    def _input_names(self) -> dict[Any, str]:
        names: dict[Any, str] = {}
        for target in self.box.inputs:
            if isinstance(target, Node):
                wanted = "x" if self._is_main(target) else self._label(target)
            else:
                wanted = target.path.rpartition(".")[2]
            wanted = variable(wanted) if is_attribute(wanted) else "other"
            while wanted in names.values():
                wanted += "_"
            names[target] = wanted
        return names

    def _is_main(self, target: Target) -> bool:
        """Whether a tensor is the one named `x`: the one that reaches the box, or the only one."""
        alone = sum(isinstance(other, Node) for other in self.box.inputs) == 1
        return alone if self.box.parent is None else target is self.box.trace.before or alone

    def _label(self, node: Node) -> str:
        """Return the name of a tensor in this box: that of the parameter that holds it, or its own."""
        for name, value in self.box.names.values.items():
            if isinstance(value, TensorValue) and value.node is node:
                return name
        around = self.box.parent.path if self.box.parent is not None else ""
        return node.name.removeprefix(f"{around}.").partition(".")[0]

    def _operations(self, item: Form | Box) -> list[Operation]:
        training = item.training and not self.box.training
        if isinstance(item, Box):
            called = ast.Call(Ref.to(item.module), [Ref.to(target) for target in item.inputs], [])
            return [Operation(called, tuple(item.outputs), training, item.line, item.name)]
        label = item.node.name.rpartition(".")[2] if item.labelled else ""
        values = [substitute(value, Ref.to, self.attributes) for value in _values(item)]
        parts = [Operation(some, (part,), training, item.line) for part, some in zip(item.parts, values, strict=False)]
        value = values[-1]
        if item in self.flags:
            flag = attribute("self", self.flags[item])
            value = ast.IfExp(flag, value, Ref.to(item.sources[0]))
        return [*parts, Operation(value, (item.node,), training, item.line, label)]

    def _results(self) -> list[Operation]:
        if self.returns:
            return list(self.returns)
        values: list[ast.expr] = [Ref.to(node) for node in self.box.outputs]
        value = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
        return [Operation(value, (), training=False, line=None)]

    def _result_type(self) -> str:
        kinds = ["dict" if isinstance(result.value, ast.Dict) else "one" for result in self.returns]
        if "dict" in kinds:
            return "torch.Tensor | dict[str, torch.Tensor]" if "one" in kinds else "dict[str, torch.Tensor]"
        count = len(self.box.outputs)
        if count > MAX_RESULTS_COUNTED:
            return "tuple[torch.Tensor, ...]"
        return f"tuple[{', '.join(['torch.Tensor'] * count)}]" if count > 1 else "torch.Tensor"

    def _place(self, target: Target) -> ast.expr:
        """Return how `forward` refers to something that it does not compute."""
        if target in self.box.inputs:
            return ast.Name(self._input_names()[target], ast.Load())
        assert isinstance(target, Submodule | Learned)  # noqa: S101 - results have variables
        name = self.box.relative(target.path)
        assert name is not None  # noqa: S101 - what is outside is an input
        return _own(name, "get_submodule" if isinstance(target, Submodule) else "get_parameter")


def _own(name: str, getter: str) -> ast.expr:
    """Return `self.blocks.conv`, or a call of the method `way` if a step is not an identifier; `self` for no name."""
    steps = name.split(".") if name else []
    if all(map(is_attribute, steps)):
        return attribute("self", *steps)
    return ast.Call(attribute("self", getter), [ast.Constant(name)], [])


def _values(form: Form) -> list[ast.expr]:
    return [*(part.value for part in form.parts), form.value]


def item_name(item: Form | Box) -> str:
    """Return the name of an item in its box."""
    return item.name if isinstance(item, Box) else item.node.name.rpartition(".")[2]


def _find(trace: Trace, written: tree.Tree) -> Trace | None:
    """Return where something was elaborated within a class."""
    pending = [trace]
    while pending:
        here = pending.pop()
        if here.tree is written:
            return here
        if here is trace or not isinstance(here.tree, tree.Call):
            pending += here.parts
    return None
