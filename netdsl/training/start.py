"""The start of a training run: from a net, a recipe and the names of files to what `netdsl.training.run` trains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.base.outputs import remember
from netdsl.passes.restore import named
from netdsl.recipe.settings import Settings
from netdsl.training.claim import claimed
from netdsl.training.machine import ONE_CPU, Machine
from netdsl.training.overrides import override
from netdsl.training.run import initializer, prepared, train
from netdsl.training.samples.opening import open_data
from netdsl.weights.trained import labels_of, load_trained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.training.run import Run
    from netdsl.training.samples.opening import Data
    from netdsl.weights.initial import Array
    from netdsl.weights.loading import CheckpointWeights


def train_by_recipe(  # noqa: PLR0913 - each of them is a choice of its own
    graph: Graph,
    data: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    machine: Machine = ONE_CPU,
    changes: Mapping[str, Any] | None = None,
    weights: Callable[[Param], Array] | str | os.PathLike[str] | None = None,
    taking: Mapping[str, Any] | None = None,
    reading: Mapping[str, Any] | None = None,
    begin: Callable[[Settings, Data, CheckpointWeights | None], None] = lambda *_: None,
    **options: Any,
) -> Run | None:
    """Train a net by the recipe that it carries.

    Args:
        graph: the net as it was written.
        data: `digits`, or a file or directory of data.
        folder: where to write; made if need be.
        machine: where and how to compute.
        changes: of the recipe, by the names of its entries.
        weights: initial values, or the path of a checkpoint; None draws them as the recipe says.
        taking: `key` and `partial` of `netdsl.weights.loading.weights_from`, for a checkpoint.
        reading: `val`, `sizes` and `skip_bad` of `netdsl.training.samples.opening.open_data`.
        begin: is called when all is read, with the recipe, the data and what was read of a checkpoint.
        options: of `netdsl.training.run.train`.

    Raises:
        NetdslError: see `netdsl.Network.train`.
    """
    settings = Settings.of(override(graph, changes or {}))
    values, loaded = (weights, None) if weights is None or callable(weights) else (None, os.fspath(weights))
    remember([] if loaded is None else [loaded])
    with claimed(Path(folder), resume=bool(options.get("resume"))):
        found = None
        if loaded is not None:
            graph, found = load_trained(
                loaded, graph, labels=False, training=True, initial=initializer(settings), **taking or {}
            )
        choosing = options.get("export") == "best"
        samples = open_data(os.fspath(data), graph, settings, choosing=choosing, **reading or {})
        graph = prepared(graph, samples)
        if found is not None:
            graph = named(graph, labels_of(found))
        begin(settings, samples, found)
        return train(graph, settings, samples, Path(folder), machine=machine, weights=found or values, **options)
