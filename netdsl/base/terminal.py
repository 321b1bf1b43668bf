"""The one place that prints to the terminal; it lets no text control the terminal.

Names, texts and paths come from files of other people, and a terminal obeys control characters in them: they change
colours, move the cursor, write to the clipboard. Each invisible character is therefore replaced, and only colours
that netdsl itself chooses are kept. `say` prints exactly one line, so that such a text cannot add lines either.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any

import click

from netdsl.base.diagnostics import INVISIBLE, STYLES, shortened, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_STYLE = re.compile(rf"(\x1b\[(?:{'|'.join(STYLES)}|0)m)")

_OF_LINES = (click.MissingParameter, getattr(click.exceptions, "NoArgsIsHelpError", click.MissingParameter))
"""Errors of click whose messages consist of several lines of netdsl's own: choices, or the help."""


def say(line: str, *, err: bool = False, styled: bool = False) -> None:
    """Print a line on stdout, or on stderr; `styled` keeps the styles of `STYLES`."""
    _print(_cleaned(line, visible, styled=styled), err=err, styled=styled)


def say_text(text: str, *, err: bool = False, styled: bool = False) -> None:
    """Print a text of several lines; pass parts that come from files through `visible` first, so that they add none."""
    _print(_cleaned(text, _visible_lines, styled=styled), err=err, styled=styled)


def say_json(value: Any) -> None:
    """Print a value as JSON on stdout; invisible characters are escaped, so that nothing is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    _print("\n".join(INVISIBLE.sub(_escaped, line) for line in text.split("\n")))


def coloured(stream: Any) -> bool:
    """Whether a stream shows colours: a terminal does, unless NO_COLOR is set."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def errors_are_coloured() -> bool:
    """Whether stderr shows colours."""
    return coloured(sys.stderr)


def watched() -> bool:
    """Whether stderr is a terminal, where a person can watch progress."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr; gives the function that advances it by a number of steps."""
    with click.progressbar(length=length, label=visible(label), file=sys.stderr) as bar:
        yield bar.update
        bar.update(length - bar.pos)  # steps that were not reported are done as well


def show_in_place(line: str) -> None:
    """Print a line on stderr, a terminal, in place of the previous such line; an empty line erases it."""
    columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some terminals report 0
    sys.stderr.write(f"\r\x1b[K{visible(line)[: columns - 1]}")  # a full line would wrap, and could not be erased
    sys.stderr.flush()


def show_wrong_usage(error: click.ClickException) -> None:
    """Print click's message about a wrong call; the arguments quoted in it stay on one line."""
    buffer, message = StringIO(), error.format_message()
    error.show(buffer)
    text = buffer.getvalue()
    if not isinstance(error, _OF_LINES):
        text = text.replace(message, shortened(message))
    say_text(text.rstrip("\n"), err=True)


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an internal error, as `sys.excepthook` does."""
    import traceback  # noqa: PLC0415 - importing it takes time, and it is seldom needed

    say_text("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), err=True)


@contextmanager
def door() -> Iterator[None]:
    """Print the warnings of libraries through this module while the program runs."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a character that the terminal cannot show must not stop the program
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        yield


@contextmanager
def logs_shown() -> Iterator[None]:
    """Clean the log messages of libraries while a command runs."""
    import logging  # noqa: PLC0415 - importing it takes time, which `--help` must not spend

    make_record = logging.getLogRecordFactory()

    def visible_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        record.msg, record.args = visible(record.getMessage()), ()
        return record

    logging.setLogRecordFactory(visible_record)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make_record)


def flush() -> None:
    """Flush stdout."""
    if sys.stdout is not None:
        sys.stdout.flush()


def close() -> None:
    """Redirect stdout to nowhere after its reader has left (`| head`), so that the flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    say(f"warning: {message} ({category.__name__})", err=True)


def _print(text: str, *, err: bool = False, styled: bool = False) -> None:
    click.echo(text, err=err, color=True if styled else None)


def _cleaned(text: str, clean: Callable[[str], str], *, styled: bool) -> str:
    if not styled:
        return clean(text)
    return "".join(part if at % 2 else clean(part) for at, part in enumerate(_STYLE.split(text)))


def _visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _escaped(match: re.Match[str]) -> str:
    """Escape a character as JSON does."""
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"
