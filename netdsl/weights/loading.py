"""Loading a net's parameters from a checkpoint."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail
from netdsl.ir.types import DType
from netdsl.weights.comparison import count, listed
from netdsl.weights.fitting import fitted
from netdsl.weights.initial import VALUES_AT_ONCE, Initializer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.weights.comparison import Fit
    from netdsl.weights.initial import Array


def weights_from(
    path: str | os.PathLike[str],
    graph: Graph,
    *,
    key: str | None = None,
    rename: Mapping[str, str] | None = None,
    partial: bool = False,
    training: bool = False,
    initial: Callable[[Param], Array] | None = None,
) -> CheckpointWeights:
    """Load the values of a net's parameters from a checkpoint.

    The file must have a tensor for every parameter that inference needs, under its name (`Param.name`); with `training`
    also for those of the auxiliary heads, which are otherwise ignored. Names that wrappers add are removed
    (`plain_names`), weights are computed from the parts that weight norm, spectral norm and pruning store (`computed`),
    and a weight that the net applies in several places may be in the file once for each (`ties`).

    Args:
        path: what `open_checkpoint` reads.
        graph: the net's graph before optimization; the optimizer derives its parameters from those of this graph.
        key: as in `fitted`.
        rename: as in `fitted`.
        partial: take what fits, and give the other parameters initial values, with a warning (W0109).
        training: load the training graph.
        initial: returns initial values for `partial`; None draws them as PyTorch does.

    Raises:
        NetdslError: the file cannot be read (E0901, E0907) or is not a checkpoint (E0911), it does not fit (E0912), or
            several places in it fit and there is no key (E0918).
    """
    fit = fitted(path, graph, key=key, rename=rename, partial=partial, training=training)
    meaning = fit.checkpoint.meaning
    if meaning is not None and meaning.folded:
        first = meaning.folded[0]
        raise fail(
            "E0912",
            f"`{path}` has other layers folded into its weights, first into `{first}`",
            help="write the model with `-O 0`; a training run has its own weights in `weights.safetensors`",
        )
    if not fit.whole and not (partial and fit.fitting):
        raise NetdslError(fit.as_error())
    return CheckpointWeights(fit, Initializer() if initial is None else initial)


class CheckpointWeights:
    """Values of parameters from a checkpoint: called with a parameter of the net, it returns the array.

    A tensor of any type in `FLOATS` is converted to the parameter's type, rounded to the nearest (bfloat16 is returned
    as float32, as everywhere in netdsl). Integers are never converted to floats, nor floats to integers. The array may
    be mapped from the file and read-only.
    """

    def __init__(self, fit: Fit, initial: Callable[[Param], Array]) -> None:
        self.fit, self._initial = fit, initial
        self._kept = {param.name for param in fit.missing} | {param.name for param, _ in fit.wrong}
        self._not_finite: list[str] = []
        # numpy and file I/O release the lock, so that checks and writing overlap. Small arrays are checked at once: a
        # thread that still reads a mapped file when the file is replaced crashes the process.
        self._pool = ThreadPoolExecutor(1)
        self._checking: tuple[str, Future[bool]] | None = None

    def __call__(self, param: Param) -> Array:
        """The values of a parameter that is not derived."""
        if param.name in self._kept:
            return self._initial(param)
        dtype = "float32" if param.spec.dtype is DType.BFLOAT16 else param.spec.dtype.value
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values are reported below
            array = self.fit.fitting[param.name].read().astype(dtype, copy=False)
        self._finish_check()
        if array.size > VALUES_AT_ONCE:
            self._checking = param.name, self._pool.submit(_finite, array)
        elif not _finite(array):
            self._report(param.name)
        return array

    def _finish_check(self) -> None:
        """Wait for the check of the last array, so that at most one array is kept for checking."""
        if self._checking is not None:
            name, finite = self._checking
            if not finite.result():
                self._report(name)
            self._checking = None

    def _report(self, name: str) -> None:
        if name not in self._not_finite:
            self._not_finite.append(name)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """Return W0109 if the file fits in part, and W0108 if arrays read until now are not finite."""
        self._finish_check()
        path = self.fit.checkpoint.path
        found = () if self.fit.whole else (self.fit.as_warning(),)
        if not self._not_finite:
            return found
        message = f"`{path}` gives {count(len(self._not_finite), 'parameter')} values that are NaN or infinite"
        note = listed("not finite", self._not_finite)
        return (*found, Diagnostic("W0108", message, notes=(note,), help="train again from an earlier checkpoint"))


def _finite(array: Array) -> bool:
    """Whether no element is NaN or infinite; checked in pieces that fit in a processor's cache."""
    flat = array.reshape(-1)
    return all(np.isfinite(flat[start : start + VALUES_AT_ONCE]).all() for start in range(0, flat.size, VALUES_AT_ONCE))
