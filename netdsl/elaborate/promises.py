"""Promises: the `assert` statements of a net, checked against its graph."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from netdsl.analysis.counts import count_macs, count_params
from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.show import show
from netdsl.elaborate.environment import Environment
from netdsl.elaborate.expressions import Evaluator
from netdsl.layers.suggestions import listed, suggestion
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netdsl.base.source import Span
    from netdsl.elaborate.errors import Errors
    from netdsl.elaborate.place import Place
    from netdsl.elaborate.values import Value
    from netdsl.ir.graph import Graph


@dataclass(frozen=True, slots=True)
class Promise:
    """An `assert`, the names visible to it, and the variants that lead to it."""

    place: Place
    statement: tree.Assert
    origin: tuple[tuple[str, Span], ...]


def check_promises(promises: Iterable[Promise], graph: Graph, errors: Errors) -> None:
    """Report the promises that a graph does not keep."""
    facts: dict[str, Value] = {
        "params": count_params(graph),
        "macs": count_macs(graph),
        "layers": len(graph.nodes) - len(graph.inputs),
    }
    for promise in promises:
        condition = promise.statement.condition
        place, errors.origin = promise.place, promise.origin
        spend = partial(errors.spend, place.names.scope)
        evaluator = Evaluator(place.module, Environment(dict(facts), place.environment), spend)
        try:
            if evaluator.truth(condition) is False:
                errors.report(_broken(condition, evaluator, facts))
        except NetdslError as error:
            errors.report(_not_known(error, facts, evaluator.environment.names()))


def _broken(condition: tree.Expression, evaluator: Evaluator, facts: Mapping[str, Value]) -> NetdslError:
    """The error of a false assertion, with the values of the part that fails."""
    span = condition.span
    if not isinstance(condition, tree.Binary) or condition.operator == "or":
        return fail("E0601", f"`{span.text}` does not hold", span, notes=_spoken_of(facts, span))
    if condition.operator == "and":
        fails = condition.left if evaluator.truth(condition.left) is False else condition.right
        return _broken(fails, evaluator, facts)
    left, right = (show(evaluator.evaluate(side)) for side in (condition.left, condition.right))
    label = "" if isinstance(condition.right, tree.Constant) else f"{left} {condition.operator} {right} does not hold"
    return fail("E0601", f"`{condition.left.span.text}` is {left}, and `{span.text}` was promised", span, label=label)


def _not_known(error: NetdslError, facts: Mapping[str, Value], names: set[str]) -> NetdslError:
    """The errors of a condition; one that depends on sizes of the input is no promise."""
    found = []
    for d in error.diagnostics:
        if d.code == "E0311" and d.span is not None:
            found.append(replace(d, code="E0602", notes=_spoken_of(facts, d.span)))
        elif d.code == "E0202" and d.span is not None:
            known = f"an `assert` knows {listed(facts)}, and the names seen where it stands"
            found.append(replace(d, help=suggestion(d.span.text, names) or known))
        else:
            found.append(d)
    return NetdslError(found)


def _spoken_of(facts: Mapping[str, Value], span: Span) -> tuple[str, ...]:
    """The facts that a condition mentions."""
    words = re.findall(r"\w+", span.text)
    return tuple(f"`{name}` is {value}" for name, value in facts.items() if name in words)
