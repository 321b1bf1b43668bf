"""The inputs of a net: their shapes, their symbolic sizes, and the conditions in their `where`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.nodes import MemberSpot
from netdsl.elaborate.values import UNKNOWN, Unknown
from netdsl.ir.constraint import Allowed, Constraint
from netdsl.ir.dim import DimError, Symbolic, symbol
from netdsl.ir.types import DType
from netdsl.layers.base import signature
from netdsl.layers.ends import InputLayer
from netdsl.layers.suggestions import suggestion
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.elaborate.elaboration import Elaboration
    from netdsl.elaborate.expressions import Evaluator
    from netdsl.elaborate.place import Place
    from netdsl.ir.graph import Node


def make_input(
    elaboration: Elaboration,
    place: Place,
    statement: tree.Input,
    siblings: Sequence[tree.Input],
    known: dict[Constraint, None],
) -> Node | Unknown:
    """Make the node of `input image: 3xHxW where H % 32 == 0`; its letters become names of sizes.

    Args:
        elaboration: the elaboration that makes the node.
        place: where the statement stands.
        statement: the statement.
        siblings: the net's own inputs. A condition in their `where` holds from the first use of its letter on, since a
            name has one meaning.
        known: receives the constraints.
    """
    if place.names.path:
        raise fail(
            "E0507",
            "`input` belongs to the body of the net itself, not to a group in it",
            statement.span,
            help=f"move it before the group, which can begin with `@{statement.name}`",
        )
    evaluator = elaboration.evaluator(place, None)
    letters = _letters(statement.shape)
    new = [letter for letter in letters if place.environment.find(letter) is None]
    errors: list[Diagnostic] = []
    own = _constraints(statement, evaluator, errors)
    if new:
        others = [
            c for other in siblings for _, c in _constraints(other, evaluator, [])
        ]  # their own `input` reports errors
        stated = [*(constraint for _, constraint in own), *others]
        for letter in new:
            about = [constraint for constraint in stated if constraint.size == letter]
            place.environment.values[letter] = _introduced(letters[letter], about)
    for expression, constraint in own:
        here = constraint.size in (letters if statement in siblings else new)
        if not here or not isinstance(place.environment.find(constraint.size), Symbolic):
            errors += fail(
                "E0202",
                f"`{constraint.size}` is no unknown size of this `input`",
                expression.span,
                help="write a constraint at an `input` of the net whose shape has the letter",
            ).diagnostics
        else:
            known.setdefault(constraint)
    if errors:
        raise NetdslError(errors)
    shape = [evaluator.size(dim) for dim in statement.shape.dims]
    name, member = place.names.enter(statement.name, "input", statement.name_span, counted=False)
    member.output = UNKNOWN
    dtype = DType.FLOAT32 if statement.dtype is None else _dtype(statement.dtype)
    sizes = tuple(dim for dim in shape if not isinstance(dim, Unknown))
    if len(sizes) == len(shape):
        spot = MemberSpot.of(place.names, name)
        member.output = elaboration.make(spot, InputLayer(sizes, dtype), (), statement.span, {})
    return member.output


def _dtype(word: tree.Name) -> DType:
    kind = signature(InputLayer)[1].kind
    if word.id not in kind.words:
        raise fail(
            "E0305",
            f"`{word.id}` is no element type",
            word.span,
            help=suggestion(word.id, kind.words) or f"it is one of {', '.join(kind.words)}",
        )
    return DType(word.id)


def _letters(shape: tree.Shape) -> dict[str, tree.Name]:
    """The capital letters of a shape, which may stand for symbolic sizes, at their first use."""
    found: dict[str, tree.Name] = {}
    for dim in shape.dims:
        if isinstance(dim, tree.Name) and len(dim.id) == 1 and dim.id.isupper():
            found.setdefault(dim.id, dim)
    return found


def _introduced(letter: tree.Name, about: list[Constraint]) -> Symbolic:
    """Make the symbol of a new capital letter, with the conditions in `where`."""
    if letter.id == "N":
        raise fail(
            "E0109",
            "`N` is the batch, which is implicit and never written",
            letter.span,
            help="drop it, or use another letter for a size that is not known",
        )
    allowed = Allowed.by(about)
    if not allowed.nearest(allowed.minimum):
        texts = " and ".join(f"`{text}`" for text in dict.fromkeys(constraint.text for constraint in about))
        raise fail("E0306", f"no size satisfies {texts}", letter.span, help="change the bounds")
    try:
        return symbol(letter.id, allowed.multiple, allowed.minimum, allowed.maximum)
    except DimError as error:
        raise error.at(letter.span) from None


def _constraints(
    statement: tree.Input, evaluator: Evaluator, errors: list[Diagnostic]
) -> list[tuple[tree.Expression, Constraint]]:
    """Evaluate the constraints of an `input`; errors of invalid ones are added to `errors`."""
    found = []
    for expression in statement.constraints:
        try:
            found.append((expression, _constraint(expression, evaluator)))
        except NetdslError as error:
            errors += error.diagnostics
    return found


def _constraint(expression: tree.Expression, evaluator: Evaluator) -> Constraint:
    """Evaluate a condition in a `where`."""
    match expression:
        case tree.Binary(
            operator="==",
            left=tree.Binary(operator="%", left=tree.Name(id=name), right=number),
            right=tree.Constant(value=0),
        ):
            relation, least = "%", 1
        case tree.Binary(operator=">=" | "<=" as relation, left=tree.Name(id=name), right=number):
            least = 0
        case _:
            message = "a constraint has one of the forms `H % 32 == 0`, `H >= 33` and `H <= 512`"
            raise fail("E0310", message, expression.span, help=_remedy(expression))
    value = evaluator.whole(number, least)
    return Constraint(name, relation, value if isinstance(value, int) else 1)


def _remedy(constraint: tree.Expression) -> str | None:
    """The remedy for a constraint of another form."""
    match constraint:
        case tree.Binary(operator=">", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write `{name} >= {number + 1}`"
        case tree.Binary(operator="<", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write `{name} <= {number - 1}`"
        case tree.Binary(operator="==", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write {number} instead of `{name}` in the shape"
        case tree.Binary(operator="and", left=left, right=right):
            return f"write `{left.span.text}, {right.span.text}`"
    return None
