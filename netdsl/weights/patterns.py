"""Patterns in which each `*` matches any text."""

from __future__ import annotations


def matched(pattern: str, name: str) -> list[str] | None:
    """Return the texts that the `*`s of a pattern match in a name, the first as long as possible; None if it fails.

    Every piece between two `*`s is searched once, from the right, so that no pattern takes long.
    """
    first, *pieces = pattern.split("*")
    if not pieces:
        return [] if name == first else None
    last = pieces.pop()
    start, end = len(first), len(name) - len(last)
    if end < start or not name.startswith(first) or not name.endswith(last):
        return None
    texts = []
    for piece in reversed(pieces):
        at = name.rfind(piece, start, end)
        if at < 0:
            return None
        texts.append(name[at + len(piece) : end])
        end = at
    return [name[start:end], *reversed(texts)]
