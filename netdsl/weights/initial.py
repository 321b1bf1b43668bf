"""Values of parameters: initial values, and values that passes derive from other parameters.

The initial values of a parameter depend only on the seed and its name: not on the order in which parameters are drawn,
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
    from collections.abc import Callable, Iterable

    from netdsl.ir.params import Init, Param

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Scheme: TypeAlias = Literal["pytorch", "he", "xavier", "normal"]

VALUES_AT_ONCE = 2**18
"""The number of values drawn from one random stream; they fit in a processor's cache."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Values drawn from one random stream, which is seeded by the parameter's key and the chunk's number."""

    values: Array
    distribution: Literal["uniform", "normal"]
    scale: float
    key: int
    number: int

    def fill(self) -> None:
        stream = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.key, spawn_key=(self.number,))))
        # A net of another type starts with the same values as one in float32.
        single = self.values.dtype == np.float32
        values = self.values if single else np.empty(len(self.values), np.float32)
        if self.distribution == "uniform":
            stream.random(out=values, dtype=np.float32)
            values *= 2 * self.scale
            values -= self.scale
        else:
            stream.standard_normal(out=values, dtype=np.float32)
            values *= self.scale
        if not single:
            self.values[:] = values


@dataclass(frozen=True)
class Initializer:
    """Draws initial values: called with a parameter that is not derived, it returns the array (bfloat16 as float32).

    Attributes:
        scheme: how `weight` and `bias` are drawn, for a unit with n inputs and m outputs.
            `pytorch`: both uniform within 1/sqrt(n), or within the bound that the layer sets, as in torch.nn;
            `he`: normal with variance 2/n (He et al., "Delving deep into rectifiers", 2015);
            `xavier`: uniform within sqrt(6/(n + m)) (Glorot and Bengio, "Understanding the difficulty of training
            deep feedforward neural networks", 2010);
            `normal`: normal with standard deviation `std`.
            In all but the first a bias is 0.
        seed: the random seed.
        std: the standard deviation of the scheme `normal`; 0.01 is that of Krizhevsky et al. (2012).
    """

    scheme: Scheme = "pytorch"
    seed: int = 0
    std: float = 0.01

    def __call__(self, param: Param) -> Array:
        """Return the initial values of a parameter."""
        return self.draw([param])[param.name]

    def draw(self, params: Iterable[Param]) -> dict[str, Array]:
        """Return the initial values of parameters by name, drawn in parallel."""
        values: dict[str, Array] = {}
        chunks: list[_Chunk] = []
        for param in params:
            spec, init = param.spec, param.spec.init
            dtype = np.dtype("float32" if spec.dtype is DType.BFLOAT16 else spec.dtype.value)
            if init.kind == "table":
                array = np.array(init.table, dtype).reshape(spec.shape)
            elif init.kind == "constant":
                array = np.full(spec.shape, init.value, dtype)
            else:
                array = np.empty(spec.shape, dtype)
                chunks += self._chunks(param, array.reshape(-1))
            values[param.name] = array
        if len(chunks) < 2:
            for chunk in chunks:
                chunk.fill()
        else:
            with ThreadPoolExecutor() as pool:  # numpy releases the lock while it draws
                list(pool.map(_Chunk.fill, chunks))
        return values

    def _chunks(self, param: Param, values: Array) -> list[_Chunk]:
        """Cut a parameter's values into chunks."""
        distribution, scale = self._distribution(param.spec.init)
        key = int.from_bytes(blake2b(f"{self.seed}:{param.name}".encode(), digest_size=16).digest(), "little")
        starts = enumerate(range(0, len(values), VALUES_AT_ONCE))
        return [_Chunk(values[at : at + VALUES_AT_ONCE], distribution, scale, key, number) for number, at in starts]

    def _distribution(self, init: Init) -> tuple[Literal["uniform", "normal"], float]:
        """Return the distribution, and its bound or standard deviation."""
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
    """Return the values of a parameter: those that `weights` returns, or those derived from other parameters.

    A chain of derived parameters may be as long as the net, so this does not recurse.
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
