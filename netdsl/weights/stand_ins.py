"""Stand-ins for the classes that training scripts pickle beside the weights.

None of these classes is imported or called: a stand-in keeps what the pickle gives it and does nothing else. numpy's
arrays are made from their bytes when they are read.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.weights.initial import Array


class Ignored:
    """An object that does not matter for the weights."""

    def __new__(cls, *_: Any) -> Self:
        """Take any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        """Keep nothing."""


class PickledType:
    """A `numpy.dtype`: its code, such as `f4`, and its byte order."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        """Take the byte order, the second entry of the state."""
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        """Return the element type, if it is numeric.

        Raises:
            ValueError: it is not numeric.
        """
        if isinstance(self.code, str) and self.code[:1] in "fiub" and self.code[1:].isdecimal():
            return np.dtype(f"{'=' if self.order == '|' else self.order}{self.code}")
        raise ValueError("an array has elements that are not numbers")


class PickledArray:
    """A `numpy.ndarray`: its state is version, shape, element type, whether columns are contiguous, and its bytes."""

    def __new__(cls, *_: Any) -> Self:
        """Take any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype: Any = None
        self.columns, self.data = False, b""

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        _, self.shape, self.dtype, self.columns, self.data = state

    def numpy_dtype(self) -> np.dtype[Any] | None:
        """Return the element type; None if the array is not numeric, or its size does not match its shape."""
        try:
            dtype: np.dtype[Any] = self.dtype.numpy()
            right = len(self.data) == prod(self.shape) * dtype.itemsize
        except (AttributeError, TypeError, ValueError):
            return None
        return dtype if right and isinstance(self.data, bytes) else None

    def read(self) -> Array:
        """Return the array itself."""
        return np.frombuffer(self.data, self.dtype.numpy()).reshape(self.shape, order="F" if self.columns else "C")


def _array(*_: Any) -> PickledArray:
    return PickledArray()


def _dictionary(*_: Any) -> dict[Any, Any]:
    return {}


def _ignored(*_: Any) -> Ignored:
    return Ignored()


STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (PickledArray, "numpy.ndarray"),
    (PickledType, "numpy.dtype"),
    *((_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_ignored, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (Ignored, "argparse.Namespace"),
    *((_ignored, f"pathlib.{name}") for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    (_ignored, "datetime.datetime"),
    (_dictionary, "collections.defaultdict"),
    *((Ignored, f"builtins.{kind}") for kind in ("dict", "list", "int", "float", "str")),  # a defaultdict's factory
    *((dict, f"{name}.AttributeDict") for name in ("pytorch_lightning.utilities.parsing",
                                                   "lightning.pytorch.utilities.parsing",
                                                   "lightning.fabric.utilities.data",
                                                   "lightning_fabric.utilities.data")),
]  # fmt: skip
"""Each stand-in and the name in a pickle that it replaces, as `torch.serialization.safe_globals` takes them."""
