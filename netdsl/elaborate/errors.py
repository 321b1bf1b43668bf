"""The errors of one elaboration, and the limits at which it stops."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetdslError, fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.ir.graph import Scope
    from netdsl.source import Span

MOST_LAYERS = 50_000
MOST_STEPS = 300_000
MOST_ERRORS = 20
DEEPEST = 64


class Stop(Exception):  # noqa: N818 - no error of its own: those are in the list already
    """Elaboration cannot go on; the errors so far are the answer."""


class Errors:
    """Collects errors, each place in the text once however often a loop meets it."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self.origin: tuple[tuple[str, Span], ...] = ()
        """The variants by which the net itself was reached, innermost first."""
        self._places: set[tuple[str, int, int]] = set()
        self._reuses: list[tuple[tuple[str, Span], int]] = []
        self._steps = 0

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
            if place in self._places:
                continue
            self._places.add(place)
            self.found.append(replace(diagnostic, stack=diagnostic.stack or self._stack(scope, span)))
            if len(self.found) >= MOST_ERRORS:
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

    def step(self, layers: int, scope: Scope, span: Span) -> None:
        """Count a statement, and stop a net that has grown past what netdsl builds."""
        self._steps += 1
        if layers > MOST_LAYERS or self._steps > MOST_STEPS:
            much = f"{MOST_LAYERS:,} layers" if layers > MOST_LAYERS else f"{MOST_STEPS:,} statements"
            raise self.fatal(
                fail(
                    "E0701",
                    f"the net is larger than netdsl builds: more than {much}",
                    span,
                    help="is a loop longer than it was meant to be?",
                ),
                scope,
            )
