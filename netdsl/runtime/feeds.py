"""Reading the inputs of a model from files, and presenting its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import whole_file
from netdsl.data.arrays import NPY, NPZ, form_of, read_npy, read_npz
from netdsl.ir.meaning import Gives
from netdsl.runtime.preparation import load_picture
from netdsl.runtime.taking import as_batch, taken
from netdsl.weights.npz import write_npz

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netdsl.runtime.ports import Port
    from netdsl.runtime.preparation import Preparation
    from netdsl.runtime.session import Session

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LoadedBatch:
    """Arrays for one run, and the files they come from: one for each sample, or one for all."""

    feeds: dict[str, Array]
    files: tuple[str, ...]


def batches(session: Session, files: Sequence[str], preparation: Preparation) -> Iterator[LoadedBatch]:
    """Yield the runs for a list of files.

    A model with one input runs once for each file, or with a fixed batch size once for that number of images. A model
    with several inputs runs once, on `name=file` for each input or on one `.npz` with all of them.

    Raises:
        NetdslError: a file cannot be read (E0901) or does not fit (E0906).
    """
    session.need_samples()
    if len(session.inputs) > 1 or (files and form_of(Path(files[0])) == NPZ):
        yield from _named(session, files, preparation)
        return
    (port,) = session.inputs
    size = port.shape[0]
    waiting: list[tuple[str, Array]] = []
    for file in files:
        array, several = _read(Path(file.removeprefix(f"{port.name}=")), port, preparation)
        if several:
            yield LoadedBatch({port.name: array}, (file,))
            continue
        array = array[0]
        if waiting and array.shape != waiting[0][1].shape:
            sizes = " and ".join("x".join(map(str, shape)) for shape in (waiting[0][1].shape, array.shape))
            raise session.input_error(f"expected samples of one size in a batch, got {sizes}")
        waiting.append((file, array))
        if size in (1, len(waiting)) or isinstance(size, str):
            yield LoadedBatch({port.name: np.stack([a for _, a in waiting])}, tuple(f for f, _ in waiting))
            waiting = []
    if waiting:
        raise session.input_error(f"expected batches of {size} samples, got {len(waiting)} at the end")


def _named(session: Session, files: Sequence[str], preparation: Preparation) -> Iterator[LoadedBatch]:
    if len(files) == 1 and form_of(Path(files[0])) == NPZ:
        feeds = read_npz(Path(files[0]), "E0906")
        yield LoadedBatch(
            {
                port.name: fitted(as_batch(feeds.pop(port.name), port, preparation)[0], port, preparation)
                for port in session.inputs
                if port.name in feeds
            }
            | feeds,
            tuple(files),
        )
        return
    ports = {port.name: port for port in session.inputs}
    given: dict[str, Array] = {}
    for file in files:
        name, separator, path = file.partition("=")
        if not separator or name not in ports:
            raise session.input_error(f"expected `INPUT=FILE` with an input of the model, got `{file}`")
        given[name], _ = _read(Path(path), ports[name], preparation)
    yield LoadedBatch(given, (", ".join(files),))


def _read(path: Path, port: Port, preparation: Preparation) -> tuple[Array, bool]:
    """Read the samples of a file; return them, and whether the file holds a batch."""
    if form_of(path) == NPY:
        array, several = as_batch(read_npy(path, "E0906"), port, preparation)
        return fitted(array, port, preparation), several
    return load_picture(path, port, preparation)[None], False


def fitted(array: Array, port: Port, preparation: Preparation) -> Array:
    """Convert samples to the shape and element type of an input.

    Args:
        array: N x any shape; bytes are images if the input takes pixels, see `netdsl.runtime.taking`.
        port: the input.
        preparation: how pixels are converted.

    Raises:
        NetdslError: their sizes are not those required, or the conversion would lose more than precision (E0906).
    """
    array = taken(array, port, preparation)
    for name, size in zip(reversed(port.shape), reversed(array.shape), strict=False):
        if isinstance(name, str) and preparation.sizes.get(name, size) != size:
            message = f"expected `{port.name}` with {name} = {preparation.sizes[name]}, got an array with {size}"
            raise fail("E0906", message, help="`--size` scales images; scale arrays before they are saved")
    if port.dtype == "bfloat16" or not np.can_cast(array.dtype, port.dtype, "same_kind"):
        raise fail(
            "E0906",
            f"expected {port.dtype} for `{port.name}`, got an array of {array.dtype.name}",
            help=f"convert it first: `x.astype('{port.dtype}')`",
        )
    cast = array.astype(port.dtype, copy=False)
    if cast.dtype.kind in "iu" and not np.array_equal(cast, array):
        raise fail("E0906", f"`{port.name}` takes {port.dtype}, and the array holds numbers outside of its range",
                   help="give numbers that the type can hold")  # fmt: skip
    return cast


def save_arrays(path: Path, outputs: Mapping[str, Array]) -> None:
    """Write one output as `.npy`, or all by name as `.npz`.

    Raises:
        NetdslError: the file cannot be written (E0902), or is a `.npy` for several outputs (E0906).
    """
    if path.suffix.lower() == NPZ:
        write_npz(path, outputs.items())
        return
    if len(outputs) != 1:
        problem = f"a `.npy` holds one array, and the model has {len(outputs)} outputs"
        raise fail("E0906", problem, help="write a `.npz`")
    (array,) = outputs.values()
    with whole_file(path) as file:
        np.save(file, array)


@dataclass(frozen=True)
class Ranking:
    """The classes of one sample, the most likely first.

    Attributes:
        meaning: the meaning of the numbers: `probability`, `softmax of the logits`, `distance` and so on.
        classes: the name and the number of each class.
    """

    meaning: str
    classes: tuple[tuple[str, float], ...]


SHOWN = {
    Gives.LOGITS: "softmax of the logits",
    Gives.PROBABILITIES: "probability",
    Gives.LOG_PROBABILITIES: "probability",
    Gives.YES_LOGITS: "sigmoid of the logits",
    Gives.YES_PROBABILITIES: "probability of each",
    Gives.SCORES: "score",
    Gives.DISTANCES: "distance",
}
"""The meaning of the numbers in a ranking, for each kind of output."""


def rank(scores: Array, labels: Sequence[str], top: int, gives: Gives = Gives.LOGITS) -> Ranking | None:
    """Return the `top` classes of one sample; None if the output is not one number for each class.

    Logits and logarithms are converted to probabilities; all else is shown as it is. A single yes-or-no answer ranks
    two classes, the second of which is yes.

    Args:
        scores: shape [classes].
        labels: the class names; without them, numbers are shown.
        top: the number of classes to return.
        gives: the kind of the output.
    """
    if scores.ndim != 1 or gives not in SHOWN or scores.size < (1 if gives.yes_or_no else 2):
        return None
    values = probabilities(scores.astype(np.float64), gives)
    if gives.yes_or_no and values.size == 1 and len(labels) != 1:
        values = np.array([1 - values[0], values[0]])
    order = np.argsort(values if gives is Gives.DISTANCES else -values, kind="stable")[:top]
    names = labels if len(labels) == len(values) else [str(index) for index in range(len(values))]
    return Ranking(SHOWN[gives], tuple((names[index], float(values[index])) for index in order))


def probabilities(scores: Array, gives: Gives) -> Array:
    """Convert scores of classes along the last axis to probabilities if their kind allows it, else return them."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinite values are reported where they are shown
        match gives:
            case Gives.LOGITS:
                raised = np.exp(scores - scores.max(-1, keepdims=True))
                made: Array = raised / raised.sum(-1, keepdims=True)
                return made
            case Gives.LOG_PROBABILITIES:
                return np.exp(scores)
            case Gives.YES_LOGITS:
                return np.exp(-np.logaddexp(0, -scores))
    return scores
