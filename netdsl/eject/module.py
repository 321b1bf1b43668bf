"""A net as the text of one Python file."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

from netdsl.backends import torch_modules
from netdsl.backends.torch import ATTRIBUTES, WORDS, need_free
from netdsl.eject.arguments import Arguments, torch_signature
from netdsl.eject.boxes import Box, make_boxes, substitute
from netdsl.eject.classes import ClassWriter, sequential
from netdsl.eject.forms import Form, Learned, Module, Ref, form_of
from netdsl.eject.forward import Operation
from netdsl.eject.python import WIDTH, class_name
from netdsl.eject.trace import record
from netdsl.ir.graph import Node, needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.eject.boxes import Target
    from netdsl.elaborate import program
    from netdsl.ir.graph import Graph


def eject(module: program.Module, name: str, arguments: Mapping[str, object]) -> str:
    """The text of a file with the net as a torch.nn.Module.

    Args:
        module: a program without errors.
        name: the net.
        arguments: values for its parameters.

    Raises:
        NetdslError: a name in the net is a word of Python, or one that every torch.nn.Module has (E0910).
    """
    graph, notes = record(module, name, arguments)
    forms, aliases = _forms(graph)
    for node in graph.inputs:
        need_free(node.name, node, WORDS)
    for form in forms:
        form.line = notes.of_node[form.node].chain
        for path in (*form.learned, *([form.path] if form.module is not None else [])):
            for step in path.split("."):
                need_free(step, form.node, ATTRIBUTES)
    results = {key: aliases.get(node, node) for key, node in graph.outputs.items()}
    aux = {key: aliases.get(node, node) for key, node in graph.aux.items()}
    root = make_boxes(graph, forms, [*results.values(), *aux.values()], notes)
    root.inputs = list(graph.inputs)
    classes = _classes(root, Arguments(notes), _returns(results, aux))
    return _file(module, root, classes, forms)


def _forms(graph: Graph) -> tuple[list[Form], dict[Node, Node]]:
    """The form of every layer that is needed; what only hands on a tensor stands for that."""
    always = set(needed(graph))
    forms: list[Form] = []
    aliases: dict[Node, Node] = {}
    for node in needed(graph, training=True):
        if node in graph.inputs:
            continue
        sources = [aliases.get(source, source) for source in node.inputs]
        form = form_of(node, sources, graph.inputs, lambda name: list(torch_signature(name)))
        form.training = node not in always
        if isinstance(form.value, Ref) and isinstance(form.value.target, Node):
            aliases[node] = form.value.target
        else:
            forms.append(form)
    return forms, aliases


def _returns(results: Mapping[str, Node], aux: Mapping[str, Node]) -> list[Operation]:
    def together(nodes: Mapping[str, Node]) -> ast.expr:
        return ast.Dict([ast.Constant(name) for name in nodes], [Ref.to(node) for node in nodes.values()])

    value = Ref.to(*results.values()) if len(results) == 1 else together(results)
    returns = [Operation(value, (), training=False, line=None)]
    if aux:
        returns.insert(0, Operation(together({**results, **aux}), (), training=True, line=None))
    return returns


def _classes(root: Box, arguments: Arguments, returns: Sequence[Operation]) -> list[list[str]]:
    """The text of each class; boxes that hold the same are of one class."""
    heights: dict[int, list[Box]] = {}
    _sort_by_height(root, heights)
    taken = {class_name(root.block), *dir(torch_modules)}
    classes = []
    for _, boxes in sorted(heights.items()):
        alike: dict[Any, list[Box]] = {}
        for box in boxes:
            if box.block or not sequential(box):
                alike.setdefault(_signature(box), []).append(box)
        for same in alike.values():
            name = class_name(root.block) if same[0] is root else _free(_called(same), taken)
            writer = ClassWriter(name, same, arguments, returns if same[0] is root else ())
            made = writer.write()
            for box in same:
                box.py_class = made
            classes.append(made.lines)
    return classes


def _sort_by_height(box: Box, heights: dict[int, list[Box]]) -> int:
    inner = [item for item in box.items if isinstance(item, Box) and item.first is None]
    height = 1 + max((_sort_by_height(item, heights) for item in inner), default=0)
    heights.setdefault(height, []).append(box)
    return height


def _called(boxes: Sequence[Box]) -> str:
    """What a class is called: by the block, or by the labels of groups."""
    if boxes[0].block:
        return class_name(boxes[0].block)
    labels = dict.fromkeys(box.name if not box.name.isdigit() else _singular(box) for box in boxes)
    first = next(iter(labels))
    return class_name(first if len(labels) == 1 else first.rstrip("0123456789_") or first)


def _singular(box: Box) -> str:
    """One of the turns of a labelled loop: `Block` of `blocks`."""
    label = box.parent.name if box.parent is not None else ""
    return label.removesuffix("s") or "turn"


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}{number}"
    taken.add(found)
    return found


def _signature(box: Box) -> Any:
    """What boxes of one class have in common: all but the arguments of constructors."""
    numbers: dict[Target, int] = {target: i for i, target in enumerate(box.inputs)}

    def numbered(target: Target) -> ast.expr:
        if isinstance(target, Module | Learned) and target not in numbers:
            return ast.Name(f"self.{box.relative(target.path)}")
        return ast.Name(f"_{numbers.setdefault(target, len(numbers))}")

    entries: list[Any] = []
    for item in box.items:
        if isinstance(item, Form):
            module = item.module
            values = [*(part.value for part in item.parts), item.value]
            specs = [(role, param.spec.dtype, param.spec.trainable) for role, param in item.node.params.items()]
            made = () if module is None else (module.name, *module.arguments)
            learned = tuple(box.relative(path) for path in item.learned)
            entry: Any = (made, *(ast.dump(substitute(value, numbered)) for value in values), *specs, learned)
            numbered(item.node)
        else:
            kind = _signature(item) if item.py_class is None and item.first is None else id(item.py_class)
            reads = [ast.dump(numbered(target)) for target in (item.module, *item.inputs)]
            entry = (kind, *reads, len(item.outputs))
            for node in item.outputs:
                numbered(node)
        entries.append((entry, item.training and not box.training))
    return box.block, len(box.inputs), tuple(entries), tuple(numbers[node] for node in box.outputs)


# ------------------------------------------------------------------------------------------------ the file


def _file(module: program.Module, root: Box, classes: Sequence[Sequence[str]], forms: Sequence[Form]) -> str:
    names = sorted({form.module.name for form in forms if form.module is not None and "." not in form.module.name})
    own = [_source(name) for name in names]
    parts = [*own, *("\n".join(lines) for lines in classes)]
    body = "\n\n\n".join(parts)
    imports = [f"import {word}" for word in ("math", "operator") if re.search(rf"\b{word}\.", body)]
    head = [_docstring(module, root), "", *imports, *([""] if imports else [])]
    if re.search(r"\btorch\.", body):
        head.append("import torch")
    head.append("from torch import nn")
    if re.search(r"(?<!\.)\bfunctional\.", body):
        head.append("from torch.nn import functional")
    return "\n".join([*head, "", "", body]) + "\n"


def _source(name: str) -> str:
    """The text of one of our own modules; remarks for our linter stay here."""
    text = inspect.getsource(getattr(torch_modules, name))
    return re.sub(r"  # noqa:.*", "", text).rstrip("\n")


def _docstring(module: program.Module, root: Box) -> str:
    """What the file begins with: what its comment says."""
    remarks = []
    for line in module.file.source.text.splitlines():
        if not line.startswith("#"):
            break
        remarks.append(line.removeprefix("#").strip().replace("\\", "/").replace('"', "'").translate(PLAIN))
    title, *rest = [*filter(None, remarks), f"The net `{root.block}`"][: max(1, len(remarks))]
    head = textwrap.wrap(f'"""{title.rstrip(".")}.', WIDTH - 3)
    if not rest and len(head) == 1:
        return f'{head[0]}"""'
    lines = [line for remark in rest for line in textwrap.wrap(remark, WIDTH)]
    return "\n".join([*head, *([""] if rest else []), *lines, '"""'])


PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "’": "'", "‘": "'", "“": "'", "”": "'", "−": "-"})  # noqa: RUF001 - these
"""What linters take for a mistake, as ASCII."""
