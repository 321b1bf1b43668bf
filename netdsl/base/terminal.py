"""The one door to the terminal: all that is printed goes through it, and does nothing there but appear.

Names, texts and paths come from files that others wrote, and a terminal obeys what is in them: it changes colours,
moves the cursor, writes to the clipboard. So whatever is no visible character is replaced, and only the colours that
are chosen here pass. A text from elsewhere may not make lines either: `say` prints one.
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
"""Errors of click whose messages are lines of ours: choices, or the help."""


def say(line: str, *, err: bool = False, styled: bool = False) -> None:
    """Print a line on stdout, or on stderr; `styled` if it may have the styles of `STYLES`."""
    _print(_cleaned(line, visible, styled=styled), err=err, styled=styled)


def say_text(text: str, *, err: bool = False, styled: bool = False) -> None:
    """Print a text of several lines; what comes from elsewhere in it must be `visible`, so that it makes none."""
    _print(_cleaned(text, _visible_lines, styled=styled), err=err, styled=styled)


def say_json(value: Any) -> None:
    """Print a value as JSON on stdout; what is not visible is escaped, and so nothing is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    _print("\n".join(INVISIBLE.sub(_escaped, line) for line in text.split("\n")))


def coloured(stream: Any) -> bool:
    """Whether a stream wants colours: a terminal does, unless NO_COLOR says otherwise."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def errors_are_coloured() -> bool:
    """Whether stderr wants colours."""
    return coloured(sys.stderr)


def watched() -> bool:
    """Whether a person sees what is told on stderr while it is told."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar of progress on stderr; gives what moves it on by so much."""
    with click.progressbar(length=length, label=visible(label), file=sys.stderr) as bar:
        yield bar.update
        bar.update(length - bar.pos)  # what is not told of is done as well


def show_in_place(line: str) -> None:
    """Put a line on stderr, a terminal, where the last one of these stands; an empty one takes it away."""
    columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some say nothing
    sys.stderr.write(f"\r\x1b[K{visible(line)[: columns - 1]}")  # a full line would wrap, and could not be taken back
    sys.stderr.flush()


def show_wrong_usage(error: click.ClickException) -> None:
    """Print what click says of a call that is wrong; what was typed stays within its line."""
    buffer, message = StringIO(), error.format_message()
    error.show(buffer)
    text = buffer.getvalue()
    if not isinstance(error, _OF_LINES):
        text = text.replace(message, shortened(message))
    say_text(text.rstrip("\n"), err=True)


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an internal error, as `sys.excepthook` does."""
    import traceback  # noqa: PLC0415 - it takes time, and there should be none

    say_text("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), err=True)


@contextmanager
def door() -> Iterator[None]:
    """While the program runs, warnings of libraries go through the door, too."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a terminal cannot show must not stop the program
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        yield


@contextmanager
def logs_shown() -> Iterator[None]:
    """While a command runs, logs of libraries go through the door, too."""
    import logging  # noqa: PLC0415 - the help goes without libraries, and without the time that this takes

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
    """Send what was printed on its way."""
    if sys.stdout is not None:
        sys.stdout.flush()


def close() -> None:
    """Print no more: the reader has left (`| head`), and the interpreter's own last flush must not fail either."""
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
    """A character as JSON escapes it."""
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"
