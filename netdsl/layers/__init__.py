"""The layers of the language, one family per file; importing this package fills `netdsl.layer.LAYERS`."""

from netdsl.layers import adaptive, conv, ends, linear, pool

__all__ = ["adaptive", "conv", "ends", "linear", "pool"]
