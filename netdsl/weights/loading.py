"""The values of a net's parameters out of a checkpoint."""

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
    """The values of a net's parameters out of a checkpoint.

    Names in the file must be those of the parameters (`Param.name`), all of them: those that inference needs, with
    `training` those of the auxiliary heads as well. Heads that are in the file may stay unread. What wrappers put into
    names is left out (`plain_names`), weights are made from what weight norm, spectral norm and pruning keep in their
    place (`computed`), and a weight that the net applies in several places may be there for each (`ties`).

    Args:
        path: what `open_checkpoint` reads.
        graph: the net's graph as it was elaborated; the optimizer derives its parameters from this one's.
        key: where in the file the weights are, as `open_checkpoint` takes it; None for the only place that fits.
        rename: names in the file to names in the net, as `Checkpoint.renamed` takes them.
        partial: take what fits, and give all else its initial values, with a warning (W0109).
        training: whether the training graph is to be filled.
        initial: gives initial values, where `partial` needs them; None draws them as PyTorch does.

    Raises:
        NetdslError: the file cannot be read (E0901, E0907) or is no checkpoint (E0911), it does not fit (E0912), or
            several places in it do, and there is no key (E0918).
    """
    found = fitted(path, graph, key=key, rename=rename, partial=partial, training=training)
    meaning = found.checkpoint.meaning
    if meaning is not None and meaning.folded:
        first = meaning.folded[0]
        raise fail(
            "E0912",
            f"`{path}` has other layers folded into its weights, first into `{first}`",
            help="write the model with `-O 0`; a training run has its own weights in `weights.safetensors`",
        )
    if not found.whole and not (partial and found.fitting):
        raise NetdslError(found.as_error())
    return CheckpointWeights(found, Initializer() if initial is None else initial)


class CheckpointWeights:
    """Values of parameters out of a checkpoint: called with a parameter of the net, it gives the array.

    A tensor of any type in `FLOATS` becomes the parameter's own type, rounded to the nearest (float32 for bfloat16, as
    everywhere in netdsl); whole numbers are never made floats, nor floats whole numbers. The array may be mapped from
    the file and read-only.
    """

    def __init__(self, found: Fit, initial: Callable[[Param], Array]) -> None:
        self.fit, self._initial = found, initial
        self._kept = {param.name for param in found.missing} | {param.name for param, _ in found.wrong}
        self._not_finite: list[str] = []
        self._pool = ThreadPoolExecutor(1)  # numpy and files release the lock, so that looking and writing go together
        self._looked_at: tuple[str, Future[bool]] | None = None

    def __call__(self, param: Param) -> Array:
        """The values of a parameter that is not derived."""
        if param.name in self._kept:
            return self._initial(param)
        dtype = "float32" if param.spec.dtype is DType.BFLOAT16 else param.spec.dtype.value
        with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is told below
            array = self.fit.fitting[param.name].read().astype(dtype, copy=False)
        self._settle()
        self._looked_at = param.name, self._pool.submit(_finite, array)
        return array

    def _settle(self) -> None:
        """Wait until the last array has been looked at, so that no more than one is held for that."""
        if self._looked_at is not None:
            name, finite = self._looked_at
            if not finite.result() and name not in self._not_finite:
                self._not_finite.append(name)
            self._looked_at = None

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is suspicious: W0109 from the start, W0108 for what was found in the arrays read so far."""
        self._settle()
        path = self.fit.checkpoint.path
        found = () if self.fit.whole else (self.fit.as_warning(),)
        if not self._not_finite:
            return found
        message = f"`{path}` gives {count(len(self._not_finite), 'parameter')} values that are NaN or infinite"
        note = listed("not finite", self._not_finite)
        return (*found, Diagnostic("W0108", message, notes=(note,), help="train again from an earlier checkpoint"))


def _finite(array: Array) -> bool:
    """Whether no element is NaN or infinite, looked at in pieces that a processor's cache holds."""
    flat = array.reshape(-1)
    return all(np.isfinite(flat[start : start + VALUES_AT_ONCE]).all() for start in range(0, flat.size, VALUES_AT_ONCE))
