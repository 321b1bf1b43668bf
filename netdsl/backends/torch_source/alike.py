"""Which boxes are of one class: those that hold the same, or lack what a condition of the net left out."""

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
    """Boxes that hold the same, but for the arguments of constructors, together.

    Chains that were written in one place may have one text, whatever their loops made of it, unless it is `strict`.
    """
    groups: dict[Any, list[Box]] = {}
    for box in boxes:
        groups.setdefault(_signature(box, strict=strict), []).append(box)
    return list(groups.values())


def merged(boxes: Sequence[Box], places: Mapping[Form | Box, Trace]) -> list[list[Box]]:
    """Calls of one block together that hold the same, or of which some lack what the first of them has."""
    found: list[list[Box]] = []
    for group in sorted(grouped(boxes, strict=False), key=lambda group: -len(group[0].items)):
        for other in found:
            whole = sequential(group[0]) or looped(group[0])
            if not whole and all(aligned(other[0], box, places) is not None for box in group):
                other.extend(group)
                break
        else:
            found.append(group)
    return found


def aligned(first: Box, box: Box, places: Mapping[Form | Box, Trace]) -> dict[Node, Node] | None:
    """The results in `box` that stand for those in `first`, which may have more; None if they do not hold the same.

    What `box` lacks must be a module that is applied to one tensor, which then stands for the result, or the addition
    of a `skip`, whose body does.
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
    """The tensor that stands for the result of something that may be left out."""
    tensors = [target for target in reads_of(item) if isinstance(target, Node)]
    if isinstance(item, Form) and isinstance(places[item].tree, tree.Skip):
        return item.sources[0] if len(item.sources) == 2 else None
    others = [target for target in reads_of(item) if not isinstance(target, Node | Submodule)]
    alone = len(tensors) == 1 and len(results(item)) == 1 and not others
    return tensors[0] if alone and (isinstance(item, Box) or item.plain) else None


def _signature(box: Box, *, strict: bool) -> Any:
    """What boxes of one class have in common."""
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
    """What an item is, but for the arguments of constructors; `known` tells results and inputs apart."""

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
