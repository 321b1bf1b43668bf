"""The layers of the language, one family in each file; importing this package fills `netdsl.layers.base.LAYERS`."""

from netdsl.layers import (
    activation,
    adaptive,
    affine,
    attention,
    conv,
    embedding,
    ends,
    linear,
    merge,
    norm,
    pool,
    recurrent,
    regularise,
    resize,
    shape,
    slices,
)

__all__ = [
    "activation",
    "adaptive",
    "affine",
    "attention",
    "conv",
    "embedding",
    "ends",
    "linear",
    "merge",
    "norm",
    "pool",
    "recurrent",
    "regularise",
    "resize",
    "shape",
    "slices",
]
