"""Running a model on one input, with the results of all layers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from netdsl.base.diagnostics import fail
from netdsl.pages.layers import layers_of, read_graph
from netdsl.runtime import Session
from netdsl.runtime.feeds import batches, rank
from netdsl.runtime.model_files import read_model

if TYPE_CHECKING:
    from netdsl.pages.layers import ShownLayer
    from netdsl.runtime.feeds import Array, Ranking
    from netdsl.runtime.preparation import Preparation


@dataclass(frozen=True)
class LayerResult:
    """A layer and its result.

    Attributes:
        layer: the layer.
        values: its result for the one sample, without the batch.
    """

    layer: ShownLayer
    values: Array


@dataclass(frozen=True)
class Look:
    """The results of all layers of a model for one sample.

    Attributes:
        file: the input file.
        picture: the input as the model sees it, bytes of height x width x channels; None if it is not an image.
        ranking: the classes of the first output, the most likely first; None if it has none.
        steps: all layers with a floating-point result for the sample.
    """

    file: str
    picture: Array | None
    ranking: Ranking | None
    steps: tuple[LayerResult, ...]


def look(session: Session, file: str, preparation: Preparation, *, top: int = 5) -> Look:
    """Run a model on one sample and keep the result of every layer.

    Args:
        session: the model.
        file: an image or an array, as for `netdsl run`.
        preparation: how pixels are converted.
        top: the number of classes to rank.

    Raises:
        NetdslError: the file cannot be read (E0901), does not fit the model or holds several samples (E0906), or no
            layer has floating-point results (E0917).
    """
    session.need_open(preparation.sizes)
    (batch,) = batches(session, [file], preparation)
    if any(len(array) != 1 for array in batch.feeds.values()):
        count = max(map(len, batch.feeds.values()))
        raise session.input_error(f"expected one sample in `{file}`, got {count}", "give one: `x[:1]`")
    layers = layers_of(read_graph(session))
    given = _all_values(session, [layer.value for layer in layers]).run(batch.feeds)
    session.need_rows({port.name: given[port.name] for port in session.outputs})
    steps = tuple(LayerResult(layer, given[layer.value][0]) for layer in layers if _of_samples(given.get(layer.value)))
    if not steps:
        raise fail("E0917", f"no layer of `{session.path}` has floating-point results", help="use another model")
    port, scores = session.inputs[0], given[session.outputs[0].name][0]
    return Look(
        file,
        preparation.pixels(batch.feeds[port.name][0], port) if preparation.taken(port) is not None else None,
        rank(scores, session.labels, top, session.gives(session.outputs[0])),
        steps,
    )


def _of_samples(values: Array | None) -> bool:
    """Whether these are numbers for each sample, not a size or a table that a model computes on the way."""
    return values is not None and values.ndim > 1 and len(values) == 1 and np.issubdtype(values.dtype, np.floating)


def _all_values(session: Session, names: list[str]) -> Session:
    """Return the same model with more outputs; onnxruntime infers their types, and optimizes nothing."""
    model = read_model(session.path, weights=True)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(model, path, save_as_external_data=True, location="weights")  # it may exceed protobuf's limit
        made = Session(path, str(session.device), optimize=False)
    made.path = session.path  # the name in errors, because the file is gone
    return made
