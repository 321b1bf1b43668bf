"""The inputs of a net: their shapes, the sizes that stay open, and what `where` says of those."""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.nodes import Spot
from netdsl.elaborate.suggestions import suggestion
from netdsl.elaborate.values import UNKNOWN, Unknown
from netdsl.ir.dim import symbol
from netdsl.ir.graph import Constraint
from netdsl.ir.types import DType
from netdsl.layer import signature
from netdsl.layers.ends import Input
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.elaborate.elaboration import Elaboration
    from netdsl.elaborate.place import Place
    from netdsl.ir.graph import Node


def make_input(
    elaboration: Elaboration, place: Place, statement: tree.Input, known: list[Constraint]
) -> Node | Unknown:
    """`input image: 3xHxW where H % 32 == 0`: the node; the letters become names, the constraints enter `known`."""
    if place.names.path:
        raise fail(
            "E0507",
            "`input` belongs to the body of the net itself, not to a group in it",
            statement.span,
            help=f"move it before the group, which can begin with `@{statement.name}`",
        )
    unknown = [_introduce(place, expression, statement.constraints) for expression in statement.shape.dims]
    errors: list[Diagnostic] = []
    for constraint in statement.constraints:
        try:
            known.append(_constraint(constraint, unknown))
        except NetdslError as error:
            errors += error.diagnostics
    if errors:
        raise NetdslError(errors)
    evaluator = elaboration.evaluator(place, None)
    shape = [evaluator.size(dim) for dim in statement.shape.dims]
    name, member = place.names.enter(statement.name, "input", statement.name_span, counted=False)
    member.output = UNKNOWN
    dtype = DType.FLOAT32 if statement.dtype is None else _dtype(statement.dtype)
    sizes = tuple(dim for dim in shape if not isinstance(dim, Unknown))
    if len(sizes) == len(shape):
        spot = Spot.of(place.names, name)
        member.output = elaboration.make(spot, Input(sizes, dtype), (), statement.span, {})
    return member.output


def _dtype(word: tree.Name) -> DType:
    kind = signature(Input)[1].kind
    if word.id not in kind.words:
        raise fail(
            "E0305",
            f"`{word.id}` is no element type",
            word.span,
            help=suggestion(word.id, kind.words) or f"it is one of {', '.join(kind.words)}",
        )
    return DType(word.id)


def _introduce(place: Place, expression: tree.Expression, constraints: tuple[tree.Expression, ...]) -> str | None:
    """Make a symbol of a capital letter that is not known yet, with what `where` says of it, and return it."""
    if not (isinstance(expression, tree.Name) and len(expression.id) == 1 and expression.id.isupper()):
        return None
    if expression.id == "N":
        raise fail(
            "E0109",
            "`N` is the batch, which is always there and never written",
            expression.span,
            help="drop it, or use another letter for a size that is not known",
        )
    if place.environment.find(expression.id) is not None:
        return None
    multiple, minimum = 1, 1
    for constraint in constraints:
        known = _known_of(constraint, expression.id)
        multiple, minimum = lcm(multiple, known[0]), max(minimum, known[1])
    place.environment.values[expression.id] = symbol(expression.id, multiple, minimum)
    return expression.id


def _constraint(constraint: tree.Expression, unknown: list[str | None]) -> Constraint:
    """A constraint, checked: it speaks of a size that this input introduces."""
    symbolic = _symbol_of(constraint)
    if symbolic is None:
        message = "a constraint has one of the forms `H % 32 == 0` and `H >= 33`"
        raise fail("E0310", message, constraint.span, help=_mended(constraint))
    if symbolic not in unknown:
        raise fail(
            "E0202",
            f"`{symbolic}` is no unknown size that this `input` introduces",
            constraint.span,
            help="write a constraint at the `input` whose shape has the letter first",
        )
    multiple, minimum = _known_of(constraint, symbolic)
    size = symbol(symbolic)
    dim = size - minimum if multiple == 1 else 0 - size % multiple
    return Constraint(constraint.span.text, dim)


def _symbol_of(constraint: tree.Expression) -> str | None:
    """The symbol that a constraint of a known form speaks of."""
    match constraint:
        case tree.Binary(
            operator="==",
            left=tree.Binary(operator="%", left=tree.Name(id=name), right=tree.Constant(value=int(divisor))),
            right=tree.Constant(value=0),
        ) if divisor > 0:
            return name
        case tree.Binary(operator=">=", left=tree.Name(id=name), right=tree.Constant(value=int())):
            return name
    return None


def _mended(constraint: tree.Expression) -> str | None:
    """How to write a constraint of another form, or what it means."""
    match constraint:
        case tree.Binary(operator=">", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write `{name} >= {number + 1}`"
        case tree.Binary(operator="==", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write {number} in the place of `{name}` in the shape"
    return None


def _known_of(constraint: tree.Expression, name: str) -> tuple[int, int]:
    """The divisor and the least value that a constraint gives a symbol; 1 and 1 where it speaks of another."""
    if _symbol_of(constraint) != name or not isinstance(constraint, tree.Binary):
        return 1, 1
    if constraint.operator == "==" and isinstance(constraint.left, tree.Binary):
        return _number(constraint.left.right), 1
    return 1, _number(constraint.right)


def _number(expression: tree.Expression) -> int:
    return max(1, int(expression.value)) if isinstance(expression, tree.Constant) else 1
