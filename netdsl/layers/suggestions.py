"""Suggestions for unknown names."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from netdsl.layers.base import LAYERS

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

COMPOSED = {
    "glu": "`mul { split 2 0 ; split 2 1 -> sigmoid }`",
    "swiglu": "`mul { split 2 0 -> silu ; split 2 1 }`",
    "geglu": "`mul { split 2 0 -> gelu ; split 2 1 }`",
    "sepconv": "`depthwise k3 p1 -> conv 64 k1`, with the channels that you need",
    "separable_conv": "`depthwise k3 p1 -> conv 64 k1`, with the channels that you need",
    "se": "`squeeze_excitation`, and `use squeeze_excitation` at the top of the file",
    "se_block": "`squeeze_excitation`, and `use squeeze_excitation` at the top of the file",
    "squeeze_excite": "`squeeze_excitation`, and `use squeeze_excitation` at the top of the file",
    "squeeze_and_excitation": "`squeeze_excitation`, and `use squeeze_excitation` at the top of the file",
    "residual_block": "`skip { conv 64 k3 p1 -> relu }`, with the layers around which it leads",
    "transformer_encoder_layer": "`transformer_layer 8`, and `use transformer` at the top of the file",
    "activation": "the function itself: `relu`, `gelu`, `sigmoid`, ...",
    "pixel_unshuffle": "`conv 64 k2 s2`, which learns such a step: no layer only moves pixels to channels",
    "rope": "`positions 512`, which learns positions: there are no rotary ones",
    "rotary": "`positions 512`, which learns positions: there are no rotary ones",
}
"""What to write for names of other frameworks that no single layer stands for."""

CLOSE = 0.66
"""The least similarity of two names, from 0 to 1: a third of the letters may differ."""


def suggestion(name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str | None:
    """Return a help line for a misspelled name, or for a name from another framework.

    Args:
        name: the unknown name.
        known: the names that can be used.
        elsewhere: names of other frameworks, with the name here.
    """
    own = sorted(set(known))
    if len(own) > MAX_NAMES_COMPARED:
        return None
    foreign = {theirs: ours for theirs, ours in (elsewhere or {}).items() if ours in own}
    meant: dict[str, str] = {}
    for spelled in (_letters, _plain):
        for word, ours in (*((word, word) for word in own), *foreign.items()):
            meant.setdefault(spelled(word), ours)
    found = meant.get(_letters(name)) or meant.get(_plain(name))
    if found is None:
        close = get_close_matches(_plain(name), meant, 1, CLOSE)
        found = meant[close[0]] if close else None
    return None if found is None else f"did you mean `{found}`?"


@cache
def layers_elsewhere() -> dict[str, str]:
    """The layers by the names that other frameworks give them."""
    return {name: kind for kind, layer in LAYERS.items() for name in layer.known_as}


def layer_called(name: str) -> str | None:
    """Return the layer that another framework calls by this name, without regard to case and underscores."""
    for spelled in (_letters, _plain):
        for word, kind in (*zip(LAYERS, LAYERS, strict=True), *layers_elsewhere().items()):
            if spelled(word) == spelled(name):
                return kind
    return None


def composed(name: str) -> str | None:
    """Return a help line for what other frameworks have as one layer, and netdsl writes otherwise."""
    found = {_plain(word): line for word, line in COMPOSED.items()}.get(_plain(name))
    return None if found is None else f"write {found}"


def listed(names: Iterable[str], most: int = 12) -> str:
    """A list of names, for a help line."""
    known = list(names)
    return ", ".join(f"`{name}`" for name in known[:most]) + (", ..." if len(known) > most else "")


def _letters(name: str) -> str:
    """A name without case and underscores: `MaxPool2d` and `max_pool2d` are `maxpool2d`."""
    return name.lower().replace("_", "")


def _plain(name: str) -> str:
    """A name without differences of spelling between frameworks: `BatchNorm2d` and `batch_norm` are `batchnorm`."""
    return re.sub(r"[123]d$", "", _letters(name))
