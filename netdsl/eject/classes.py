"""A class for boxes that hold the same: its constructor, and its `forward`."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from netdsl.eject.boxes import Box, reads_of
from netdsl.eject.forms import Form, Learned, Module, Ref
from netdsl.eject.forward import Forward, Operation, in_one_line
from netdsl.eject.python import flat, is_attribute, laid_out, signature, variable
from netdsl.eject.scope import Scope
from netdsl.elaborate.values import TensorValue
from netdsl.ir.graph import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.eject.arguments import Arguments
    from netdsl.eject.boxes import Target
    from netdsl.eject.scope import Formal


LEAST_ALIKE = 3
"""From so many equal modules in a row on, they are written as a loop."""
MOST_COUNTED = 3
"""More results than these are not counted in the type of a `forward`."""


@dataclass(eq=False, slots=True)
class PyClass:
    """A class of the file.

    Attributes:
        name: what it is called.
        formals: the parameters of its constructor, in order.
        lines: its text.
        sizes: the channels and the features of its results, in terms of its parameters.
    """

    name: str
    formals: list[Formal] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    sizes: list[dict[str, ast.expr]] = field(default_factory=list)


class ClassWriter:
    """Writes the class of some boxes."""

    def __init__(
        self, name: str, boxes: Sequence[Box], arguments: Arguments, results: Sequence[Operation] = ()
    ) -> None:
        self.boxes, self.box = boxes, boxes[0]
        self.made = PyClass(name)
        self.scope = Scope(boxes, arguments.defaults(boxes[0]))
        self.arguments, self.results = arguments, results
        self.body: list[str] = []
        self.built: set[str] = set()

    def write(self) -> PyClass:
        """The class."""
        chain = sequential(self.box) and bool(self.box.block) and self.box.parent is not None
        if chain:
            modules = self._chain(self.boxes)
            self._flush()
            self.body += laid_out("", ast.Call(ast.Name("super().__init__", ast.Load()), modules, []), 8)
        else:
            for row in zip(*(box.items for box in self.boxes), strict=True):
                self._member(row)
        self.made.formals = self.scope.formals()
        self.made.sizes = [self.scope.sizes_of(node) for node in self.box.outputs]
        base = "nn.Sequential" if chain else "nn.Module"
        lines = [f"class {self.made.name}({base}):"]
        if self.body or chain:
            formals = ["self", *(formal.text for formal in self.made.formals)]
            lines += signature("def __init__", formals, "None", 4)
            lines += [] if chain else ["        super().__init__()"]
            lines += self.body
        if not chain:
            lines += ["", *self._forward()] if len(lines) > 1 else self._forward()
        self.made.lines = lines
        return self.made

    # -------------------------------------------------------------------------------------------- the constructor

    def _member(self, row: Sequence[Form | Box]) -> None:
        """The lines of the constructor for one item."""
        forms = [item for item in row if isinstance(item, Form)]
        boxes = [item for item in row if isinstance(item, Box)]
        if forms:
            built = self._learned(forms)
            if forms[0].module is not None and self._new(forms[0].path):
                built.append((forms[0].path, self.arguments.module(forms, self.scope)))
            else:
                self.scope.follow(forms)
        else:
            made = self._box(boxes)
            built = [(boxes[0].path, made)] if boxes[0].first is None else []
            self.built |= {path for path, _ in built}
        self._flush()
        for path, value in built:
            self._set(path, value)

    def _learned(self, row: Sequence[Form]) -> list[tuple[str, ast.expr]]:
        """What makes the learned tensors of a layer without a submodule; those with roles stand in a dictionary."""
        form = row[0]
        made = {path: self.arguments.learned(row, path, self.scope) for path in form.learned if self._new(path)}
        if "" in form.learned.values():
            return list(made.items())
        roles = [ast.Constant(form.learned[path]) for path in made]
        owners = {path.removesuffix(f".{form.learned[path]}") for path in made}
        call = ast.Call(ast.parse("nn.ParameterDict", mode="eval").body, [ast.Dict([*roles], [*made.values()])], [])
        return [(owner, call) for owner in owners]

    def _flush(self) -> None:
        self.body += self.scope.lines
        self.scope.lines = []

    def _new(self, path: str) -> bool:
        """Whether a module or tensor is made here, and now."""
        if self.box.relative(path) is None or path in self.built:
            return False
        if any(path.startswith(f"{built}.") for built in self.built):
            return False
        self.built.add(path)
        return True

    def _set(self, path: str, value: ast.expr) -> None:
        """Lines that make something a member."""
        name = self.box.relative(path)
        assert name is not None  # noqa: S101 - `_new` has seen to it
        if is_attribute(name):
            self.body += laid_out(f"self.{name} = ", value, 8)
        else:
            call = ast.parse(f'self.add_module("{name}")', mode="eval").body
            assert isinstance(call, ast.Call)  # noqa: S101 - it has just been written
            call.args.append(value)
            self.body += laid_out("", call, 8)

    def _box(self, row: Sequence[Box]) -> ast.expr:
        """The expression that makes a box, whose results are known afterwards."""
        if row[0].py_class is None:
            modules = self._chain(row)
            return ast.Call(ast.parse("nn.Sequential", mode="eval").body, modules, [])
        return self.arguments.box(row, self.scope)

    def _chain(self, boxes: Sequence[Box]) -> list[ast.expr]:
        """The modules of a chain; several of one kind in a row are written once."""
        modules: list[ast.expr] = []
        for row in zip(*(box.items for box in boxes), strict=True):
            forms = [item for item in row if isinstance(item, Form)]
            boxes_in_row = [item for item in row if isinstance(item, Box)]
            modules.append(self.arguments.module(forms, self.scope) if forms else self._box(boxes_in_row))
        found: list[ast.expr] = []
        for text, group in groupby(modules, flat):
            alike = list(group)
            if len(alike) < LEAST_ALIKE:
                found += alike
            else:
                loop = ast.parse(f"({text} for _ in range({len(alike)}))", mode="eval").body
                found.append(ast.Starred(loop, ast.Load()))
        return found

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
        """Whether it is the tensor that is called `x`: the one that arrives, or the only one."""
        alone = sum(isinstance(other, Node) for other in self.box.inputs) == 1
        return alone if self.box.parent is None else target is self.box.trace.before or alone

    def _label(self, node: Node) -> str:
        """What a tensor is called here: by the parameter that holds it, or else by its own name."""
        for name, value in self.box.names.values.items():
            if isinstance(value, TensorValue) and value.node is node:
                return name
        around = self.box.parent.path if self.box.parent is not None else ""
        return node.name.removeprefix(f"{around}.").partition(".")[0]

    def _operations(self, item: Form | Box) -> list[Operation]:
        training = item.training and not self.box.training
        if isinstance(item, Box):
            value = ast.Call(Ref.to(item.module), [Ref.to(target) for target in item.inputs], [])
            return [Operation(value, tuple(item.outputs), training, item.line, item.name)]
        label = item.node.name.rpartition(".")[2] if item.labelled else ""
        parts = [Operation(part.value, (part,), training, item.line) for part in item.parts]
        return [*parts, Operation(item.value, (item.node,), training, item.line, label)]

    def _results(self) -> list[Operation]:
        if self.results:
            return list(self.results)
        values: list[ast.expr] = [Ref.to(node) for node in self.box.outputs]
        value = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
        return [Operation(value, (), training=False, line=None)]

    def _result_type(self) -> str:
        kinds = ["dict" if isinstance(result.value, ast.Dict) else "one" for result in self.results]
        if "dict" in kinds:
            return "torch.Tensor | dict[str, torch.Tensor]" if "one" in kinds else "dict[str, torch.Tensor]"
        count = len(self.box.outputs)
        if count > MOST_COUNTED:
            return "tuple[torch.Tensor, ...]"
        return f"tuple[{', '.join(['torch.Tensor'] * count)}]" if count > 1 else "torch.Tensor"

    def _place(self, target: Target) -> ast.expr:
        """How `forward` gets at something that is not computed."""
        if target in self.box.inputs:
            return ast.Name(self._input_names()[target], ast.Load())
        assert isinstance(target, Module | Learned)  # noqa: S101 - results have variables
        name = self.box.relative(target.path)
        assert name is not None  # noqa: S101 - what is outside is an input
        if all(map(is_attribute, name.split("."))):
            return ast.parse(f"self.{name}", mode="eval").body
        way = "get_submodule" if isinstance(target, Module) else "get_parameter"
        return ast.parse(f'self.{way}("{name}")', mode="eval").body


def sequential(box: Box) -> bool:
    """Whether a box is a chain of its own modules, numbered in order, each of which is applied once."""
    if len(box.inputs) != 1 or len(box.outputs) != 1 or not isinstance(box.inputs[0], Node) or box.first is not None:
        return False
    current: Any = box.inputs[0]
    for number, item in enumerate(box.items):
        path = f"{box.path}.{number}"
        if isinstance(item, Form):
            plain = item.plain and item.path == path
        else:
            plain = item.path == path and item.first is None and len(item.outputs) == 1
        tensors = [target for target in reads_of(item) if not isinstance(target, Module)]
        if not plain or tensors != [current] or item.training != box.training:
            return False
        if isinstance(item, Box) and len(item.inputs) != 1:
            return False
        current = (item.node if isinstance(item, Form) else item.outputs[0])
    return bool(box.items) and current is box.outputs[0]

