"""Which boxes share a class: those with equal contents, or with parts missing that a condition of the net left out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from netdsl.backends.torch_source.boxes import Box, looped, reads_of, results, sequential, substitute
from netdsl.backends.torch_source.forms import Form, Learned, Submodule, numbers
from netdsl.ir.graph import Node
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.backends.torch_source.boxes import Target
    from netdsl.backends.torch_source.trace import Trace


def grouped(boxes: Sequence[Box], *, strict: bool) -> list[list[Box]]:
    """Group boxes that are equal up to the arguments of constructors.

    Unless `strict`, chains written at one place in the file are grouped together, whatever their loops made of it.
    """
    groups: dict[Any, list[Box]] = {}
    for box in boxes:
        groups.setdefault(_signature(box, strict=strict), []).append(box)
    return list(groups.values())


def merged(boxes: Sequence[Box], places: Mapping[Form | Box, Trace]) -> list[list[Box]]:
    """Group calls of one block that are equal, or that lack some parts of the first in their group."""
    groups: list[list[Box]] = []
    for group in sorted(grouped(boxes, strict=False), key=lambda group: -len(group[0].items)):
        for other in groups:
            whole = sequential(group[0]) or looped(group[0])
            if not whole and all(aligned(other[0], box, places) is not None for box in group):
                other.extend(group)
                break
        else:
            groups.append(group)
    return groups


def aligned(first: Box, box: Box, places: Mapping[Form | Box, Trace]) -> dict[Node, Node] | None:
    """Map the results in `first`, which may have more items, to those in `box`; None if they cannot share a class.

    An item that `box` lacks must be a module applied to one tensor, which then replaces its result, or the addition of
    a `skip`, whose body replaces it.
    """
    if len(first.inputs) != len(box.inputs):
        return None
    ours: dict[Target, int] = {target: i for i, target in enumerate(first.inputs)}
    theirs: dict[Target, int] = {target: i for i, target in enumerate(box.inputs)}
    pairs = {a: b for a, b in zip(first.inputs, box.inputs, strict=True) if isinstance(a, Node) and isinstance(b, Node)}
    rest = list(box.items)
    for item in first.items:
        if rest and places[rest[0]].tree is places[item].tree:
            other = rest.pop(0)
            if _entry(first, item, ours, strict=False) != _entry(box, other, theirs, strict=False):
                return None
            for a, b in zip(results(item), results(other), strict=True):
                ours[a] = theirs[b] = len(ours)
                pairs[a] = b
            continue
        source = stand_in(item, places)
        if source is None or source not in ours:
            return None
        (result,) = results(item)
        ours[result], pairs[result] = ours[source], pairs[source]
    if rest:
        return None
    return pairs if [ours[node] for node in first.outputs] == [theirs[node] for node in box.outputs] else None


def stand_in(item: Form | Box, places: Mapping[Form | Box, Trace]) -> Node | None:
    """Return the tensor that replaces the result of an item that may be left out."""
    tensors = [target for target in reads_of(item) if isinstance(target, Node)]
    if isinstance(item, Form) and isinstance(places[item].tree, tree.Skip):
        return item.sources[0] if len(item.sources) == 2 else None
    others = [target for target in reads_of(item) if not isinstance(target, Node | Submodule)]
    alone = len(tensors) == 1 and len(results(item)) == 1 and not others
    return tensors[0] if alone and (isinstance(item, Box) or item.plain) else None


def _signature(box: Box, *, strict: bool) -> Any:
    """Return a key that is equal for boxes that can share a class."""
    if not strict and (sequential(box) or looped(box)):
        return box.block, id(box.trace.tree)
    known: dict[Target, int] = {target: i for i, target in enumerate(box.inputs)}
    entries = []
    for item in box.items:
        entries.append(_entry(box, item, known, strict=strict))
        for node in results(item):
            known[node] = len(known)
    return box.block, len(box.inputs), tuple(entries), tuple(known[node] for node in box.outputs)


def _entry(box: Box, item: Form | Box, known: Mapping[Target, int], *, strict: bool) -> Any:
    """Return a key of an item without the arguments of constructors; `known` numbers results and inputs."""

    def numbered(target: Target) -> ast.expr:
        if target in known:
            return ast.Name(f"_{known[target]}")
        return ast.Name(f"self.{box.relative(target.path)}" if isinstance(target, Submodule | Learned) else "part")

    training = item.training and not box.training
    if isinstance(item, Form):
        module = item.module
        values = [*(part.value for part in item.parts), item.value]
        specs = [(role, param.spec.dtype, param.spec.trainable) for role, param in item.node.params.items()]
        made = () if module is None else (module.name, *module.arguments)
        blank = {id(some): ast.Name(f"{len(some.elts)} numbers") for value in values for some in numbers(value)}
        learned = tuple(box.relative(path) for path in item.learned)
        texts = [ast.dump(substitute(value, numbered, None if strict else blank)) for value in values]
        return training, made, *texts, *specs, learned
    kind = _signature(item, strict=strict) if item.py_class is None and item.first is None else id(item.py_class)
    return training, kind, *(ast.dump(numbered(target)) for target in (item.module, *item.inputs)), len(item.outputs)
