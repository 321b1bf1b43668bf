"""From files named on the command line to the arrays that a model takes, and from its outputs to what people read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.checkpoints.npz import write_npz
from netdsl.diagnostics import fail
from netdsl.files import whole_file
from netdsl.runtime.arrays import NPY, NPZ, form_of, read_npy, read_npz
from netdsl.runtime.pictures import load_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netdsl.runtime.pictures import Preparation
    from netdsl.runtime.session import Port, Session

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Batch:
    """Arrays for one run, and the files they came from, one for each sample (or one for all)."""

    feeds: dict[str, Array]
    files: tuple[str, ...]


def batches(session: Session, files: Sequence[str], preparation: Preparation) -> Iterator[Batch]:
    """The runs that a list of files asks for.

    A model with one input runs once for each file, or for as many images at once as its batch size says. A model with
    several inputs runs once, and takes `name=file` for each input or one `.npz` that holds them all.

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
        array = _read(Path(file.removeprefix(f"{port.name}=")), port, preparation)
        if array.ndim == len(port.shape):
            yield Batch({port.name: array}, (file,))
            continue
        if waiting and array.shape != waiting[0][1].shape:
            sizes = " and ".join("x".join(map(str, shape)) for shape in (waiting[0][1].shape, array.shape))
            raise session.input_error(f"samples of one batch must be of one size, and there are {sizes}")
        waiting.append((file, array))
        if size in (1, len(waiting)) or isinstance(size, str):
            yield Batch({port.name: np.stack([a for _, a in waiting])}, tuple(f for f, _ in waiting))
            waiting = []
    if waiting:
        raise session.input_error(f"the model takes {size} samples at a time, and {len(waiting)} are left")


def _named(session: Session, files: Sequence[str], preparation: Preparation) -> Iterator[Batch]:
    if len(files) == 1 and form_of(Path(files[0])) == NPZ:
        feeds = read_npz(Path(files[0]), "E0906")
        yield Batch(
            {
                port.name: fitted(feeds.pop(port.name), port, preparation)
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
            raise session.input_error(f"which input is `{file}` for?")
        array = _read(Path(path), ports[name], preparation)
        given[name] = array if array.ndim == len(ports[name].shape) else array[None]
    yield Batch(given, (", ".join(files),))


def _read(path: Path, port: Port, preparation: Preparation) -> Array:
    if form_of(path) == NPY:
        return fitted(read_npy(path, "E0906"), port, preparation)
    return load_picture(path, port, preparation)


def fitted(array: Array, port: Port, preparation: Preparation) -> Array:
    """The array with the input's element type.

    Raises:
        NetdslError: it has not the sizes asked for, or more than precision would be lost (E0906).
    """
    for name, size in zip(reversed(port.shape), reversed(array.shape), strict=False):
        if isinstance(name, str) and preparation.sizes.get(name, size) != size:
            message = f"`{port.name}` is an array with {name} = {size}, and {preparation.sizes[name]} is asked for"
            raise fail("E0906", message, help="`--size` scales images; scale arrays before they are saved")
    if port.dtype == "bfloat16" or not np.can_cast(array.dtype, port.dtype, "same_kind"):
        raise fail(
            "E0906",
            f"`{port.name}` takes {port.dtype}, and the array holds {array.dtype.name}",
            help=f"convert it first: `x.astype('{port.dtype}')`",
        )
    return array.astype(port.dtype, copy=False)


def save_arrays(path: Path, outputs: Mapping[str, Array]) -> None:
    """Write one output as `.npy`, or all by name as `.npz`.

    Raises:
        NetdslError: the file cannot be written (E0902), or is a `.npy` for several outputs (E0906).
    """
    if path.suffix == ".npz":
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
        meaning: what the numbers are: `probability`, `softmax of the logits`, or `value` where they are neither.
        classes: name and number of each.
    """

    meaning: str
    classes: tuple[tuple[str, float], ...]


def rank(scores: Array, labels: Sequence[str], top: int) -> Ranking:
    """The `top` classes of one sample.

    Scores that sum to 1 are probabilities already; others that lie between 0 and 1 (a sigmoid for each class) are
    shown as they are; all else are logits, of which the softmax is taken.

    Args:
        scores: shape [classes].
        labels: the names of the classes; numbers stand for them where there are none.
        top: how many to show.
    """
    values = scores.astype(np.float64)
    meaning = "value"
    inside = bool(np.all((values >= 0) & (values <= 1)))
    if inside and abs(values.sum() - 1) < 1e-3:
        meaning = "probability"
    elif not inside and np.all(np.isfinite(values)):
        meaning = "softmax of the logits"
        values = np.exp(values - values.max())
        values /= values.sum()
    order = np.argsort(-values, kind="stable")[:top]
    names = labels if len(labels) == len(values) else [str(index) for index in range(len(values))]
    return Ranking(meaning, tuple((names[index], float(values[index])) for index in order))
