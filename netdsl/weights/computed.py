"""Weights that a file stores in the parts that weight norm, spectral norm or pruning make of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from netdsl.weights.checkpoint import FLOATS, Tensor

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from netdsl.weights.initial import Array

_ENDINGS = {"_g": "g", "_v": "v", "_orig": "original", "_u": "u", "_mask": "mask"}
"""The endings that torch.nn.utils' weight_norm, spectral_norm and prune add to the name of a weight."""
_PARTS = {"original0": "g", "original1": "v", "original": "original", "0._u": "u", "0._v": "v"}
"""What follows `parametrizations.weight.` in the names that torch.nn.utils.parametrizations makes."""


def stands_for(name: str) -> tuple[str, str]:
    """Return the name of the weight that a tensor is a part of, and the part's role.

    The role is `g`, `v`, `original`, `u` or `mask`; empty if the tensor is not a part.
    """
    before, parametrized, after = name.rpartition("parametrizations.")
    if parametrized and (not before or before.endswith(".")):
        weight, _, part = after.partition(".")
        return before + weight, _PARTS.get(part, "")
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), None)
    return (name.removesuffix(ending), _ENDINGS[ending]) if ending else (name, "")


def computed(
    tensors: Mapping[str, Tensor], params: Container[str], transposed: Container[str]
) -> tuple[dict[str, Tensor], int]:
    """Replace the parts of each weight by the weight; return the tensors and the number of weights computed.

    A weight is computed only if it is a parameter of the net that the file lacks, its parts are complete and their
    shapes fit, and no part is itself computed from others or a parameter of the net.

    Args:
        tensors: those of the file.
        params: the names of the net's parameters.
        transposed: the names of the weights of transposed convolutions, which spectral_norm normalizes along axis 1.
    """
    parts: dict[str, dict[str, str]] = {}
    roles_of = {name: stands_for(name) for name in tensors}
    more = {weight for name, (weight, role) in roles_of.items() if not role and weight != name}  # parametrized twice
    for name, (weight, role) in roles_of.items():
        if role and name not in params and weight in params and weight not in tensors and weight not in more:
            parts.setdefault(weight, {})[role] = name
    made: dict[str, Tensor] = {}
    used: set[str] = set()
    for weight, names in parts.items():
        roles = {role: tensors[name] for role, name in names.items()}
        if all(tensor.dtype in FLOATS for tensor in roles.values()):
            tensor = _combined(roles, second=weight in transposed)
            if tensor is not None:
                made[weight] = tensor
                used |= {*names.values()}
    return {name: tensor for name, tensor in tensors.items() if name not in used} | made, len(made)


def _combined(roles: dict[str, Tensor], *, second: bool) -> Tensor | None:
    """Return the tensor that computes a weight from its parts; None if these are incomplete or do not fit."""
    match sorted(roles):
        case ["g", "v"]:
            g, v = roles["g"], roles["v"]
            along = g.shape == () or (
                len(g.shape) == len(v.shape) and all(a in (1, b) for a, b in zip(g.shape, v.shape, strict=True))
            )
            return replace(v, read=partial(_weight_norm, g, v)) if along else None
        case ["original", "u", "v"]:
            weight, u, v = roles["original"], roles["u"], roles["v"]
            axes = [axis for axis, size in enumerate(weight.shape)
                    if u.shape == (size,) and v.shape == (weight.elements // max(size, 1),)]  # fmt: skip
            axes.sort(key=lambda axis: axis != second)  # False is 0, and True 1
            return replace(weight, read=partial(_spectral_norm, weight, u, v, axes)) if axes else None
        case ["mask", "original"]:
            weight, mask = roles["original"], roles["mask"]
            return replace(weight, read=partial(_pruned, weight, mask)) if mask.shape == weight.shape else None
    return None


def _numbers(tensor: Tensor) -> Array:
    """Return the values in the type used for computing: float32, or float64 if the file has float64."""
    array = tensor.read()
    return array.astype(np.promote_types("float32", array.dtype) if array.dtype.kind == "f" else "float32", copy=False)


def _weight_norm(g: Tensor, v: Tensor) -> Array:
    """Scale `v` to the norms in `g`, along the axes in which `g` has size 1; all of `v` if `g` is a scalar.

    Source: Salimans and Kingma, "Weight normalization", 2016; torch.nn.utils.weight_norm.
    """
    lengths, values = _numbers(g), _numbers(v)
    axes = None if g.shape == () else tuple(axis for axis, size in enumerate(g.shape) if size == 1)
    with np.errstate(all="ignore"):  # a norm of 0 gives NaN, as it does in PyTorch
        norm = np.sqrt(np.sum(np.square(values), axis=axes, keepdims=axes is not None, dtype=np.float64))
        return np.asarray(values * (lengths / norm).astype(values.dtype)).astype(v.dtype, copy=False)


def _spectral_norm(weight: Tensor, u: Tensor, v: Tensor, axes: list[int]) -> Array:
    """Divide a weight by its largest singular value, computed from the singular vectors `u` and `v`.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018;
    torch.nn.utils.spectral_norm, which does not save the axis that becomes the rows of the matrix. If several axes fit
    in size, the layer's usual axis, the first in `axes`, is taken, unless `u` and `v` are singular vectors along
    another.
    """
    values, left, right = _numbers(weight), _numbers(u).astype(np.float64), _numbers(v).astype(np.float64)

    def products(axis: int) -> Array:
        return np.asarray(np.moveaxis(values, axis, 0).reshape(len(left), -1) @ right)

    first, *others = (products(axis) for axis in axes)
    chosen = first
    if others and _aligned(left, first) < 0.9:
        chosen = max((first, *others), key=lambda product: _aligned(left, product))
        chosen = chosen if _aligned(left, chosen) > 0.9 else first
    with np.errstate(all="ignore"):
        return np.asarray(values / (left @ chosen)).astype(weight.dtype, copy=False)


def _aligned(u: Array, product: Array) -> float:
    """The cosine between two vectors."""
    return float(u @ product / (np.linalg.norm(u) * np.linalg.norm(product) or 1.0))


def _pruned(weight: Tensor, mask: Tensor) -> Array:
    """Multiply a weight by the mask of torch.nn.utils.prune."""
    return np.asarray(_numbers(weight) * _numbers(mask)).astype(weight.dtype, copy=False)
