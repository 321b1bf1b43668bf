"""The layers of the language, one family per file; importing this package fills `netdsl.layer.LAYERS`."""

from netdsl.layers import ends

__all__ = ["ends"]
