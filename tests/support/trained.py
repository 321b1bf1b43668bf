"""Weights as a trained net has them: every parameter matters to the result."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netdsl.ir.params import Param


def trained(param: Param) -> np.ndarray:
    """The values of a parameter, drawn by its name and so always the same.

    Matrices and kernels keep the scale of what goes through them (He et al., 2015), scales lie around 1, variances
    above 0.5, biases and means around 0 but not there. Tables and whole numbers are as at the beginning.
    """
    if param.derived is not None:
        return param.derived.compute(*map(trained, param.derived.sources))
    shape, init, dtype = param.spec.shape, param.spec.init, param.spec.dtype
    if init.kind == "table":
        return np.asarray(init.table, dtype.value).reshape(shape)
    if not dtype.is_float:
        return np.full(shape, init.value, dtype.value)
    x = np.random.Generator(np.random.PCG64(zlib.crc32(param.name.encode()))).standard_normal(shape, np.float32)
    if param.name.endswith("running_var"):
        x = 0.5 + np.abs(x)
    elif init.kind == "bias" or (init.kind == "constant" and init.value == 0):
        x = 0.1 * x
    elif len(shape) == 1:
        x = 1 + 0.1 * x
    else:
        x = x * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return np.asarray(x, dtype.value)
