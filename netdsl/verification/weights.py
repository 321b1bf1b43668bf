"""Random weights under which every parameter matters, as in a trained net."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from netdsl.weights.initial import Initializer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.ir.params import Param
    from netdsl.weights.initial import Array


class TrainedLike(Initializer):
    """Weights for a net that was not trained.

    Initial values would hide faults: a running variance of 1 and a mean of 0 do not change anything when folded, and
    a bias of 0 can be left out. So weights are those of He et al. (2015), which keep values from growing or vanishing
    over many layers, biases and other zeros are normal with deviation 0.1, and other constants, such as variances and
    scales, are multiplied by a number between 0.5 and 1.5. Tables and integers stay.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__("he", seed)

    def draw(self, params: Iterable[Param]) -> dict[str, Array]:
        """Return the values of parameters by name."""
        params = tuple(params)
        values = super().draw(params)
        return {param.name: self._trained(param, values[param.name]) for param in params}

    def _trained(self, param: Param, values: Array) -> Array:
        init = param.spec.init
        if init.kind not in ("bias", "constant") or not param.spec.dtype.is_float:
            return values
        random = np.random.default_rng([self.seed, zlib.crc32(param.name.encode())])
        drawn = random.normal(0, 0.1, param.spec.shape)
        if init.kind == "constant" and init.value != 0:
            drawn = init.value * random.uniform(0.5, 1.5, param.spec.shape)
        return drawn.astype(values.dtype)
