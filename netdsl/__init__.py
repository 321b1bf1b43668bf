"""A declarative language for neural networks: exact shapes, exact counts, ONNX in a second.

The names below are imported when they are first used, so that `import netdsl` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from netdsl.base.version import __version__

if TYPE_CHECKING:
    from netdsl.api import Network, compile, load, loads, nets, verify  # noqa: A004 - `netdsl.compile` reads as what it does
    from netdsl.base.diagnostics import Diagnostic, NetdslError
    from netdsl.compiler import check, check_text
    from netdsl.evaluation import evaluate
    from netdsl.runtime import Session
    from netdsl.weights.initial import Initializer

__all__ = [
    "Diagnostic",
    "Initializer",
    "NetdslError",
    "Network",
    "Session",
    "__version__",
    "check",
    "check_text",
    "compile",
    "evaluate",
    "load",
    "loads",
    "nets",
    "verify",
]

_HOMES = {
    "check": "netdsl.compiler",
    "check_text": "netdsl.compiler",
    "Diagnostic": "netdsl.base.diagnostics",
    "NetdslError": "netdsl.base.diagnostics",
    "Network": "netdsl.api",
    "compile": "netdsl.api",
    "evaluate": "netdsl.evaluation",
    "load": "netdsl.api",
    "loads": "netdsl.api",
    "nets": "netdsl.api",
    "verify": "netdsl.api",
    "Session": "netdsl.runtime",
    "Initializer": "netdsl.weights.initial",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'netdsl' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
