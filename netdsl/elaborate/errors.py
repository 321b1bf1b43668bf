"""The errors of one elaboration, and the limits at which it stops."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import MAX_ERRORS, MAX_ERRORS_COUNTED, Diagnostic, NetdslError, fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.base.source import Span
    from netdsl.ir.graph import Scope

MAX_STEPS = 500_000
"""The limit of the work of one check, in steps: a turn, a statement or an expression is one; about a second."""
CALL, LAYER, PARAM = 6, 6, 4
"""The steps of a call, of the layer that it makes, and of each of the layer's parameters."""
MAX_BLOCK_DEPTH = 64


class Stop(Exception):  # noqa: N818 - not an error itself: the errors are in the list already
    """Elaboration cannot continue; the result is the errors so far."""


@dataclass
class Budget:
    """The remaining steps of a check.

    Attributes:
        whose: the subject of the error when no steps are left.
        remedy: the remedy in that error.
    """

    whose: str = "the net is"
    remedy: str = "is a loop longer than it was meant to be?"
    left: int = MAX_STEPS


class Errors:
    """Collects errors; an error that a loop repeats at one place in the text is kept once."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.found: list[Diagnostic] = []
        self.more = 0
        """The number of errors beyond `MAX_ERRORS`."""
        self.origin: tuple[tuple[str, Span], ...] = ()
        """The variants that lead to the net, innermost first."""
        self._places: set[tuple[str, int, int]] = set()
        self._met = 0
        self._reuses: list[tuple[tuple[str, Span], int]] = []

    @contextmanager
    def reusing(self, label: str, span: Span, scope: Scope) -> Iterator[None]:
        """A context in which errors state that a `reuse` in `scope` led to them."""
        self._reuses.append(((f"reuse {label}", span), len(scope.stack())))
        yield
        self._reuses.pop()

    def report(self, error: NetdslError, scope: Scope | None = None) -> None:
        """Record the diagnostics of an error, with the block calls that lead to `scope`.

        Raises:
            Stop: there are too many errors to continue.
        """
        for diagnostic in error.diagnostics:
            span = diagnostic.span
            place = (diagnostic.code, span.start, id(span.source)) if span else (diagnostic.message, 0, 0)
            self._met += 1
            if place not in self._places:
                self._places.add(place)
                if len(self.found) < MAX_ERRORS:
                    self.found.append(replace(diagnostic, stack=diagnostic.stack or self._stack(scope, span)))
                else:
                    self.more += 1
            if self._met >= MAX_ERRORS_COUNTED:
                raise Stop

    def _stack(self, scope: Scope | None, span: Span | None) -> tuple[tuple[str, Span], ...]:
        stack = list(scope.stack()) if scope is not None else []
        for number, (frame, outside) in enumerate(self._reuses):
            stack.insert(len(stack) - outside - number, frame)
        return (*stack, *(frame for frame in self.origin if frame[1] != span))

    def fatal(self, error: NetdslError, scope: Scope) -> Stop:
        """Record an error after which elaboration cannot continue; the caller raises the result."""
        self.report(error, scope)
        return Stop()

    def spend(self, scope: Scope, steps: int, span: Span | None) -> None:
        """Count work, and stop if it exceeds the budget.

        Raises:
            Stop: the budget is exceeded (E0701).
        """
        self.budget.left -= steps
        if self.budget.left < 0:
            message = f"{self.budget.whose} larger than netdsl builds, which is some 20,000 layers"
            raise self.fatal(fail("E0701", message, span, help=self.budget.remedy), scope)
