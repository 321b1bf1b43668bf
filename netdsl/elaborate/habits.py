"""What people write in a call out of habit, and what to write instead."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError
from netdsl.elaborate.values import BlockValue, LayerValue
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.elaborate.callee import Callee
    from netdsl.elaborate.expressions import Evaluator

FUNCTION_KEYS = ("activation", "act", "nonlinearity", "norm", "normalizer")
"""Arguments by which other frameworks put a layer behind another one."""


def remedied(
    error: NetdslError, callee: Callee, arguments: Sequence[tree.Argument], position: int, evaluator: Evaluator
) -> NetdslError:
    """Return the error of an argument, with the call to write if the argument is a known habit.

    Args:
        error: the error.
        callee: the layer or block that is called.
        arguments: all arguments of the call.
        position: the index of the argument at fault.
        evaluator: knows the names at the call.
    """
    line = _behind(callee, arguments, position, evaluator) or _glued(callee, arguments, position)
    first, *others = error.diagnostics
    return error if line is None else NetdslError([replace(first, help=f"write `{line}`"), *others])


def _behind(callee: Callee, arguments: Sequence[tree.Argument], position: int, evaluator: Evaluator) -> str | None:
    """`conv 16 k3 relu` and `conv 16 k3 activation=relu` are `conv 16 k3 -> relu`."""
    argument = arguments[position]
    if not isinstance(argument.value, tree.Name) or argument.key not in (None, *FUNCTION_KEYS):
        return None
    if not isinstance(evaluator.find(argument.value.id), LayerValue | BlockValue):
        return None
    before = " ".join([callee.name, *(other.span.text for other in arguments[:position])])
    after = [other.span.text for other in arguments[position + 1 :]]
    others = arguments[:position] if argument.key is None else [*arguments[:position], *arguments[position + 1 :]]
    bare = [formal.name for formal in callee.formals][: sum(other.key is None for other in others)]
    if not {*callee.required} <= {*bare, *(other.key for other in others)}:
        return None
    if argument.key is None:
        return f"{before} -> {' '.join([argument.value.id, *after])}"
    return f"{' '.join([before, *after])} -> {argument.value.id}"


def _glued(callee: Callee, arguments: Sequence[tree.Argument], position: int) -> str | None:
    """`conv 16 k3 psame` is `conv 16 k3 p=same`."""
    argument = arguments[position]
    if argument.key is not None or not isinstance(argument.value, tree.Name):
        return None
    found = re.fullmatch(r"([kspdg])([a-z]+)", argument.value.id)
    formal = next((formal for formal in callee.formals if found and formal.name == found[1]), None)
    if found is None or formal is None or formal.kind is None or found[2] not in formal.kind.words:
        return None
    others = [other.span.text for other in arguments]
    others[position] = f"{found[1]}={found[2]}"
    return " ".join([callee.name, *others])
