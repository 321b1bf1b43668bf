"""The rules for names, in one place: every name in a graph follows them.

Names become parts of dotted paths, keys of weights and identifiers in generated Python. A name therefore holds no
character that has a meaning there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.base.source import Span

MAX_NAME_LENGTH = 100
"""The largest number of characters of a name; a name made automatically has a number appended.

The path of a layer consists of as many names as there are nested bodies.
"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSITION = re.compile(r"[0-9]+")
_STEP = re.compile(r"[A-Za-z0-9_]+")


def is_name(text: str) -> bool:
    """Whether a text is a name: ASCII letters, digits and `_`, without a digit first."""
    return _NAME.fullmatch(text) is not None


def is_step(text: str) -> bool:
    """Whether a text is a step of a path: a name, a position in a `[]` scope, or a reuse of one such as `0_reuse1`."""
    return _STEP.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether a text is a path: steps separated by dots."""
    return all(map(is_step, text.split(".")))


def need_name(text: str, span: Span | None, *, words: Iterable[str] = ()) -> str:
    """Return `text` if it is a name.

    Args:
        text: the text.
        span: the place where it is written or computed.
        words: the reserved words of the language.

    Raises:
        NetdslError: it is too long (E0111), is not a name (E0112), or is a reserved word (E0109).
    """
    if len(text) > MAX_NAME_LENGTH:
        raise fail("E0111", f"expected a name of at most {MAX_NAME_LENGTH} characters, got {len(text):,}", span)
    if not is_name(text):
        raise fail(
            "E0112",
            f"expected a name, got `{text}`",
            span,
            help="a name is made of the letters a-z and A-Z, digits and `_`, and does not begin with a digit",
        )
    if text in words:
        raise fail("E0109", f"`{text}` is a word of the language and cannot be a name", span,
                   help=f"choose another one, such as `{text}_`")  # fmt: skip
    return text


def need_step(text: str, span: Span | None, *, words: Iterable[str] = ()) -> str:
    """Return `text` if it is a position, or a name that `need_name` accepts."""
    position = len(text) <= MAX_NAME_LENGTH and _POSITION.fullmatch(text) is not None
    return text if position else need_name(text, span, words=words)


def need_path(text: str, span: Span | None) -> str:
    """Return `text` if it is a path.

    Raises:
        NetdslError: it is not a path (E0112).
    """
    if not is_path(text):
        raise fail("E0112", f"expected a path, names separated by dots, got `{text}`", span)
    return text
