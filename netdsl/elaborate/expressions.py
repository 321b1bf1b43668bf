"""Evaluation of expressions: exact integers and fractions, symbolic sizes, lists, names of blocks and layers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.elaborate.arithmetic import arithmetic, checked, exact, is_number
from netdsl.elaborate.functions import FUNCTIONS, TooLong, extent
from netdsl.elaborate.values import UNKNOWN, BlockValue, LayerValue, TensorValue, Unknown, Value
from netdsl.ir.bounds import order_constraint
from netdsl.ir.dim import DimError, Symbolic, equality_constraint, lower_bound, symbols, upper_bound
from netdsl.layers.arguments import ArgumentError, describe, integer, real
from netdsl.layers.base import LAYERS
from netdsl.layers.suggestions import listed, suggestion
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.base.source import Span
    from netdsl.elaborate.environment import Environment
    from netdsl.elaborate.module import Module
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Node

NUMBERS = (int, float, Fraction)
IN_ATTRIBUTES = ("channels", "height", "width", "depth", "length", "shape", "rank", "elements")


class Evaluator:
    """Evaluates expressions at one place, with the names visible there and the current tensor."""

    def __init__(
        self,
        module: Module,
        environment: Environment,
        spend: Callable[[int, Span], None],
        current: Node | Unknown | None = None,
        find_tensor: Callable[[tree.Reference], Node | Unknown] | None = None,
    ) -> None:
        self.module, self.environment, self.spend = module, environment, spend
        self.current, self.find_tensor = current, find_tensor

    def evaluate(self, expression: tree.Expression) -> Value:
        """Evaluate an expression, or raise a `NetdslError` with its location; `UNKNOWN` after an earlier error."""
        try:
            value = self._dispatch(expression)
        except DimError as error:
            raise error.at(expression.span) from None
        work = 1
        if isinstance(value, NUMBERS):
            if not isinstance(value, bool):
                value = checked(value, expression.span)
        elif isinstance(value, tuple):
            try:
                work += extent(value) // 8
            except TooLong as error:
                raise fail("E0703", str(error), expression.span) from None
        elif isinstance(value, Symbolic):
            work += value.atoms
        self.spend(work, expression.span)
        return value

    def whole(self, expression: tree.Expression, least: int | None) -> int | Unknown:
        """Evaluate a whole number of at least `least`; any whole number if `least` is None."""
        value = self.evaluate(expression)
        if isinstance(value, Unknown):
            return value
        try:
            return integer(value, least)
        except ArgumentError as error:
            raise fail(error.code, error.message, expression.span, help=error.help) from None

    def number(self, expression: tree.Expression) -> float | Unknown:
        """Evaluate a known number."""
        value = self.evaluate(expression)
        if isinstance(value, Unknown):
            return value
        try:
            return real(value)
        except ArgumentError as error:
            raise fail(error.code, error.message, expression.span, help=error.help) from None

    def size(self, expression: tree.Expression) -> Dim | Unknown:
        """Evaluate a size: a whole number of at least 1, or a symbolic size."""
        value = self.evaluate(expression)
        return value if isinstance(value, Symbolic) else self.whole(expression, 1)

    def truth(self, expression: tree.Expression) -> bool | Unknown:
        """Evaluate a condition, `yes` or `no`."""
        value = self.evaluate(expression)
        if isinstance(value, bool | Unknown):
            return value
        literal = isinstance(expression, tree.Constant)
        raise fail(
            "E0305",
            f"expected a condition, `yes` or `no`, got {describe(value)}",
            expression.span,
            help=f"compare it, as in `{expression.span.text} > 0`" if is_number(value) and not literal else None,
        )

    def find(self, name: str) -> Value | None:
        """The value of a name, or None."""
        value = self.environment.find(name)
        if value is not None:
            return value
        if name in self.module.blocks:
            return BlockValue(self.module.blocks[name])
        return LayerValue(LAYERS[name]) if name in LAYERS else None

    def unknown(self, e: tree.Name, *, callables: bool = False) -> NetdslError:
        """The error of an undefined name; with `callables`, a block or a layer was possible as well."""
        known = self.environment.names() | ({*self.module.blocks, *LAYERS} if callables else set())
        remedy = suggestion(e.id, known)
        if e.id in FUNCTIONS:
            remedy = f"it is a function: write `{e.id}(...)`, without a blank before the `(`"
        elif e.id in IN_ATTRIBUTES:
            remedy = f"did you mean `in.{e.id}`?"
        elif self._is_label(e):
            remedy = f"write `@{e.id}` for the tensor" if callables else "it names a tensor; sizes are `in.width`, ..."
        return fail(
            "E0202",
            f"there is no `{e.id}` here",
            e.span,
            help=remedy or f"declare it before this place: as a parameter, or by `let {e.id} = ...`",
        )

    def _is_label(self, e: tree.Name) -> bool:
        reference = tree.Reference(e.span, (tree.ReferencePart(e.span, e.id),))
        try:
            return self.find_tensor is not None and bool(self.find_tensor(reference))
        except NetdslError:
            return False

    def _dispatch(self, e: tree.Expression) -> Value:
        match e:
            case tree.Constant(value=value):
                return exact(value) if isinstance(value, float) else value
            case tree.Name():
                return self._name(e)
            case tree.InAttribute():
                return self._in(e)
            case tree.List(items=items):
                values = tuple(self.evaluate(item) for item in items)
                return UNKNOWN if any(isinstance(v, Unknown) for v in values) else values
            case tree.Index():
                return self._element(e)
            case tree.Slice():
                return self._slice(e)
            case tree.Unary():
                return self._unary(e)
            case tree.Binary():
                return self._binary(e)
            case tree.Conditional():
                chosen = self.truth(e.condition)
                if isinstance(chosen, Unknown):
                    return chosen
                return self.evaluate(e.then if chosen else e.otherwise)
            case tree.FunctionCall():
                return self._function(e)
            case tree.Reference():
                if self.find_tensor is None:
                    raise fail("E0507", "a tensor cannot be named here", e.span)
                node = self.find_tensor(e)
                return node if isinstance(node, Unknown) else TensorValue(node)

    def _name(self, e: tree.Name) -> Value:
        value = self.find(e.id)
        if value is None:
            raise self.unknown(e)
        return value

    def _in(self, e: tree.InAttribute) -> Value:
        if e.attribute not in IN_ATTRIBUTES:
            meant = suggestion(e.attribute, IN_ATTRIBUTES)
            raise fail(
                "E0202",
                f"a tensor has no `{e.attribute}`",
                e.span,
                help=meant.replace("`", "`in.", 1)
                if meant
                else f"it has {listed(f'in.{word}' for word in IN_ATTRIBUTES)}",
            )
        if isinstance(self.current, Unknown):
            return UNKNOWN
        if self.current is None:
            raise fail(
                "E0502",
                f"`in.{e.attribute}` stands where no tensor arrives",
                e.span,
                help="write it in a body, after the `input`",
            )
        type_ = self.current.type
        axes = {"channels": 0, "length": -1, "height": -2, "width": -1, "depth": -3}
        if e.attribute in axes:
            axis = axes[e.attribute]
            need = 1 if axis == 0 else 1 - axis
            if type_.rank < need:
                raise fail("E0401", f"a tensor of shape {type_} has no {e.attribute}", e.span)
            return type_.shape[axis]
        if e.attribute == "shape":
            return type_.shape
        return type_.rank if e.attribute == "rank" else type_.elements

    def _element(self, e: tree.Index) -> Value:
        items, position = self._list(e.items), self.whole(e.position, None)
        if isinstance(items, Unknown) or isinstance(position, Unknown):
            return UNKNOWN
        count = len(items)
        if not -count <= position < count:
            has = f"has {count} element{'s' * (count != 1)}"
            last = f"they are counted from 0 to {count - 1}, or from the end by -1 to {-count}" if count else None
            raise fail("E0312", f"`{e.items.span.text}` {has}, and none at {position}", e.position.span, help=last)
        return items[position]

    def _slice(self, e: tree.Slice) -> Value:
        items = self._list(e.items)
        first = self.whole(e.first, None) if e.first is not None else None
        end = self.whole(e.end, None) if e.end is not None else None
        if isinstance(items, Unknown) or isinstance(first, Unknown) or isinstance(end, Unknown):
            return UNKNOWN
        return items[first:end]

    def _list(self, e: tree.Expression) -> tuple[Value, ...] | Unknown:
        items = self.evaluate(e)
        if isinstance(items, tuple | Unknown):
            return items
        raise fail("E0310", f"expected a list, got {describe(items)}", e.span)

    def _unary(self, e: tree.Unary) -> Value:
        if e.operator == "not":
            value = self.truth(e.operand)
            return value if isinstance(value, Unknown) else not value
        operand = self.evaluate(e.operand)
        if isinstance(operand, Unknown):
            return operand
        if not is_number(operand):
            raise fail("E0310", f"`{e.operator}` expected a number, got {describe(operand)}", e.span)
        return -operand if e.operator == "-" else operand

    def _binary(self, e: tree.Binary) -> Value:
        if e.operator in ("and", "or"):
            left_truth = self.truth(e.left)
            if isinstance(left_truth, Unknown) or left_truth == (e.operator == "or"):
                return left_truth
            return self.truth(e.right)
        left, right = self.evaluate(e.left), self.evaluate(e.right)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        if e.operator in ("==", "!="):
            return _equal(left, right, e) == (e.operator == "==")
        if e.operator in ("<", "<=", ">", ">="):
            return self._order(e, left, right)
        if e.operator == "+" and isinstance(left, tuple) and isinstance(right, tuple):
            return left + right
        if e.operator == "/" and isinstance(left, Symbolic):
            self.spend(16 * left.atoms, e.span)
        return arithmetic(e.operator, left, right, e)

    def _order(self, e: tree.Binary, left: Any, right: Any) -> bool:
        if not (is_number(left) and is_number(right)):
            raise fail("E0310", f"`{e.operator}` expected numbers, got {describe(left)} and {describe(right)}", e.span)
        if e.operator in (">", ">="):
            left, right = right, left
        strict = e.operator in ("<", ">")
        if not isinstance(left, Symbolic) and not isinstance(right, Symbolic):
            return bool(left < right) if strict else bool(left <= right)
        gap = right - left
        if isinstance(gap, Symbolic):
            self.spend(4 * gap.atoms, e.span)
        low, high = lower_bound(gap), upper_bound(gap)
        if low is not None and low >= strict:
            return True
        if high is not None and high < strict:
            return False
        raise _undecided(e, gap, order_constraint(gap, int(strict)))

    def _function(self, e: tree.FunctionCall) -> Value:
        arguments = [self.evaluate(argument) for argument in e.arguments]
        if any(isinstance(a, Unknown) for a in arguments):
            return UNKNOWN
        if e.function not in FUNCTIONS:
            raise fail(
                "E0202",
                f"there is no function `{e.function}`",
                e.span,
                help=suggestion(e.function, FUNCTIONS) or f"the functions are {', '.join(FUNCTIONS)}",
            )
        compute, usage = FUNCTIONS[e.function]
        try:
            return compute(*arguments)
        except TooLong as error:
            raise fail("E0703", str(error), e.span) from None
        except (TypeError, ValueError, OverflowError):
            given = ", ".join(describe(a) for a in arguments) or "nothing"
            raise fail("E0310", f"`{e.function}` cannot work on {given}", e.span, help=f"it is {usage}") from None


def _equal(left: Value, right: Value, e: tree.Binary) -> bool:
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(_equal(a, b, e) for a, b in zip(left, right, strict=True))
    if isinstance(left, Symbolic) or isinstance(right, Symbolic):
        if not (isinstance(left, int | Symbolic) and isinstance(right, int | Symbolic)):
            return False
        if left == right:
            return True
        low, high = lower_bound(left - right), upper_bound(left - right)
        if (low is not None and low > 0) or (high is not None and high < 0):
            return False
        raise _undecided(e, left - right, equality_constraint(left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _undecided(e: tree.Binary, difference: Dim, constraint: str | None) -> NetdslError:
    unknown = listed(sorted(symbols(difference)))
    way = f"add `where {constraint}` to the `input`" if constraint else f"write a number for {unknown} in the `input`"
    return fail("E0311", f"whether `{e.span.text}` holds depends on {unknown}", e.span, help=way)
