"""The errors of one elaboration, and the limits at which it stops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetdslError, fail

if TYPE_CHECKING:
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
        self._places: set[tuple[str, int, int]] = set()
        self._steps = 0

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
            stack = diagnostic.stack or (scope.stack() if scope is not None else ())
            self.found.append(replace(diagnostic, stack=stack))
            if len(self.found) >= MOST_ERRORS:
                raise Stop

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
