"""Settings of the Python interpreter for large programs: recursion depth and garbage collection."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CALL_DEPTH = 2000
"""A recursion depth that the deepest nesting allowed by the language does not reach."""


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Run the block without the search for reference cycles; objects outside cycles are freed as usual."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def deep_stack() -> Iterator[None]:
    """Raise the recursion limit by `MAX_CALL_DEPTH` while the block runs."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + MAX_CALL_DEPTH)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
