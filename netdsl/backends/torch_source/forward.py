"""The lines of a `forward` method: operations in the order of the data, with as few variables as possible."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netdsl.backends.torch_source.boxes import Target, reads, substitute, walk
from netdsl.backends.torch_source.forms import SharedPart
from netdsl.backends.torch_source.python import TAKEN, WIDTH, flat, laid_out, variable
from netdsl.ir.graph import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MAX_LINE_LENGTH = WIDTH - 16
"""The longest expression on a line, which also has `return` and an indentation."""
MAX_OPERAND = 40
"""The longest operand of a join that is written without a variable."""
SPARE = ("y", "z", "u", "v", "w")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation: an expression and its results.

    Attributes:
        value: the expression, with references to what it reads.
        results: one result, or those that a tuple is unpacked to; none for a `return`.
        training: whether it is used only in training.
        line: equal for operations that are written on one line.
        label: the preferred name of a variable for the result.
    """

    value: ast.expr
    results: tuple[Node | SharedPart, ...]
    training: bool
    line: object
    label: str = ""


class Forward:
    """Writes the operations of one `forward`."""

    def __init__(self, variables: Mapping[Target, str], place: Callable[[Target], ast.expr]) -> None:
        self.variables: dict[Target, str] = dict(variables)
        self.place = place
        self.pending: dict[Target, ast.expr] = {}
        self.remaining: Counter[Target] = Counter()
        self.lines: list[str] = []
        self.indent = 8
        self.aside: set[str] = set()

    def write(self, operations: Sequence[Operation]) -> list[str]:
        """Return the lines; the last operations have no results and are returned."""
        readers: dict[Target, list[int]] = {}
        for number, operation in enumerate(operations):
            for target in reads(operation.value):
                readers.setdefault(target, []).append(number)
                self.remaining[target] += 1
        exported = _read_outside(operations)
        training = False
        for number, operation in enumerate(operations):
            if operation.training != training:
                training = operation.training
                self._guard(operations, number, exported) if training else self._dedent()
            value = self._value(operation)
            if not operation.results:
                self.lines += laid_out("return ", self._shortened(value), self.indent)
                continue
            if len(operation.results) == 1:
                result = operation.results[0]
                places = readers.get(result, [])
                if len(places) == 1 and self._can_be_inlined(value, operation, operations[places[0]]):
                    self.pending[result] = value
                    continue
            self._assign(operation, value, operations, readers)
        return self.lines

    def _guard(self, operations: Sequence[Operation], number: int, exported: set[Target]) -> None:
        for operation in operations[number:]:
            if not operation.training:
                break
            for result in operation.results:
                if result in exported:
                    self.variables[result] = self._new(operation.label)
                    self.lines.append(f"{' ' * self.indent}{self.variables[result]} = None")
        self.lines.append(f"{' ' * self.indent}if self.training:")
        self.indent += 4

    def _dedent(self) -> None:
        self.indent -= 4

    def _value(self, operation: Operation) -> ast.expr:
        def insert(target: Target) -> ast.expr:
            if not isinstance(target, Node | SharedPart):
                return self.place(target)
            self.remaining[target] -= 1
            if target in self.pending:
                return self.pending.pop(target)
            return ast.Name(self.variables[target], ast.Load())

        value: ast.expr = substitute(operation.value, insert)
        return value

    def _can_be_inlined(self, value: ast.expr, operation: Operation, reader: Operation) -> bool:
        """Whether a result can be written within the expression that reads it."""
        if operation.training != reader.training:
            return False
        length = len(flat(value))
        if not reader.results:
            return isinstance(reader.value, ast.Name) and (length <= MAX_LINE_LENGTH or _branches(value) is not None)
        others = [len(flat(self.pending[target])) for target in reads(reader.value) if target in self.pending]
        if _branches(reader.value) is None and length + sum(others) + self._length(reader) > MAX_LINE_LENGTH:
            return False
        if operation.line is reader.line:
            return True
        return length <= MAX_OPERAND and (_joins(reader) or not isinstance(value, ast.Call | ast.Subscript))

    def _length(self, operation: Operation) -> int:
        """Return the length of an operation without its operands."""

        def stand_in(target: Target) -> ast.expr:
            return ast.Name("x") if isinstance(target, Node | SharedPart) else self.place(target)

        return len(flat(substitute(operation.value, stand_in)))

    def _assign(
        self,
        operation: Operation,
        value: ast.expr,
        operations: Sequence[Operation],
        readers: Mapping[Target, list[int]],
    ) -> None:
        names = []
        free = self._free(value)
        for result in operation.results:
            if result in self.variables and operation.training:
                names.append(self.variables[result])
            elif not readers.get(result):
                names.append("_")
            elif free:
                names.append(free.pop(0))
            else:
                names.append(self._new(operation.label or self._branch_name(result, operations, readers[result])))
            self.variables[result] = names[-1]
        if names == ["_"]:
            return
        targets = f"{', '.join(names)} = "
        if len(names) > 1 and self.indent + len(targets) + len(flat(value)) > WIDTH:
            margin = " " * self.indent
            self.lines += [f"{margin}(", *(f"{margin}    {name}," for name in names)]
            targets = ") = "
        self.lines += laid_out(targets, self._shortened(value), self.indent, opened=targets == ") = ")

    def _needed(self) -> set[str]:
        """Return the variables that are still read later."""
        live = (self.variables[t] for t, count in self.remaining.items() if count and t in self.variables)
        return set(live).union(*map(_names, self.pending.values()))

    def _free(self, value: ast.expr) -> list[str]:
        """Return the variables in an expression that are not read after it."""
        needed, known = self._needed(), set(self.variables.values())
        own = [inner.id for inner in walk(value) if isinstance(inner, ast.Name)]
        return [name for name in dict.fromkeys(own) if name in known and name not in needed]

    def _new(self, label: str) -> str:
        used = self._needed() | self.aside | TAKEN
        wanted = variable(label) if label.isidentifier() and label != "_" else ""  # `_` is for unused results
        for name in [wanted] if wanted else SPARE:
            if name not in used:
                return name
        number = 2
        while (name := f"{wanted or SPARE[0]}{number}") in used:
            number += 1
        return name

    def _branch_name(self, result: Target, operations: Sequence[Operation], readers: Iterable[int]) -> str:
        """Return `branch2` for the second of several branches of a join."""
        for number in readers:
            branches = [target for target in reads(operations[number].value) if isinstance(target, Node)]
            if len(branches) > 2 and result in branches:
                return f"branch{branches.index(result) + 1}"
        return ""

    def _set_aside(self, value: ast.expr) -> ast.expr:
        """Assign a part of a long line to a variable on a line before it."""
        if not isinstance(value, ast.Call):
            return value
        name = self._new("")
        self.aside.add(name)
        self.lines += laid_out(f"{name} = ", self._shortened(value), self.indent)
        return ast.Name(name, ast.Load())

    def _shortened(self, value: ast.expr) -> ast.expr:
        """Shorten a long expression: assign the branches of a join, or the two sides of an operation, to variables."""
        if self.indent + len(flat(value)) + 8 <= WIDTH:
            return value
        if isinstance(value, ast.BinOp):
            left, right = (self._set_aside(side) for side in (value.left, value.right))
            self.aside.clear()
            return ast.BinOp(left, value.op, right)
        branches = _branches(value)
        if branches is None or not isinstance(value, ast.Call):
            return value
        name = self._new("branches")
        self.lines += laid_out(f"{name} = ", branches, self.indent)
        return ast.Call(value.func, [ast.Name(name, ast.Load()), *value.args[1:]], value.keywords)


def in_one_line(operations: Sequence[Operation]) -> list[Operation]:
    """Write the operations of a short chain on one line, whatever the layout of the net."""
    before: object = None
    length = 0
    for operation in operations:
        tensors = [target for target in reads(operation.value) if isinstance(target, Node)]
        chained = len(tensors) == 1 and (before is None or tensors == [before]) and not operation.training
        if not chained or len(operation.results) > 1:
            return list(operations)
        length += len(flat(substitute(operation.value, lambda target: ast.Name(getattr(target, "path", "")))))
        (before,) = operation.results or (None,)
    if length > MAX_LINE_LENGTH - 6 * len(operations):
        return list(operations)
    line = object()
    return [replace(operation, line=line) for operation in operations]


def _branches(value: ast.expr) -> ast.List | None:
    """Return the branches of a join; None if it is not one."""
    match value:
        case ast.Call(args=[ast.List() as branches, *_]):
            return branches
    return None


def _joins(operation: Operation) -> bool:
    return sum(isinstance(target, Node) for target in reads(operation.value)) > 1


def _read_outside(operations: Sequence[Operation]) -> set[Target]:
    """Return what is computed only in training, but read elsewhere."""
    return {target for operation in operations if not operation.training for target in reads(operation.value)}


def _names(value: ast.expr) -> set[str]:
    return {inner.id for inner in walk(value) if isinstance(inner, ast.Name)}
