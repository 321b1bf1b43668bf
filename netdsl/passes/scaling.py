"""Folding of a per-channel scale and shift into weights: derived parameters, computed in float64 on reading.

Let the affine layer be y = a*x + b for each channel. Folded into the layer `w x + v` before it, the weights become
a*w and the bias a*v + b; folded into the layer after it, they become w*a and v + w b. The classes here are the
`compute` of derived parameters; they take the arrays of the layer that they need, then those of the affine layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from netdsl.ir.params import Param
from netdsl.layers.affine import ChannelAffine

if TYPE_CHECKING:
    import numpy as np

    from netdsl.ir.graph import Node
    from netdsl.ir.params import Derived

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Scaling:
    """The scale and shift of a node with a `ChannelAffine` layer.

    Attributes:
        layer: the layer.
        roles: the roles of its parameters, in the order of their arrays.
        channels: the number of channels.
    """

    layer: ChannelAffine
    roles: tuple[str, ...]
    channels: int

    def scale_shift(self, arrays: tuple[Array, ...]) -> tuple[Array, Array]:
        """Scale and shift in float64, one number for each channel."""
        wide = {role: array.astype("float64") for role, array in zip(self.roles, arrays, strict=True)}
        scale, shift = (values.astype("float64") for values in self.layer.scale_shift(**wide))
        return scale.repeat(self.channels // scale.size), shift.repeat(self.channels // shift.size)


def scaling_of(node: Node) -> Scaling | None:
    """The scale and shift of a node, if it has an affine layer with a known number of channels."""
    channels = node.type.shape[0] if node.type.rank else None
    if not isinstance(node.layer, ChannelAffine) or not isinstance(channels, int):
        return None
    return Scaling(node.layer, tuple(node.params), channels)


def absorbing(host: Node, weight: Derived, bias: Derived, source: Node) -> Node:
    """Apply `host` to `source`, with a bias, and with derived parameters under the names of the old ones."""
    layer = replace(host.layer, bias=True)  # type: ignore[call-arg]  # all layers that can absorb have this field
    specs = layer.params(source.type)
    name = host.params["weight"].name
    params = {
        "weight": Param(name, specs["weight"], weight),
        "bias": Param(f"{name.removesuffix('weight')}bias", specs["bias"], bias),
    }
    return replace(host, layer=layer, inputs=(source,), params=params)


@dataclass(frozen=True)
class ScaledWeight:
    """Weights multiplied by the scale: along axis 0 or, within each group of channels, along axis 1."""

    scaling: Scaling
    axis: int

    def __call__(self, weight: Array, *arrays: Array) -> Array:
        """Compute the new weights from the old ones."""
        scale, _ = self.scaling.scale_shift(arrays)
        result = weight.copy()
        blocks = _blocks(result, scale.size, self.axis)
        blocks *= scale.reshape(len(blocks), 1, -1, 1)
        return result


@dataclass(frozen=True)
class BiasBefore:
    """The bias of a layer that absorbs the affine layer after it."""

    scaling: Scaling

    def __call__(self, *arrays: Array) -> Array:
        """Compute the new bias from the old one, if there is one."""
        old, rest = _split(arrays, self.scaling)
        scale, shift = self.scaling.scale_shift(rest)
        return scale * old[0] + shift if old else shift


@dataclass(frozen=True)
class BiasAfter:
    """The bias of a layer that absorbs the affine layer before it."""

    scaling: Scaling

    def __call__(self, weight: Array, *arrays: Array) -> Array:
        """Compute the new bias from the old weights and the old bias, if there is one."""
        old, rest = _split(arrays, self.scaling)
        _, shift = self.scaling.scale_shift(rest)
        sums = _blocks(weight, shift.size, 1).sum(axis=3, dtype="float64")
        added: Array = (sums @ shift.reshape(len(sums), -1, 1)).reshape(-1)
        return old[0] + added if old else added


@dataclass(frozen=True)
class Composed:
    """The scale or the shift of several affine layers applied one after the other."""

    scalings: tuple[Scaling, ...]
    part: Literal["scale", "shift"]

    def __call__(self, *arrays: Array) -> Array:
        """Compute the scale or the shift from the arrays of all affine layers."""
        rest = iter(arrays)
        pairs = [scaling.scale_shift(tuple(islice(rest, len(scaling.roles)))) for scaling in self.scalings]
        scale, shift = pairs[0]
        for a, b in pairs[1:]:
            scale, shift = a * scale, a * shift + b
        return scale if self.part == "scale" else shift


def _split(arrays: tuple[Array, ...], scaling: Scaling) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Split the arrays into those of the host and those of the affine layer."""
    first = len(arrays) - len(scaling.roles)
    return arrays[:first], arrays[first:]


def _blocks(weight: Array, size: int, axis: int) -> Array:
    """View weights as groups x others x channels x rest, for `size` channels along axis 0 or, in groups, along axis 1.

    A dense layer after a flatten has more columns than channels; the columns of one channel are consecutive.
    """
    if axis == 0:
        return weight.reshape(1, 1, size, -1)
    groups = max(1, size // weight.shape[1])
    return weight.reshape(groups, weight.shape[0] // groups, size // groups, -1)
