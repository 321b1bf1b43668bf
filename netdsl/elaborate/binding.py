"""From the arguments of a call to the fields of a layer or the parameters of a block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from netdsl.arguments import ArgumentError
from netdsl.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.suggestions import ARGUMENTS_ELSEWHERE, listed, suggestion
from netdsl.elaborate.values import UNKNOWN, BlockValue, LayerValue, Unknown, Value
from netdsl.layer import Layer, signature
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.arguments import Kind
    from netdsl.elaborate.expressions import Evaluator
    from netdsl.elaborate.program import BlockDefinition
    from netdsl.source import Span


@dataclass(frozen=True, slots=True)
class Bound:
    """A value given to an argument, and where it was given."""

    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Formal:
    """A parameter that a call may fill. `kind` is None for a block's, which take any value."""

    name: str
    kind: Kind | None
    required: bool


@dataclass(frozen=True, slots=True)
class Callee:
    """What takes arguments: a layer, a word of a recipe, a block or a net, under the name it was called by."""

    name: str
    formals: tuple[Formal, ...]
    net: bool = False

    @staticmethod
    def of_dataclass(name: str, cls: type) -> Callee:
        """A layer, or a word of a recipe."""
        return Callee(name, _formals(cls))

    @staticmethod
    def of_declaration(name: str, declaration: tree.BlockDeclaration) -> Callee:
        """A block or a net."""
        formals = tuple(Formal(p.name, None, p.default is None) for p in declaration.parameters)
        return Callee(name, formals, declaration.net)

    @staticmethod
    def of_target(name: str, target: BlockDefinition | type[Layer]) -> Callee:
        """Whatever a call names."""
        if isinstance(target, type):
            return Callee.of_dataclass(name, target)
        return Callee.of_declaration(name, target.declaration)

    def usage(self) -> str:
        """The signature in one line; optional arguments in brackets."""
        if not self.formals:
            return f"`{self.name}` takes no arguments"
        words = [f.name if f.required else f"[{f.name}]" for f in self.formals]
        call = f"{self.name}({', '.join(words)})" if self.net else " ".join([self.name, *words])
        return f"it is called as `{call}`"

    def what(self, formal: Formal) -> str:
        """What messages call one of the parameters."""
        return f"`{formal.name}` of `{self.name}`" if len(self.formals) > 1 else f"`{self.name}`"


@cache
def _formals(cls: type) -> tuple[Formal, ...]:
    return tuple(Formal(field.name, field.kind, field.required) for field in signature(cls))


def match(callee: Callee, arguments: Sequence[tree.Argument], evaluator: Evaluator) -> dict[str, Bound]:
    """Match arguments with parameters and evaluate them.

    Raises:
        NetdslError: every argument that is unknown, given twice, one too many or of the wrong kind, at once.
    """
    formals = callee.formals
    by_name = {formal.name: formal for formal in formals}
    bound: dict[str, Bound] = {}
    errors: list[Diagnostic] = []
    position = 0
    for argument in arguments:
        try:
            if argument.key is None:
                position += 1
                if position > len(formals) + 1:
                    continue  # the first that is too many was told
                if position > len(formals):
                    raise _too_many(callee, argument.span)
                formal = formals[position - 1]
            elif argument.key in by_name:
                formal = by_name[argument.key]
            else:
                raise fail(
                    "E0301",
                    f"`{callee.name}` has no argument `{argument.key}`",
                    argument.span,
                    help=suggestion(argument.key, by_name, ARGUMENTS_ELSEWHERE) or callee.usage(),
                )
            if formal.name in bound:
                raise fail(
                    "E0304",
                    f"`{formal.name}` of `{callee.name}` is given twice",
                    argument.span,
                    notes=(f"the first stands at {bound[formal.name].span.place}",),
                )
            value = _value(callee.what(formal), formal, argument, evaluator)
            bound[formal.name] = Bound(value, argument.value.span)
        except NetdslError as error:
            errors += error.diagnostics
    if errors:
        raise NetdslError(errors)
    return bound


def require(callee: Callee, given: Mapping[str, Any], span: Span | None) -> None:
    """Refuse a call in which a required argument is missing."""
    missing = [formal.name for formal in callee.formals if formal.required and formal.name not in given]
    if missing:
        names = " and ".join(f"`{m}`" for m in missing)
        raise fail("E0302", f"`{callee.name}` needs {names}", span, help=callee.usage())


def _too_many(callee: Callee, span: Span) -> NetdslError:
    most = len(callee.formals)
    if not most:
        return fail("E0303", callee.usage(), span)
    count = "1 argument" if most == 1 else f"{most} arguments"
    return fail("E0303", f"`{callee.name}` takes at most {count}", span, help=callee.usage())


def _value(what: str, formal: Formal, argument: tree.Argument, evaluator: Evaluator) -> Value:
    """The value of an argument, which messages call `what`."""
    expression = argument.value
    words = formal.kind.words if formal.kind is not None else ()
    if isinstance(expression, tree.Name) and evaluator.environment.find(expression.id) is None:
        if expression.id in words:  # also where a layer has that name: `gelu approx=tanh`
            return expression.id
        if words and evaluator.find(expression.id) is None:
            raise _unknown_word(what, expression, words, evaluator)
    if formal.kind is None and isinstance(expression, tree.Name) and evaluator.find(expression.id) is None:
        raise evaluator.unknown(expression, callables=True)
    value = evaluator.evaluate(expression)
    if formal.kind is None or isinstance(value, Unknown):
        return value
    return _converted(what, formal.kind, value, expression.span)


def _unknown_word(what: str, name: tree.Name, words: tuple[str, ...], evaluator: Evaluator) -> NetdslError:
    return fail(
        "E0305",
        f"{what} does not know the word `{name.id}`",
        name.span,
        help=suggestion(name.id, {*words, *evaluator.environment.names()}) or f"it knows {listed(words)}",
    )


def _converted(what: str, kind: Kind, value: Value, span: Span) -> Any:
    if isinstance(value, tuple) and any(isinstance(item, BlockValue | LayerValue) for item in value):
        raise fail("E0305", f"{what}: {kind.name} is due, not a list of names", span)
    try:
        return kind.convert(value)
    except ArgumentError as error:
        raise fail(error.code, f"{what}: {error.message}", span, help=error.help) from None


def make_layer(layer: type[Layer], bound: Mapping[str, Bound], span: Span) -> Layer | Unknown:
    """The layer with its fields filled; `UNKNOWN` if a value is."""
    require(Callee.of_dataclass(layer.kind, layer), bound, span)
    values = {name: argument.value for name, argument in bound.items()}
    return UNKNOWN if any(value is UNKNOWN for value in values.values()) else layer(**values)
