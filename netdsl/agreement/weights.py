"""Random weights by which every parameter matters, as those of a trained net do."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from netdsl.weights import Initializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netdsl.ir.params import Param
    from netdsl.weights import Array


class TrainedLike(Initializer):
    """Values for a net that no one has trained.

    Initial values would hide faults: a running variance of 1 and a mean of 0 fold into anything, and a bias of 0 can be
    left out. So weights are those of He et al. (2015), which keep values from growing or vanishing over many layers,
    biases and other zeros are normal with deviation 0.1, and other constants, variances and scales among them, are
    multiplied by something between 0.5 and 1.5. Tables and whole numbers stay.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__("he", seed)

    def draw(self, params: Iterable[Param]) -> dict[str, Array]:
        """The values of parameters by name."""
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


def normed(weights: Callable[[Param], Array], found: Mapping[str, Array]) -> Callable[[Param], Array]:
    """Weights whose batch norms do what they are for: bring what reaches them to a mean near 0 and a deviation near 1.

    With statistics that are drawn alone, every residual adds as much as there is, values grow without end, and a
    sigmoid between them says yes or no where rounding decides.

    Args:
        weights: gives the array of a parameter; variances, near 1, are what the found ones are multiplied with.
        found: means and variances by name, as `TorchRun.norms` finds them.
    """

    def give(param: Param) -> Array:
        values = weights(param)
        if param.name not in found:
            return values
        if param.name.endswith("running_mean"):
            return found[param.name].astype(values.dtype)
        variance = np.maximum(found[param.name], found[param.name].mean() / 10)  # of a channel that is hardly ever on
        changed: Array = (values * variance).astype(values.dtype)
        return changed

    return give
