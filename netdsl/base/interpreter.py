"""What work on large programs asks of Python."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CALL_DEPTH = 2000
"""More calls than the nesting that the language allows can lead to."""


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """While it lasts, nobody looks for cycles among objects that stay; what is in none is freed as ever."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def deep_stack() -> Iterator[None]:
    """While it lasts, `MAX_CALL_DEPTH` more calls than usual can be open at once."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + MAX_CALL_DEPTH)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
