"""The arguments of constructors."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from netdsl.backends.torch import modules as torch_modules
from netdsl.backends.torch.lower import LIBRARIES
from netdsl.backends.torch_source.expressions import computed, same
from netdsl.backends.torch_source.python import literal
from netdsl.backends.torch_source.scope import OTHER, total
from netdsl.elaborate.calls import target_of
from netdsl.elaborate.module import BlockDefinition
from netdsl.ir.types import DType
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netdsl.backends.torch_source.boxes import Box
    from netdsl.backends.torch_source.forms import Form
    from netdsl.backends.torch_source.scope import ConstructorScope
    from netdsl.backends.torch_source.trace import Record, Trace
    from netdsl.ir.graph import Node

FIELDS = {
    "out_channels": "out", "out_features": "out", "kernel_size": "k", "stride": "s", "padding": "p", "dilation": "d",
    "groups": "g", "output_padding": "out_pad", "num_groups": "groups", "hidden_size": "hidden", "num_layers": "layers",
    "num_embeddings": "count", "embedding_dim": "dim",
}  # fmt: skip
"""The names in the language of arguments of PyTorch's modules, where the two differ."""
SIZES = ("in_channels", "in_features", "num_features", "num_channels", "normalized_shape", "input_size", "size",
         "num_parameters")  # fmt: skip
"""Arguments that are a size of the input."""
RESULTS = ("out_channels", "out_features", "embedding_dim", "hidden_size")
"""Arguments that are a size of the result."""


def torch_class(name: str) -> type:
    """Return the class that a layer's form names."""
    library, _, attribute = name.rpartition(".")
    found: type = getattr(LIBRARIES[library] if library else torch_modules, attribute)
    return found


def torch_signature(name: str) -> dict[str, inspect.Parameter]:
    """Return the arguments of a class, by name."""
    return dict(inspect.signature(torch_class(name)).parameters)


class Arguments:
    """Finds the arguments of constructors."""

    def __init__(self, record: Record, forms: Sequence[Form]) -> None:
        self.record = record
        made = {form.node.name for form in forms}
        wanted = {form.path: form.path for form in forms if form.module is not None}
        wanted |= {path: path.removesuffix(f".{role}") for form in forms for path, role in form.learned.items()}
        self.orphans = {path for path, owner in wanted.items() if owner not in made}
        """Paths of modules and learned tensors that a `reuse` applies although no needed layer creates them."""

    def defaults(self, box: Box) -> dict[str, tree.Expression | None]:
        """Return the parameters of a block or net with their defaults; None for those without one."""
        if box.parent is None:
            return dict.fromkeys(box.names.values)
        if box.call is None or not isinstance(box.call.tree, tree.Call):
            return {}
        target = target_of(box.call.place, box.call.tree.name, box.call.tree.name_span)
        if not isinstance(target, BlockDefinition):
            return {}
        return {parameter.name: parameter.default for parameter in target.declaration.parameters}

    def module(self, row: Sequence[Form], scope: ConstructorScope) -> ast.expr:
        """Return the call that creates the submodule of a layer."""
        traces = [self.record.of_node[form.node] for form in row]
        form = row[0].module
        assert form is not None  # noqa: S101 - checked by the caller
        written = _written(traces[0], row[0].node)
        known = torch_signature(form.name)
        sizes = scope.sizes_of(row[0].sources[0])
        channels = sizes.get("in_channels")
        made: dict[str, ast.expr] = {}
        for name in form.arguments:
            values = [item.module.arguments[name] for item in row if item.module is not None]
            candidates: list[ast.expr] = []
            if name in SIZES or (name == "groups" and form.arguments.get("in_channels") == values[0] != 1):
                candidates += [sizes[key] for key in ("in_features", "in_channels") if key in sizes]
            first = written.get(FIELDS.get(name, name))
            candidates += scope.translated([first], traces, channels)
            if name in RESULTS:
                candidates += sizes.values()
            if first is None or not isinstance(first, tree.Constant):
                candidates += [] if _constant(values) else list(scope.translated(written.values(), traces, channels))
            if name == "normalized_shape":
                values = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]
            default = known[name].default if name in known else inspect.Parameter.empty
            if all(same(_untupled(value), default) or same(value, default) for value in values):
                continue
            if name == "stride" and default is None and all(item.strides_its_kernel for item in row):
                continue
            made[name] = scope.expression(values, candidates, name)
        scope.follow(row, [made[name] for name in RESULTS if name in made])
        positional = list(takewhile(made.__contains__, list(form.arguments)[: form.positional]))
        args = [made[name] for name in positional]
        keywords = [ast.keyword(name, value) for name, value in made.items() if name not in positional]
        call: ast.expr = ast.Call(_dotted(form.name), args, keywords)
        dtype = {param.spec.dtype for param in row[0].node.params.values()}
        if dtype - {DType.FLOAT32}:
            call = ast.Call(ast.Attribute(call, "to", ast.Load()), [_dotted(f"torch.{dtype.pop().value}")], [])
        return call

    def numbers(self, row: Sequence[Form], scope: ConstructorScope) -> Iterator[ast.expr]:
        """Yield candidates for a number in a layer's form: its arguments, their items, and the negatives of both."""
        traces = [self.record.of_node[form.node] for form in row]
        written = list(_written(traces[0], row[0].node).values())
        written += [item for value in written if isinstance(value, tree.List) for item in value.items]
        sizes = scope.sizes_of(row[0].sources[0]) if row[0].sources else {}
        for expression in scope.translated(written, traces, sizes.get("in_channels")):
            yield expression
            yield ast.UnaryOp(ast.USub(), expression)

    def learned(self, row: Sequence[Form], path: str, scope: ConstructorScope) -> ast.expr:
        """Return the learned tensor of a layer that has no submodule."""
        role = row[0].learned[path]
        specs = [form.node.params[form_role(form, role)].spec for form in row]
        shapes = [spec.shape for spec in specs]
        traces = [self.record.of_node[form.node] for form in row]
        dims = []
        for i, size in enumerate(shapes[0]):
            values = [shape[i] for shape in shapes]
            written = traces[0].tree
            candidates = []
            if isinstance(written, tree.Parameter):
                candidates = list(scope.translated([written.shape.dims[i]], traces, None))
            elif row[0].sources:
                call = _written(traces[0], row[0].node)
                candidates = list(scope.translated(call.values(), traces, None))
                candidates += scope.sizes_of(row[0].sources[0]).values()
            dims.append(scope.expression(values, candidates, f"size{i}") if size else literal(size))
        init, dtype = specs[0].init, specs[0].dtype
        keywords = [] if dtype is DType.FLOAT32 else [ast.keyword("dtype", _dotted(f"torch.{dtype.value}"))]
        value: ast.expr
        if init.kind == "constant" and init.value in (0, 1):
            value = ast.Call(_dotted("torch.ones" if init.value else "torch.zeros"), dims, keywords)
        elif init.kind == "constant":
            shape = ast.Tuple(dims, ast.Load())
            value = ast.Call(_dotted("torch.full"), [shape, literal(init.value)], keywords)
        else:
            scale = init.value if init.kind == "normal" else float(f"{max(init.fan_in, 1) ** -0.5:.6g}")
            value = ast.BinOp(ast.Call(_dotted("torch.randn"), dims, keywords), ast.Mult(), literal(scale))
        frozen = [] if specs[0].trainable else [ast.keyword("requires_grad", ast.Constant(value=False))]
        return ast.Call(_dotted("nn.Parameter"), [value], frozen)

    def box(self, row: Sequence[Box], scope: ConstructorScope) -> ast.expr:
        """Return the call that creates a box."""
        py_class = row[0].py_class
        assert py_class is not None  # noqa: S101 - a box without a class is written inline
        traces = [box.call or box.trace for box in row]
        written = _block_arguments(traces[0])
        arguments: dict[str, ast.expr] = {}

        def argument(name: str, source: str, values: list[Any]) -> ast.expr:
            candidates: list[ast.expr] = []
            sizes: dict[str, ast.expr] = {}
            if row[0].inputs:
                sizes = scope.sizes_of(row[0].inputs[0])
            if source in ("in_channels", "in_features"):
                candidates += [sizes[key] for key in ("in_features", "in_channels") if key in sizes]
            elif source.startswith(OTHER):
                candidates += scope.sizes_of(row[0].inputs[int(source.removeprefix(OTHER))]).values()
            elif row[0].call is None:
                candidates += scope.translated([tree.Name(traces[0].tree.span, source)] if source else [], traces, None)
            else:
                candidates += scope.translated([written.get(source)], traces, sizes.get("in_channels"))
            return scope.expression(values, candidates, name)

        args, keywords = [], []
        for formal in py_class.formals:
            values = [formal.values[box] for box in row]
            if formal.default is not None and all(same(literal_value(formal.default), value) for value in values):
                continue
            arguments[formal.name] = argument(formal.name, formal.source, values)
            if formal.default is None:
                args.append(arguments[formal.name])
            else:
                keywords.append(ast.keyword(formal.name, arguments[formal.name]))
        self._box_sizes(row, scope, arguments)
        return ast.Call(_dotted(py_class.name), args, keywords)

    def _box_sizes(self, row: Sequence[Box], scope: ConstructorScope, arguments: Mapping[str, ast.expr]) -> None:
        py_class = row[0].py_class
        assert py_class is not None  # noqa: S101 - as above
        before = [scope.sizes_of(target) for target in row[0].inputs[:1]]
        for i in range(len(row[0].outputs)):
            found = []
            for expression in py_class.sizes[i].values():
                names = {inner.id for inner in ast.walk(expression) if isinstance(inner, ast.Name)}
                if names <= arguments.keys():
                    found.append(_with_names(expression, arguments))
            scope.set_sizes([box.outputs[i] for box in row], found, before)


def form_role(form: Form, role: str) -> str:
    """Return the name of a learned tensor's role in this form."""
    return role if role in form.node.params else next(iter(form.node.params))


def literal_value(expression: ast.expr) -> Any:
    """Return the value of a literal."""
    return ast.literal_eval(expression)


def _constant(values: Sequence[Any]) -> bool:
    return all(same(value, values[0]) for value in values)


def _untupled(value: Any) -> Any:
    """Return the one number of a size that is equal in all dimensions, as in PyTorch's defaults."""
    return value[0] if isinstance(value, tuple) and value and len(set(value)) == 1 else value


def _dotted(name: str) -> ast.expr:
    return ast.parse(name, mode="eval").body


class _Names(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def _with_names(expression: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    copied = ast.parse(ast.unparse(expression), mode="eval").body
    result: ast.expr = _Names(values).visit(copied)
    if not any(isinstance(inner, ast.Name) for inner in ast.walk(result)):
        return literal(computed(result, {}))
    return total([result]) if isinstance(result, ast.BinOp) and isinstance(result.op, ast.Add) else result


def _written(trace: Trace, node: Node) -> dict[str, tree.Expression]:
    """Return the arguments of a layer's call by field, as they are written."""
    if not isinstance(trace.tree, tree.Call):
        return {}
    return _bound(trace.tree, [field.name for field in fields(node.layer)])


def _block_arguments(trace: Trace) -> dict[str, tree.Expression]:
    """Return the arguments of a block's call by parameter, as they are written."""
    if not isinstance(trace.tree, tree.Call):
        return {}
    target = target_of(trace.place, trace.tree.name, trace.tree.name_span)
    if not isinstance(target, BlockDefinition):
        return {}
    return _bound(trace.tree, [parameter.name for parameter in target.declaration.parameters])


def _bound(call: tree.Call, names: Sequence[str]) -> dict[str, tree.Expression]:
    positions: Iterator[str] = iter(names)
    return {argument.key or next(positions): argument.value for argument in call.arguments}
