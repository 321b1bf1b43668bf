"""The text of the Python file for a net."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING

from netdsl.backends.torch import modules as torch_modules
from netdsl.backends.torch.lower import ATTRIBUTES, WORDS, need_free
from netdsl.backends.torch_source.alike import grouped, merged
from netdsl.backends.torch_source.arguments import Arguments, torch_signature
from netdsl.backends.torch_source.boxes import Box, make_boxes, sequential
from netdsl.backends.torch_source.classes import ClassWriter
from netdsl.backends.torch_source.forms import Form, Ref, form_of
from netdsl.backends.torch_source.forward import Operation
from netdsl.backends.torch_source.python import WIDTH, class_name, docstring
from netdsl.backends.torch_source.scope import NotAlikeError
from netdsl.backends.torch_source.trace import record
from netdsl.ir.graph import Node, needed
from netdsl.ir.names import need_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netdsl.backends.torch_source.trace import Record, Trace
    from netdsl.elaborate.module import Module
    from netdsl.ir.graph import Graph


def eject(module: Module, name: str, arguments: Mapping[str, object]) -> str:
    """Return a Python file with the net as a torch.nn.Module.

    Args:
        module: a program without errors.
        name: the net.
        arguments: values for its parameters.

    Raises:
        NetdslError: a name in the net is a Python keyword, or an attribute of every torch.nn.Module (E0910).
    """
    graph, notes = record(module, name, arguments)
    need_names(graph)
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
    classes = _Classes(root, notes, forms, _returns(results, aux)).write()
    return _file(module, root, classes, forms)


def _forms(graph: Graph) -> tuple[list[Form], dict[Node, Node]]:
    """Return the form of every needed layer, and a replacement for layers that only pass a tensor on."""
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
        elif node.layer.kind == "identity" and not node.name.rpartition(".")[2].isdigit():
            aliases[node] = sources[0]
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


GROUP = "group"


class _Classes:
    """Writes the classes of a net, from the inside out."""

    def __init__(self, root: Box, notes: Record, forms: Sequence[Form], returns: Sequence[Operation]) -> None:
        self.root, self.returns, self.arguments = root, returns, Arguments(notes, forms)
        self.places: dict[Form | Box, Trace] = {form: notes.of_node[form.node] for form in forms}
        self.places |= {box: box.call or box.trace for box in root.everything() if box is not root}
        self.items = {trace: item for item, trace in self.places.items()}
        self.name = _free(class_name(root.block), {*dir(torch_modules)})
        self.taken = {self.name, *dir(torch_modules)}
        self.written: list[list[str]] = []

    def write(self) -> list[list[str]]:
        """Return the text of each class; equal boxes share one."""
        pending: dict[object, list[Box]] = {}
        for box in _constructed(self.root):
            if box.block or not sequential(box):
                pending.setdefault(_written_as(box), []).append(box)
        while pending:
            groups = [box for box in pending.get(GROUP, []) if _is_ready(box)]
            blocks = [boxes for key, boxes in pending.items() if key is not GROUP and all(map(_is_ready, boxes))]
            if groups:
                self._write_all(groups)
            elif blocks:
                self._write_all(blocks[0])
            else:  # recursive blocks: from the inside out
                self._write_strict([box for boxes in pending.values() for box in boxes if _is_ready(box)])
            pending = {key: [box for box in boxes if box.py_class is None] for key, boxes in pending.items()}
            pending = {key: boxes for key, boxes in pending.items() if boxes}
        return self.written

    def _write_all(self, boxes: list[Box]) -> None:
        """Write classes for boxes written at one place in the file; as few as possible."""
        for alike in merged(boxes, self.places) if boxes[0].block else grouped(boxes, strict=False):
            try:
                self._class(alike)
            except NotAlikeError:
                self._write_strict(alike)

    def _write_strict(self, boxes: list[Box]) -> None:
        """Write a class for each set of equal boxes."""
        for alike in grouped(boxes, strict=True):
            self._class(alike, strict=True)

    def _class(self, boxes: list[Box], *, strict: bool = False) -> None:
        returns = self.returns if boxes[0] is self.root else ()
        name = self.name if returns else _free(_called(boxes), self.taken)
        made = ClassWriter(name, boxes, self.arguments, self.items, self.places, returns, strict=strict).write()
        self.taken.add(name)
        for box in boxes:
            box.py_class = made
        self.written.append(made.lines)


def _constructed(box: Box) -> Iterator[Box]:
    """Yield the boxes that get a class or are written inline, from the inside out."""
    for item in box.items:
        if isinstance(item, Box) and item.first is None:
            yield from _constructed(item)
    yield box


def _is_ready(box: Box) -> bool:
    """Whether everything in a box has a class, or needs none."""
    inner = [item for item in box.items if isinstance(item, Box) and item.first is None]
    return all(item.py_class is not None or (_is_inline(item) and _is_ready(item)) for item in inner)


def _is_inline(box: Box) -> bool:
    return not box.block and sequential(box)


def _written_as(box: Box) -> object:
    """Return a key equal for boxes that may share a class: calls of one block, or groups."""
    return box.trace.tree if box.block else GROUP


def _called(boxes: Sequence[Box]) -> str:
    """Return the name of a class: that of the block, or one made of the labels of groups."""
    if boxes[0].block:
        return class_name(boxes[0].block)
    labels = dict.fromkeys(box.name if not box.name.isdigit() else _singular(box) for box in boxes)
    first = next(iter(labels))
    return class_name(first if len(labels) == 1 else first.rstrip("0123456789_") or first)


def _singular(box: Box) -> str:
    """Return a name for one turn of a labelled loop: `block` for `blocks`."""
    label = box.parent.name if box.parent is not None else ""
    return label.removesuffix("s") or "turn"


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}{number}"
    return found


# ------------------------------------------------------------------------------------------------ the file


def _file(module: Module, root: Box, classes: Sequence[Sequence[str]], forms: Sequence[Form]) -> str:
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
    """Return the source of one of netdsl's own modules, without comments for the linter."""
    text = inspect.getsource(getattr(torch_modules, name))
    return re.sub(r"  # noqa:.*", "", text).rstrip("\n")


def _docstring(module: Module, root: Box) -> str:
    """Return the docstring of the file: the comment at the top of the `.net` file."""
    remarks = []
    for line in module.file.source.text.splitlines():
        if not line.startswith("#"):
            break
        remarks.append(line.removeprefix("#").strip().translate(PLAIN))
    title, *rest = [*filter(None, remarks), f"The net `{root.block}`"][: max(1, len(remarks))]
    head = textwrap.wrap(f"{title.rstrip('.')}.", WIDTH - 6)
    if not rest and len(head) == 1:
        return docstring(head[0])
    lines = [line for remark in rest for line in textwrap.wrap(remark, WIDTH)]
    return docstring("\n".join([*head, *([""] if rest else []), *lines, ""]))


PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "’": "'", "‘": "'", "“": "'", "”": "'", "−": "-"})  # noqa: RUF001 - these
"""ASCII replacements for characters that linters report."""
