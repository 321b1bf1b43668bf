"""The inputs of a net: their shapes, the sizes that stay open, and what `where` says of those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.nodes import MemberSpot
from netdsl.elaborate.suggestions import suggestion
from netdsl.elaborate.values import UNKNOWN, Unknown
from netdsl.ir.constraint import Allowed, Constraint
from netdsl.ir.dim import DimError, Symbolic, symbol
from netdsl.ir.types import DType
from netdsl.layers.base import signature
from netdsl.layers.ends import InputLayer
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
    """`input image: 3xHxW where H % 32 == 0`: the node; its letters become names of sizes.

    Args:
        elaboration: where the node is made.
        place: where the statement stands.
        statement: the statement.
        siblings: the net's own inputs. What their `where` say of a letter holds from its first use on, since one name
            has one meaning.
        known: gets the constraints.
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
        others = [c for other in siblings for _, c in _constraints(other, evaluator, [])]  # told of where they stand
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
    """The capital letters of a shape, which can stand for unknown sizes, where each stands first."""
    found: dict[str, tree.Name] = {}
    for dim in shape.dims:
        if isinstance(dim, tree.Name) and len(dim.id) == 1 and dim.id.isupper():
            found.setdefault(dim.id, dim)
    return found


def _introduced(letter: tree.Name, about: list[Constraint]) -> Symbolic:
    """The symbol of a capital letter that is not known yet, with what `where` says of it."""
    if letter.id == "N":
        raise fail(
            "E0109",
            "`N` is the batch, which is always there and never written",
            letter.span,
            help="drop it, or use another letter for a size that is not known",
        )
    allowed = Allowed.by(about)
    if not allowed.nearest(allowed.minimum):
        texts = " and ".join(f"`{text}`" for text in dict.fromkeys(constraint.text for constraint in about))
        raise fail("E0306", f"there is no size that keeps {texts}", letter.span, help="mend the bounds")
    try:
        return symbol(letter.id, allowed.multiple, allowed.minimum, allowed.maximum)
    except DimError as error:
        raise error.at(letter.span) from None


def _constraints(
    statement: tree.Input, evaluator: Evaluator, errors: list[Diagnostic]
) -> list[tuple[tree.Expression, Constraint]]:
    """The constraints of an `input`; what is wrong with the others enters `errors`."""
    found = []
    for expression in statement.constraints:
        try:
            found.append((expression, _constraint(expression, evaluator)))
        except NetdslError as error:
            errors += error.diagnostics
    return found


def _constraint(expression: tree.Expression, evaluator: Evaluator) -> Constraint:
    """The constraint that an expression of a `where` states."""
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
            raise fail("E0310", message, expression.span, help=_mended(expression))
    value = evaluator.whole(number, least)
    return Constraint(name, relation, value if isinstance(value, int) else 1)


def _mended(constraint: tree.Expression) -> str | None:
    """How to write a constraint of another form, or what it means."""
    match constraint:
        case tree.Binary(operator=">", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write `{name} >= {number + 1}`"
        case tree.Binary(operator="<", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write `{name} <= {number - 1}`"
        case tree.Binary(operator="==", left=tree.Name(id=name), right=tree.Constant(value=int(number))):
            return f"write {number} in the place of `{name}` in the shape"
    return None
