"""Diagnostics: errors and warnings as data, and their rendering as text or JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.base.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """One error or warning.

    Attributes:
        code: a stable code of `netdsl.reference.codes.CODES`; ``E...`` is an error, ``W...`` a warning.
        message: what is expected and what was found, in one lower-case line.
        span: the source text at fault; None where there is none (a missing file).
        label: a few words printed beside the carets.
        notes: further facts, such as the shapes involved.
        help: the remedy.
        stack: the calls that led here, innermost first: what was called, and where.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    help: str | None = None
    stack: tuple[tuple[str, Span], ...] = field(default=())

    @property
    def severity(self) -> Severity:
        """``error`` or ``warning``, as the code's first letter says."""
        return "warning" if self.code.startswith("W") else "error"

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the same content; lines and columns count from 1."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "place": _json_place(self.span),
            "label": self.label,
            "notes": list(self.notes),
            "help": self.help,
            "stack": [{"call": call, "place": _json_place(span)} for call, span in self.stack],
        }


def as_annotation(diagnostic: Diagnostic) -> str:
    """Return a diagnostic as a line that GitHub Actions shows beside the code.

    Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    place = _json_place(diagnostic.span) or {}
    text = "\n".join([diagnostic.message, *diagnostic.notes, *([diagnostic.help] if diagnostic.help else [])])
    named = {"file": place.get("file"), "line": place.get("line"), "col": place.get("column"), "title": diagnostic.code}
    values = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in named.items() if value is not None)
    return f"::{diagnostic.severity} {values}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in text)


class NetdslError(Exception):
    """The exception that every operation of netdsl raises on bad input: it holds one or more diagnostics.

    Attributes:
        diagnostics: the errors, and possibly warnings.
        more: the number of further errors that were found, and are not shown.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic] | Diagnostic, more: int = 0) -> None:
        self.diagnostics = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.more = more
        super().__init__(self.diagnostics, more)

    def __str__(self) -> str:
        more = [f"... and {further_errors(self.more)}"] if self.more else []
        return "\n\n".join([*(render(d) for d in self.diagnostics), *more])


MAX_ERRORS = 20
"""The number of errors of a file, or of a net, that are shown."""
MAX_ERRORS_COUNTED = 200
"""The number of errors, repeated ones included, after which the rest of a file or net is skipped."""


def further_errors(count: int) -> str:
    """Return a number of errors beyond those shown, in words."""
    most = count >= MAX_ERRORS_COUNTED - MAX_ERRORS
    return f"{'at least ' if most else ''}{count:,} more error{'' if count == 1 else 's'}"


def fail(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    label: str = "",
    notes: tuple[str, ...] = (),
    help: str | None = None,  # noqa: A002 - the word that the rendered text shows
) -> NetdslError:
    """Make an exception with one diagnostic; the caller raises it."""
    return NetdslError(Diagnostic(code, message, span, label, notes, help))


_COLOURS = {"error": "31;1", "warning": "33;1", "rule": "34;1", "help": "36"}
STYLES = (*_COLOURS.values(), "31", "32", "33")
"""The codes of all colours that netdsl prints: the colours of diagnostics, and red, green and yellow."""


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """Render a diagnostic as text: headline, place, source line with carets, notes, help and call stack."""

    def paint(text: str, style: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if colour else text

    severity = diagnostic.severity
    lines = [f"{paint(f'{severity}[{diagnostic.code}]', severity)}: {shortened(diagnostic.message)}"]
    gutter = "  "
    if diagnostic.span is not None:
        number, column = diagnostic.span.source.position(diagnostic.span.start)
        gutter = " " * (len(str(number)) + 1)
        source_line = diagnostic.span.source.line(number)
        before, shown = _window(source_line, column - 1)
        width = max(1, min(diagnostic.span.end - diagnostic.span.start, len(shown) - len(before)))
        carets = paint("^" * width, severity)
        bar = paint("|", "rule")
        lines += [
            f"{gutter[:-1]}{paint('-->', 'rule')} {visible(diagnostic.span.place)}",
            f"{gutter}{bar}",
            f"{paint(str(number), 'rule')} {bar} {visible(shown)}",
            f"{gutter}{bar} {_blank(before)}{carets}{' ' + visible(diagnostic.label) if diagnostic.label else ''}",
        ]
    lines += [f"{gutter}{paint('=', 'rule')} {shortened(note)}" for note in diagnostic.notes]
    if diagnostic.help:
        lines.append(f"{gutter}{paint('=', 'rule')} {paint('help', 'help')}: {shortened(diagnostic.help)}")
    lines += [f"{gutter}{paint('=', 'rule')} {shortened(frame)}" for frame in _frames(diagnostic)]
    return "\n".join(lines)


INVISIBLE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Characters that end a line, move the cursor, change colours, reverse the direction of text, or show nothing.

The two joiners of letters (U+200C, U+200D), which many languages need, are not among them, and neither is the tab.
"""


def visible(text: str) -> str:
    """Replace the invisible characters of a line, so that printing it cannot control the terminal."""
    return INVISIBLE.sub("\ufffd", text)


def shortened(text: str, most: int = 600) -> str:
    """Make a text fit a screen: visible characters only, and the middle left out if it is longer than `most`."""
    return visible(text if len(text) <= most else f"{text[: most - 200]} ... {text[-200:]}")


def _window(line: str, column: int, width: int = 110) -> tuple[str, str]:
    """Cut out the part of a long line around `column`: the text before the column, and all the text that is shown."""
    if len(line) <= width:
        return line[:column], line
    start = max(0, column - width // 2)
    return line[start:column], line[start : start + width]


def _blank(text: str) -> str:
    """Make spaces as wide as `text`; tabs stay tabs, so that the carets stand under the right characters."""
    return "".join("\t" if character == "\t" else " " for character in text)


def _frames(diagnostic: Diagnostic) -> list[str]:
    """Write the call stack as lines; leave out the middle of a deep one."""
    frames = [f"in `{call}`, called at {span.place}" for call, span in diagnostic.stack]
    return frames if len(frames) <= 8 else [*frames[:4], f"... {len(frames) - 7} more calls ...", *frames[-3:]]


def _json_place(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}
