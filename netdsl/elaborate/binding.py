"""Matching of a call's arguments with the fields of a layer or the parameters of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.callee import Bound, Callee, Formal
from netdsl.elaborate.habits import remedied
from netdsl.elaborate.values import UNKNOWN, BlockValue, LayerValue, Unknown, Value
from netdsl.layers.arguments import ArgumentError
from netdsl.layers.suggestions import listed, suggestion
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.base.source import Span
    from netdsl.elaborate.expressions import Evaluator
    from netdsl.layers.base import Layer


def match(callee: Callee, arguments: Sequence[tree.Argument], evaluator: Evaluator) -> dict[str, Bound]:
    """Match arguments with parameters and evaluate them.

    Raises:
        NetdslError: it holds every argument that is unknown, given twice, one too many or of the wrong kind.
    """
    formals = callee.formals
    bound: dict[str, Bound] = {}
    errors: list[Diagnostic] = []
    position = 0
    for number, argument in enumerate(arguments):
        try:
            if argument.key is None:
                position += 1
                if position > len(formals) + 1:
                    continue  # the first superfluous argument was reported
                if position > len(formals):
                    raise _too_many(callee, argument.span)
                formal = formals[position - 1]
            else:
                formal = callee.formal(argument.key, argument.span)
            if formal.name in bound:
                raise fail(
                    "E0304",
                    f"`{formal.name}` of `{callee.name}` is given twice",
                    argument.span,
                    notes=(f"the first stands at {bound[formal.name].span.place}",),
                )
            bound[formal.name] = Bound(_value(callee, formal, argument, evaluator), argument.value.span)
        except NetdslError as error:
            errors += remedied(error, callee, arguments, number, evaluator).diagnostics
    if errors:
        raise NetdslError(errors)
    return bound


def require(callee: Callee, given: Mapping[str, Any], span: Span | None) -> None:
    """Refuse a call in which a required argument is missing."""
    missing = [name for name in callee.required if name not in given]
    if missing:
        names = " and ".join(f"`{m}`" for m in missing)
        raise fail("E0302", f"`{callee.name}` needs {names}", span, help=callee.usage())


def _too_many(callee: Callee, span: Span) -> NetdslError:
    most = len(callee.formals)
    if not most:
        return fail("E0303", callee.usage(), span)
    count = "1 argument" if most == 1 else f"{most} arguments"
    return fail("E0303", f"`{callee.name}` takes at most {count}", span, help=callee.usage())


def _value(callee: Callee, formal: Formal, argument: tree.Argument, evaluator: Evaluator) -> Value:
    """Evaluate an argument."""
    expression, kind = argument.value, formal.kind
    if isinstance(expression, tree.Name):
        words = kind.words if kind is not None else ()
        if evaluator.environment.find(expression.id) is None:
            if expression.id in words:  # even if a layer has that name: `gelu approx=tanh`
                return expression.id
            if words and evaluator.find(expression.id) is None:
                raise _unknown_word(callee.what(formal), expression, words, evaluator)
        if kind is None and evaluator.find(expression.id) is None:
            raise evaluator.unknown(expression, callables=True)
    value = evaluator.evaluate(expression)
    if kind is None or isinstance(value, Unknown):
        return value
    if isinstance(value, tuple) and any(isinstance(item, BlockValue | LayerValue) for item in value):
        raise fail("E0305", f"{callee.what(formal)}: expected {kind.name}, got a list of names", expression.span)
    try:
        return kind.convert(value)
    except ArgumentError as error:
        message = f"{callee.what(formal)}: {error.message}"
        raise fail(error.code, message, expression.span, help=error.help) from None


def _unknown_word(what: str, name: tree.Name, words: tuple[str, ...], evaluator: Evaluator) -> NetdslError:
    return fail(
        "E0305",
        f"{what} does not know the word `{name.id}`",
        name.span,
        help=suggestion(name.id, {*words, *evaluator.environment.names()}) or f"it knows {listed(words)}",
    )


def make_layer(layer: type[Layer], bound: Mapping[str, Bound], span: Span) -> Layer | Unknown:
    """Make the layer from its arguments; `UNKNOWN` if one of them is."""
    require(Callee.of_dataclass(layer.kind, layer), bound, span)
    values = {name: argument.value for name, argument in bound.items()}
    return UNKNOWN if UNKNOWN in values.values() else layer(**values)
