"""Opening a data set for training: from its name to samples that fit a net."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from netdsl.base.diagnostics import Diagnostic, fail
from netdsl.data.fingerprints import fingerprint
from netdsl.data.reading import read_data
from netdsl.data.splits import DEFAULT, with_validation
from netdsl.ir.deciding import takes_of, taught
from netdsl.ir.meaning import Numbers, Pixels
from netdsl.recipe.settings import Settings
from netdsl.runtime.taking import arranged
from netdsl.training.augment import make_augment
from netdsl.training.samples.inputs import (
    fit_numbers,
    fit_pictures,
    need_colours,
    need_no_scaling,
    need_nothing_moved,
    number_moments,
    picture_shapes,
)
from netdsl.training.samples.keeping import MAX_KEPT_BYTES, prepare
from netdsl.training.samples.targets import are_classes, belong_to_positions, fit_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.data.parts import Array
    from netdsl.ir.graph import Graph
    from netdsl.ir.meaning import Gives, Takes
    from netdsl.training.samples.batches import Samples
    from netdsl.training.samples.moments import Moments
    from netdsl.training.samples.pictures import Pictures

    Source: TypeAlias = Samples | Pictures

_MAX_BAD_IMAGES_NAMED = 5
"""The number of left-out images that a warning names."""


@dataclass(frozen=True)
class Data:
    """Samples that fit a net.

    Attributes:
        name: the data set as the user gave it.
        train: the samples to train on. All samples have `len` and `batches(size, order, rank=, world=)`.
        val: the validation samples.
        test: samples that are neither; None if the data set has no more.
        labels: the class names; empty if the data set has none.
        mean: the mean of each channel of the training samples as `batches` returns them, images from 0 to 1, without
            augmentation; empty if the net takes integers.
        std: their deviation; 1 for a constant channel.
        skipped: a warning (W0110) about images that were left out; empty if there are none.
        takes: what the net's input takes.
        gives: the kinds of the trained outputs with these targets, by name.
        held: the source of `val`: the data set's `validation` or `test` data, or `part` of its training data.
        origin: the location of the data set, its split, and fingerprints of its samples; see
            `netdsl.training.record`.
    """

    name: str
    train: Source
    val: Source
    test: Source | None
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[Diagnostic, ...]
    takes: Takes = field(default_factory=Numbers)
    gives: Mapping[str, Gives] = field(default_factory=dict)
    held: str = "validation"
    origin: Mapping[str, Any] = field(default_factory=dict)


def open_data(  # noqa: PLR0913 - each of them is a choice of its own
    spec: str | Path,
    graph: Graph,
    settings: Settings | None = None,
    *,
    val: float | None = None,
    choosing: bool = False,
    sizes: Mapping[str, int] | None = None,
    skip_bad: bool = False,
    most_bytes: int = MAX_KEPT_BYTES,
    workers: int | None = None,
) -> Data:
    """Read data, and convert them to what a net takes.

    Images are converted to grey or colour, scaled until they cover the net's input, and cropped to its centre, as in
    `netdsl run`; if the recipe crops training images at random, these are larger before (`netdsl.training.augment`).
    Numbers are taken as they are. Every problem that a run would meet later is detected here.

    Args:
        spec: `digits`, or a directory or a file, as in `read_data`.
        graph: the net, as it is written.
        settings: the recipe: its augmentation, batch size, loss and seed; None for defaults.
        val: the fraction of the training data used for validation; None takes the data set's validation data, or
            else its test data, or else 0.2.
        choosing: whether the validation samples will select an epoch, which test samples must not do; the recipe's
            `early_stop` and `schedule plateau` select, too.
        sizes: values of sizes that the input leaves open.
        skip_bad: leave out images that cannot be read.
        most_bytes: the images of a split are kept in memory up to this size, and otherwise read in each epoch.
        workers: the number of processes that read images; None divides the cores, and takes none for few images.

    Raises:
        NetdslError: the data are damaged, or do not fit this net (E0901, E0907, E1001 to E1009).
    """
    settings = settings or Settings()
    if len(graph.inputs) != 1:
        names = ", ".join(f"`{node.name}`" for node in graph.inputs)
        raise fail("E1008", f"data have one input, and the net takes {len(graph.inputs)}: {names}",
                   help="train a net of one input")  # fmt: skip
    make_augment(settings.augment, graph.inputs[0].type)  # raises its errors before images are read
    found = read_data(spec)
    for name, part in found.parts.items():
        if not len(part):
            raise fail("E1006", f"the {name} data of `{found.name}` have no samples", help="add samples")
    source = found
    if val is None and found.val is None and (choosing or settings.choosing or found.test is None):
        val = DEFAULT
    classes = are_classes(found.train.targets, next(iter(graph.outputs.values())).type)
    found = with_validation(found, val, settings.seed, classes=classes)
    held = "test" if found.val is source.test else "validation" if found.val is source.val else "part"
    division = {"held": held, "fraction": val, "classes": classes}
    targets = fit_targets(found, graph, settings.loss)
    if settings.batch > len(found.train):
        raise fail(
            "E1006",
            f"expected at least {settings.batch:,} training samples, which are a batch, got {len(found.train):,} in "
            f"`{found.name}`",
            help=f"`--set train.batch={len(found.train)}`, or a smaller `batch` in the recipe",
        )
    if any(map(belong_to_positions, targets.values())):
        need_nothing_moved(settings.augment)
    takes = takes_of(graph, graph.inputs[0])
    pixels = isinstance(takes, Pixels) or not _has_shape(found.train.inputs, graph)
    kinds = {name: part.pictures(pixels=pixels) for name, part in found.parts.items()}
    if len({*kinds.values()}) > 1:
        shown = " and ".join(f"{'images' if images else 'numbers'} for {name}" for name, images in kinds.items())
        raise fail("E1003", f"`{found.name}` has {shown}", help="give all of them as bytes (uint8), or none")
    if kinds["training"]:
        shapes = picture_shapes(graph, settings.augment, sizes or {})
        pictures = {
            name: fit_pictures(part, targets[name], shapes[name != "training"], graph, workers)
            for name, part in found.parts.items()
        }
        splits, mean, std, skipped, left_out = _read_all(pictures, skip_bad=skip_bad, most_bytes=most_bytes)
    else:
        need_no_scaling(graph, settings.augment)
        samples = {
            name: fit_numbers(part, f"the {name} data of `{found.name}`", targets[name], graph)
            for name, part in found.parts.items()
        }
        need_colours(settings.augment, samples["training"], found.name)
        splits, skipped, left_out = dict(samples), (), {}
        mean, std = number_moments(samples["training"]).result()
        if (
            isinstance(takes, Pixels) and not graph.meaning.mean
        ):  # weights trained on images keep their own normalization
            takes = Numbers()
    if not graph.inputs[0].type.dtype.is_float:
        mean, std = (), ()
    numbers = not targets["training"].is_floating_point()
    return Data(
        found.name,
        splits["training"],
        splits["validation"],
        splits.get("test"),
        found.labels,
        mean,
        std,
        skipped,
        takes,
        taught(graph, settings.loss, classes=numbers),
        held,
        {
            "data": {"name": found.name, "path": None if spec == "digits" else str(Path(spec).absolute()), **division},
            **{name: fingerprint(part, left_out.get(name, ())) for name, part in found.parts.items()},
        },
    )


def _has_shape(inputs: Sequence[Path] | Array, graph: Graph) -> bool:
    """Whether these are arrays of the shape of a net's input, so that bytes may be numbers for it."""
    return isinstance(inputs, np.ndarray) and arranged(inputs, graph.inputs[0].type.shape) is not None


def _read_all(
    pictures: dict[str, Pictures], *, skip_bad: bool, most_bytes: int
) -> tuple[dict[str, Source], tuple[float, ...], tuple[float, ...], tuple[Diagnostic, ...], dict[str, list[int]]]:
    """Read the images of each split; return them, mean and deviation for training, warnings, and left-out numbers."""
    splits: dict[str, Source] = {}
    moments: dict[str, Moments] = {}
    skipped: list[Diagnostic] = []
    left_out: dict[str, list[int]] = {}
    for name, split in pictures.items():
        splits[name], moments[name], bad = prepare(split, skip_bad=skip_bad, most_bytes=most_bytes)
        skipped += bad.values()
        left_out[name] = [*bad]
        if not len(splits[name]):
            raise fail(
                "E1006", f"none of the images of the {name} data can be read", help="give images that can be read"
            )
    mean, std = moments["training"].result(1 / 255)
    warnings = (_warning(skipped, sum(map(len, pictures.values()))),) if skipped else ()
    return splits, mean, std, warnings, left_out


def _warning(troubles: list[Diagnostic], count: int) -> Diagnostic:
    notes = [trouble.message for trouble in troubles[:_MAX_BAD_IMAGES_NAMED]]
    if len(troubles) > _MAX_BAD_IMAGES_NAMED:
        notes.append(f"and {len(troubles) - _MAX_BAD_IMAGES_NAMED:,} more")
    message = f"{len(troubles):,} of {count:,} images cannot be read, and are left out"
    return Diagnostic("W0110", message, notes=tuple(notes), help="repair or remove them")
