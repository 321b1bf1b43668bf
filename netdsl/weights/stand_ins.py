"""What stands in a pickled checkpoint for the classes that training scripts save beside the weights.

None of these classes is imported or called: a stand-in keeps what it is given and does nothing with it. numpy's arrays
are made from their bytes when they are read.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.weights.initial import Array


class Ignored:
    """An object without meaning for the weights."""

    def __new__(cls, *_: Any) -> Self:
        """Take any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        """Keep nothing."""


class PickledType:
    """A `numpy.dtype`: its code, `f4`, and which byte comes first."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        """Its second entry is the order of the bytes."""
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        """The element type, if it is one of numbers.

        Raises:
            ValueError: it is another one.
        """
        if isinstance(self.code, str) and self.code[:1] in "fiub" and self.code[1:].isdecimal():
            return np.dtype(f"{'=' if self.order == '|' else self.order}{self.code}")
        raise ValueError("an array has elements that are no numbers")


class PickledArray:
    """A `numpy.ndarray`: its state is version, shape, element type, whether columns come first, and its bytes."""

    def __new__(cls, *_: Any) -> Self:
        """Take any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype: Any = None
        self.columns, self.data = False, b""

    def __setstate__(self, state: Any) -> None:
        """Keep what makes the array."""
        _, self.shape, self.dtype, self.columns, self.data = state

    def numpy_dtype(self) -> np.dtype[Any] | None:
        """The element type; None where the array holds no numbers, or not as many as its shape asks for."""
        try:
            dtype: np.dtype[Any] = self.dtype.numpy()
            right = len(self.data) == prod(self.shape) * dtype.itemsize
        except (AttributeError, TypeError, ValueError):
            return None
        return dtype if right and isinstance(self.data, bytes) else None

    def read(self) -> Array:
        """The array itself."""
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
    *((Ignored, f"builtins.{kind}") for kind in ("dict", "list", "int", "float", "str")),  # what it makes
    *((dict, f"{name}.AttributeDict") for name in ("pytorch_lightning.utilities.parsing",
                                                   "lightning.pytorch.utilities.parsing",
                                                   "lightning.fabric.utilities.data",
                                                   "lightning_fabric.utilities.data")),
]  # fmt: skip
"""As `torch.serialization.safe_globals` takes them: what stands for which name in a pickle."""
