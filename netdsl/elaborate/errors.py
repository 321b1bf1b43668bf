"""The errors of one elaboration, and the limits at which it stops."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.base.source import Span
    from netdsl.ir.graph import Scope

MAX_STEPS = 500_000
"""The work of one check, in steps: a turn of a loop, a statement and an expression are one each; about a second."""
CALL, LAYER, PARAM = 6, 6, 4
"""The steps of a call, of the layer that it makes, and of each of the layer's parameters."""
MAX_ERRORS = 20
MAX_ERRORS_MET = 200
"""How often errors are met, those of a loop in every turn, before the rest of the net is passed over."""
MAX_BLOCK_DEPTH = 64


class Stop(Exception):  # noqa: N818 - no error of its own: those are in the list already
    """Elaboration cannot go on; the errors so far are the answer."""


@dataclass
class Budget:
    """The steps that are left to a check.

    Attributes:
        whose: what is too large when there are none left.
        remedy: what to do then.
    """

    whose: str = "the net is"
    remedy: str = "is a loop longer than it was meant to be?"
    left: int = MAX_STEPS


class Errors:
    """Collects errors, each place in the text once however often a loop meets it."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.found: list[Diagnostic] = []
        self.origin: tuple[tuple[str, Span], ...] = ()
        """The variants by which the net itself was reached, innermost first."""
        self._places: set[tuple[str, int, int]] = set()
        self._met = 0
        self._reuses: list[tuple[tuple[str, Span], int]] = []

    @contextmanager
    def reusing(self, label: str, span: Span, scope: Scope) -> Iterator[None]:
        """While it lasts, errors say that a `reuse` in `scope` led to them."""
        self._reuses.append(((f"reuse {label}", span), len(scope.stack())))
        yield
        self._reuses.pop()

    def report(self, error: NetdslError, scope: Scope | None = None) -> None:
        """Keep the diagnostics of an error, with the block calls that lead to `scope`.

        Raises:
            Stop: there are so many that more would not help.
        """
        for diagnostic in error.diagnostics:
            span = diagnostic.span
            place = (diagnostic.code, span.start, id(span.source)) if span else (diagnostic.message, 0, 0)
            self._met += 1
            if place in self._places:
                if self._met > MAX_ERRORS_MET:
                    raise Stop
                continue
            self._places.add(place)
            self.found.append(replace(diagnostic, stack=diagnostic.stack or self._stack(scope, span)))
            if len(self.found) >= MAX_ERRORS:
                raise Stop

    def _stack(self, scope: Scope | None, span: Span | None) -> tuple[tuple[str, Span], ...]:
        stack = list(scope.stack()) if scope is not None else []
        for number, (frame, outside) in enumerate(self._reuses):
            stack.insert(len(stack) - outside - number, frame)
        return (*stack, *(frame for frame in self.origin if frame[1] != span))

    def fatal(self, error: NetdslError, scope: Scope) -> Stop:
        """Keep an error after which nothing more can be said; the caller raises the result."""
        self.report(error, scope)
        return Stop()

    def spend(self, scope: Scope, steps: int, span: Span | None) -> None:
        """Count work, and stop what takes more of it than netdsl does.

        Raises:
            Stop: it does (E0701).
        """
        self.budget.left -= steps
        if self.budget.left < 0:
            message = f"{self.budget.whose} larger than netdsl builds, which is some 20,000 layers"
            raise self.fatal(fail("E0701", message, span, help=self.budget.remedy), scope)
