"""The grammar of names: the one place that says what a name is. Every name of a graph is held to it.

Names become parts of paths, which are split at dots, keys of weights, and words of generated Python. So nothing may
stand in one that has a meaning there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.base.source import Span

MAX_NAME_LENGTH = 100
"""The characters of the longest name that is written or computed; an automatic one has its number behind it.

The path of a layer is made of as many names as bodies are nested.
"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSITION = re.compile(r"[0-9]+")
_STEP = re.compile(r"[A-Za-z0-9_]+")


def is_name(text: str) -> bool:
    """Whether a text is a name: letters of ASCII, digits and `_`, no digit first."""
    return _NAME.fullmatch(text) is not None


def is_step(text: str) -> bool:
    """Whether a text is a step of a path: a name, a position in a `[]` scope, or `0_reuse1`, what makes that again."""
    return _STEP.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether a text is a path: steps with dots between."""
    return all(map(is_step, text.split(".")))


def need_name(text: str, span: Span | None, *, words: Iterable[str] = ()) -> str:
    """The text itself, which is to be a name.

    Args:
        text: the text.
        span: where it is written or computed.
        words: what the language reads as something else.

    Raises:
        NetdslError: it is too long (E0111), is none of `is_name` (E0112), or is among `words` (E0109).
    """
    if len(text) > MAX_NAME_LENGTH:
        raise fail("E0111", f"a name has at most {MAX_NAME_LENGTH} characters, not {len(text):,}", span)
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
    """The text itself, which is to be a position or else a name, as `need_name` has it."""
    position = len(text) <= MAX_NAME_LENGTH and _POSITION.fullmatch(text) is not None
    return text if position else need_name(text, span, words=words)


def need_path(text: str, span: Span | None) -> str:
    """The text itself, which is to be a path.

    Raises:
        NetdslError: it is none (E0112).
    """
    if not is_path(text):
        raise fail("E0112", f"expected a path, names with dots between, got `{text}`", span)
    return text
