"""The built-in functions of the language."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netdsl.ir.dim import Symbolic, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_LIST_LENGTH = 10_000
MAX_LIST_DEPTH = 16


class TooLong(Exception):  # noqa: N818 - becomes a located error where it is caught
    """A list exceeds the largest length or depth."""


def extent(value: Sequence[Any]) -> int:
    """Count the elements of a list, including those of inner lists and the atoms of symbolic sizes.

    Raises:
        TooLong: the count exceeds `MAX_LIST_LENGTH`, or the depth of inner lists `MAX_LIST_DEPTH`.
    """
    count = depth = 0
    lists = [value]
    while lists:
        depth += 1
        count += sum(map(len, lists))
        _need_short(count)
        if depth > MAX_LIST_DEPTH:
            raise TooLong(f"lists are nested more than {MAX_LIST_DEPTH} deep")
        items = [item for items in lists for item in items]
        count += sum(item.atoms for item in items if isinstance(item, Symbolic))
        lists = [item for item in items if isinstance(item, tuple | list)]  # from Python, a list may contain itself
    _need_short(count)
    return count


def _need_short(length: int) -> None:
    if length > MAX_LIST_LENGTH:
        raise TooLong(f"a list of {length:,} elements is longer than {MAX_LIST_LENGTH:,}")


def _items(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise TypeError
    return value


def _chosen(choose: Callable[[Any], Any]) -> Callable[..., Any]:
    """Make `min` or `max`, of several numbers or of one list; symbolic sizes have no known order."""

    def compute(*arguments: Any) -> Any:
        items = _items(arguments[0]) if len(arguments) == 1 else arguments
        if any(isinstance(item, Symbolic | tuple) for item in items):
            raise TypeError
        return choose(items)

    return compute


def _rounded(rounding: Callable[[Any], int]) -> Callable[[Any], Any]:
    """Make a rounding function; it returns a symbolic size unchanged."""
    return lambda value: value if isinstance(value, Symbolic) else rounding(value)


def _sum(items: Any) -> Any:
    if not any(isinstance(item, Symbolic) for item in _items(items)):
        return sum(items)
    if not all(isinstance(item, int | Symbolic) for item in items):
        raise TypeError
    return total(items)


def _range(*arguments: int) -> tuple[int, ...]:
    numbers = range(*arguments)
    _need_short(len(numbers))
    return tuple(numbers)


def _zip(*lists: Any) -> tuple[tuple[Any, ...], ...]:
    _need_short(sum(len(_items(items)) for items in lists))
    return tuple(zip(*lists, strict=True))


FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "min": (_chosen(min), "`min(a, b, ...)` or `min(list)`, of known numbers"),
    "max": (_chosen(max), "`max(a, b, ...)` or `max(list)`, of known numbers"),
    "ceil": (_rounded(math.ceil), "`ceil(number)`"),
    "floor": (_rounded(math.floor), "`floor(number)`"),
    "round": (_rounded(round), "`round(number)`"),
    "abs": (abs, "`abs(number)`"),
    "sum": (_sum, "`sum(list)`, of numbers"),
    "len": (lambda items: len(_items(items)), "`len(list)`"),
    "range": (_range, "`range(stop)`, `range(start, stop)` or `range(start, stop, step)`, of whole numbers"),
    "enumerate": (lambda items: tuple(enumerate(_items(items))), "`enumerate(list)`"),
    "zip": (_zip, "`zip(list, list, ...)`, of lists of one length"),
}
"""Each function by its name, with its usage."""
