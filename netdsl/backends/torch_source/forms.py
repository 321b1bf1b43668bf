"""The PyTorch form of each layer, as Python expressions that refer to other layers' results."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netdsl.backends.torch_source.python import literal
from netdsl.ir.dim import Symbolic, compute
from netdsl.ir.graph import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netdsl.ir.dim import Dim, Symbol

OPERATORS = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "truediv": ast.Div, "floordiv": ast.FloorDiv, "mod": ast.Mod,
}  # fmt: skip
LIBRARIES = {"F": "functional"}
"""The names in the generated file of libraries that layers abbreviate."""


class Ref(ast.Name):
    """A placeholder in an expression for the result of a layer, a module or a learned tensor.

    `target` is a node; a `Submodule`; a `Learned`; or a `SharedPart`, which is computed just before.
    """

    target: Any

    @staticmethod
    def to(target: Any) -> Ref:
        """Return a reference."""
        ref = Ref("_", ast.Load())
        ref.target = target
        return ref


@dataclass(frozen=True, slots=True)
class Submodule:
    """A submodule, by its path."""

    path: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A learned tensor without a module, by its path."""

    path: str


@dataclass(eq=False, slots=True)
class SharedPart:
    """A part of a form that is used more than once."""

    value: ast.expr


@dataclass(eq=False, slots=True, repr=False)
class Form:
    """The PyTorch form of a layer.

    Attributes:
        value: its result; a `Ref` stands for everything that the layer does not compute itself.
        module: its submodule, or None.
        path: the path of the submodule.
        learned: the roles of the learned tensors that it reads, by path.
        training: whether it is used only in training.
        parts: the parts of the value that are used more than once, in the order of computation.
        line: equal for layers that are written on one line.
        sources: the nodes that it is applied to.
    """

    node: Node
    value: ast.expr = field(default_factory=lambda: Ref.to(None))
    module: ModuleForm | None = None
    path: str = ""
    learned: dict[str, str] = field(default_factory=dict)
    training: bool = False
    parts: list[SharedPart] = field(default_factory=list)
    line: object = None
    sources: tuple[Node, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether its name was chosen in the `.net` file."""
        name, kind = self.node.name.rpartition(".")[2], self.node.layer.kind
        return not name.removeprefix(kind).isdigit()

    @property
    def strides_its_kernel(self) -> bool:
        """Whether it is a window whose stride is its kernel size, which is the default of pools."""
        arguments = self.module.arguments if self.module is not None else {}
        return "kernel_size" in arguments and arguments["kernel_size"] == arguments.get("stride")

    @property
    def plain(self) -> bool:
        """Whether it is just its submodule applied to one input."""
        match self.value:
            case ast.Call(func=Ref(target=Submodule()), args=[Ref(target=source)]):
                return isinstance(source, Node)
        return False

    def split(self) -> None:
        """Move what is used more than once from the value to `parts`."""
        counts = Counter(id(inner) for inner in ast.walk(self.value) if isinstance(inner, ast.Call | ast.Subscript))
        splitter = _Splitter({key for key, count in counts.items() if count > 1})
        self.value = splitter.visit(self.value)
        self.parts = splitter.parts


class _Splitter(ast.NodeTransformer):
    def __init__(self, shared: set[int]) -> None:
        self.shared = shared
        self.done: dict[int, SharedPart] = {}
        self.parts: list[SharedPart] = []

    def visit(self, node: ast.AST) -> Any:
        if id(node) not in self.shared:
            return self.generic_visit(node)
        if id(node) not in self.done:
            self.shared.remove(id(node))
            value = self.generic_visit(node)
            assert isinstance(value, ast.expr)  # noqa: S101 - a copy of an expression
            part = SharedPart(value)
            self.shared.add(id(node))
            self.done[id(node)] = part
            self.parts.append(part)
        return Ref.to(self.done[id(node)])


def numbers(value: ast.expr) -> list[ast.List]:
    """Return the lists of integers in an expression, such as the margins of a pad."""
    lists = [inner for inner in ast.walk(value) if isinstance(inner, ast.List) and inner.elts]
    return [found for found in lists if all(_is_number(item) for item in found.elts)]


def _is_number(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=int()) | ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
            return True
    return False


@dataclass(slots=True)
class ModuleForm:
    """The constructor of a submodule: its class, the values of its arguments, the number of positional ones."""

    name: str
    arguments: dict[str, Any]
    positional: int


def form_of(
    node: Node, inputs: Sequence[Node], net_inputs: Sequence[Node], signature: Callable[[str], Sequence[str]]
) -> Form:
    """Return the form of a layer applied to `inputs`; `signature` returns the names of a class's arguments."""
    form = Form(node, sources=tuple(inputs))
    lowering = _NodeLowering(form, inputs, net_inputs, signature)
    form.value = _expression(node.layer.to_torch(lowering, *(Ref.to(source) for source in inputs)))
    form.split()
    return form


class _NodeLowering:
    """`netdsl.layers.base.TorchLowering` for one node; its values are expressions."""

    def __init__(
        self,
        form: Form,
        sources: Sequence[Node],
        net_inputs: Sequence[Node],
        signature: Callable[[str], Sequence[str]],
    ) -> None:
        self.form, self.node, self.signature = form, form.node, signature
        self.sources, self.net_inputs = sources, net_inputs
        self.inputs, self.output = self.node.input_types, self.node.type

    def module(self, name: str, *args: Any, **kwargs: Any) -> Callable[..., ast.expr]:
        owner = (param.name.removesuffix(f".{role}") for role, param in self.node.params.items())
        self.form.path = next(owner, self.node.name)
        arguments = {**dict(zip(self.signature(name), args, strict=False)), **kwargs}
        self.form.module = ModuleForm(name, arguments, len(args))
        module = Ref.to(Submodule(self.form.path))
        return lambda *inputs: ast.Call(module, [_expression(value) for value in inputs], [])

    def call(self, function: str, *args: Any, **kwargs: Any) -> ast.expr:
        library, _, name = function.partition(".")
        values = [_expression(value) for value in args]
        if library == "operator" and name in OPERATORS:
            return ast.BinOp(values[0], OPERATORS[name](), values[1])
        if library == "operator" and name == "getitem":
            return ast.Subscript(values[0], values[1], ast.Load())
        callee = ast.Attribute(ast.Name(LIBRARIES.get(library, library), ast.Load()), name, ast.Load())
        return _call(callee, values, kwargs)

    def method(self, value: Any, name: str, *args: Any, **kwargs: Any) -> ast.expr:
        return _call(ast.Attribute(_expression(value), name, ast.Load()), [_expression(arg) for arg in args], kwargs)

    def param(self, role: str) -> ast.expr:
        path = self.node.params[role].name
        self.form.learned[path] = role
        return Ref.to(Learned(path))

    def sizes(self, shape: tuple[Dim, ...]) -> tuple[Any, ...]:
        source = self.sources[0] if self.sources else self.net_inputs[0]
        return (_read(source, 0), *(dim if isinstance(dim, int) else self._size(dim) for dim in shape))

    def _size(self, dim: Symbolic) -> ast.expr:
        """Return a size known at run time, read from an input of the layer if it has it, else from those of the net."""
        for source in self.sources:
            if dim in source.type.shape:
                return _read(source, source.type.shape.index(dim) + 1)
        size: ast.expr = compute(dim, self._symbol).value
        return size

    def _symbol(self, symbol: Symbol) -> _Number:
        source, axis, factor = next(
            (node, axis, dim.terms[(symbol,)])
            for node in self.net_inputs
            for axis, dim in enumerate(node.type.shape, start=1)
            if isinstance(dim, Symbolic) and dim.terms.keys() == {(symbol,)}
        )
        size = _Number(_read(source, axis))
        return size if factor == 1 else size // factor


@dataclass(frozen=True, slots=True)
class _Number:
    """An expression with the operators that `compute` uses."""

    value: ast.expr

    def __add__(self, other: _Number | int) -> _Number:
        return _Number(ast.BinOp(self.value, ast.Add(), _expression(other)))

    def __radd__(self, other: int) -> _Number:
        return _Number(ast.BinOp(_expression(other), ast.Add(), self.value))

    def __mul__(self, other: _Number | int) -> _Number:
        return _Number(ast.BinOp(self.value, ast.Mult(), _expression(other)))

    def __floordiv__(self, other: int) -> _Number:
        return _Number(ast.BinOp(self.value, ast.FloorDiv(), _expression(other)))


def _read(source: Node, axis: int) -> ast.expr:
    shape = ast.Attribute(Ref.to(source), "shape", ast.Load())
    return ast.Subscript(shape, ast.Constant(axis), ast.Load())


def _call(callee: ast.expr, values: list[ast.expr], kwargs: dict[str, Any]) -> ast.expr:
    return ast.Call(callee, values, [ast.keyword(key, _expression(value)) for key, value in kwargs.items()])


def _expression(value: Any) -> ast.expr:
    """Convert a value of a layer's form: an expression, a container that may hold some, or a plain value."""
    match value:
        case ast.expr():
            return value
        case _Number():
            return value.value
        case list():
            return ast.List([_expression(item) for item in value], ast.Load())
        case tuple():
            return ast.Tuple([_expression(item) for item in value], ast.Load())
        case slice():
            ends = [None if end is None else _expression(end) for end in (value.start, value.stop)]
            return ast.Slice(ends[0], ends[1], None if value.step in (None, 1) else _expression(value.step))
    return literal(value)
