"""Values of parameters: those drawn at first, and those that passes derive from others.

A parameter's initial values depend on the seed and its name alone, not on the order in which parameters are asked for,
on the other parameters, or on the number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from netdsl.ir.types import DType

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.ir.params import Init, Param

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Scheme: TypeAlias = Literal["pytorch", "he", "xavier", "normal"]

CHUNK = 2**18
"""Values drawn from one stream; what a processor's cache holds."""


@dataclass(frozen=True)
class Initializer:
    """Initial values: called with a parameter that is not derived, it gives the array (bfloat16 as float32).

    Attributes:
        scheme: what `weight` and `bias` mean, given inputs n and outputs m of one unit.
            `pytorch`: both uniform within 1/sqrt(n), or within the bound of the layer's own, as torch.nn draws them;
            `he`: normal with variance 2/n (He et al., "Delving deep into rectifiers", 2015);
            `xavier`: uniform within sqrt(6/(n + m)) (Glorot and Bengio, "Understanding the difficulty of training
            deep feedforward neural networks", 2010);
            `normal`: normal with deviation `std`.
            In all but the first a bias is 0.
        seed: another seed gives other values.
        std: the deviation of the scheme `normal`; 0.01 is that of Krizhevsky et al. (2012).
    """

    scheme: Scheme = "pytorch"
    seed: int = 0
    std: float = 0.01

    def __call__(self, param: Param) -> Array:
        """The initial values of a parameter."""
        spec = param.spec
        dtype = np.dtype("float32" if spec.dtype is DType.BFLOAT16 else spec.dtype.value)
        if spec.init.kind == "table":
            return np.array(spec.init.table, dtype).reshape(spec.shape)
        if spec.init.kind == "constant":
            return np.full(spec.shape, spec.init.value, dtype)
        distribution, scale = self._distribution(spec.init)
        key = blake2b(f"{self.seed}:{param.name}".encode(), digest_size=16).digest()
        values = _draw(distribution, scale, spec.elements, int.from_bytes(key, "little"))
        return values.reshape(spec.shape).astype(dtype, copy=False)

    def _distribution(self, init: Init) -> tuple[Literal["uniform", "normal"], float]:
        """The distribution, and its bound or standard deviation."""
        if init.kind == "normal":
            return "normal", init.value
        if self.scheme == "pytorch":
            return "uniform", init.value or 1 / sqrt(init.fan_in)
        if init.kind == "bias":
            return "normal", 0.0
        if self.scheme == "xavier":
            return "uniform", sqrt(6 / (init.fan_in + init.fan_out))
        return "normal", sqrt(2 / init.fan_in) if self.scheme == "he" else self.std


def materialize(param: Param, weights: Callable[[Param], Array]) -> Array:
    """The values of a parameter: given by `weights`, or computed from others that are.

    Chains of derived parameters may be as long as the net, so this does not recurse.
    """
    work = [(param, False)]
    values: list[Array] = []
    while work:
        current, ready = work.pop()
        if current.derived is None:
            values.append(weights(current))
        elif ready:
            first = len(values) - len(current.derived.sources)
            arrays = values[first:]
            del values[first:]
            values.append(current.derived.compute(*arrays))
        else:
            work.append((current, True))
            work.extend((source, False) for source in reversed(current.derived.sources))
    return values[0]


def _draw(distribution: Literal["uniform", "normal"], scale: float, size: int, key: int) -> Array:
    values = np.empty(size, np.float32)

    def fill(start: int) -> None:
        chunk = values[start : start + CHUNK]
        stream = np.random.Generator(np.random.SFC64(np.random.SeedSequence(key, spawn_key=(start // CHUNK,))))
        if distribution == "uniform":
            stream.random(out=chunk, dtype=np.float32)
            chunk *= 2 * scale
            chunk -= scale
        else:
            stream.standard_normal(out=chunk, dtype=np.float32)
            chunk *= scale

    if size <= CHUNK:
        fill(0)
        return values
    with ThreadPoolExecutor() as pool:  # numpy releases the lock while it draws
        list(pool.map(fill, range(0, size, CHUNK)))
    return values
