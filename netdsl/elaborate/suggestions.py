"""Suggestions for unknown names."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_NAMES_COMPARED = 2000
"""The largest number of names among which a similar one is searched; comparing more takes too long."""

ARGUMENTS_ELSEWHERE = {
    "kernel_size": "k", "kernel": "k", "pool_size": "k", "stride": "s", "strides": "s", "padding": "p", "pad": "p",
    "prob": "p", "rate": "p", "dilation": "d", "dilation_rate": "d", "groups": "g", "num_groups": "groups",
    "out_channels": "out", "out_features": "out", "filters": "out", "units": "out", "output_size": "out",
    "output_padding": "out_pad", "use_bias": "bias", "epsilon": "eps", "dim": "axis", "start_dim": "start",
    "scale_factor": "scale", "upscale_factor": "r", "ceil_mode": "ceil", "count_include_pad": "count_pad",
    "hidden_size": "hidden", "num_layers": "layers", "nonlinearity": "act", "num_heads": "heads", "is_causal": "causal",
    "num_embeddings": "count", "embedding_dim": "dim", "embed_dim": "dim",
}  # fmt: skip
"""Names of arguments of layers in other frameworks."""

CLOSE = 0.66
"""The least similarity of two names, from 0 to 1: a third of the letters may differ."""


def suggestion(name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str | None:
    """A help line for a misspelt name, or for a name from another framework (`elsewhere`)."""
    own_names = list(known)
    if len(own_names) > MAX_NAMES_COMPARED:
        return None
    names = {_plain(own): own for own in own_names}
    foreign = {_plain(theirs): own for theirs, own in (elsewhere or {}).items() if own in names.values()}
    meant = {**foreign, **names}
    close = get_close_matches(_plain(name), meant, 1, CLOSE)
    return f"did you mean `{meant[close[0]]}`?" if close else None


def listed(names: Iterable[str], most: int = 12) -> str:
    """A list of names, for a help line."""
    known = list(names)
    return ", ".join(f"`{name}`" for name in known[:most]) + (", ..." if len(known) > most else "")


def _plain(name: str) -> str:
    """A name without differences of spelling between frameworks: `BatchNorm2d` and `batch_norm` are `batchnorm`."""
    return re.sub(r"[123]d$", "", name.lower()).replace("_", "")
