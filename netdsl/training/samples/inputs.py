"""Converting the inputs of each split to what the net takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from netdsl.base.diagnostics import fail
from netdsl.ir.deciding import default_takes, takes_of
from netdsl.ir.dim import Symbolic
from netdsl.ir.meaning import Pixels, Tokens
from netdsl.ir.types import DType, format_shape
from netdsl.recipe.words import WORD_OF
from netdsl.runtime.preparation import channels_last
from netdsl.runtime.taking import arranged
from netdsl.training.augment import VALUES_ONLY, crop_sizes
from netdsl.training.samples.batches import Samples
from netdsl.training.samples.moments import Moments
from netdsl.training.samples.pictures import Pictures
from netdsl.training.samples.targets import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.base.diagnostics import NetdslError
    from netdsl.data.parts import Array, Part
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph
    from netdsl.ir.types import TensorType

    Shape: TypeAlias = tuple[int, int, int]


def picture_shapes(graph: Graph, words: Sequence[Any], sizes: Mapping[str, int]) -> tuple[Shape, Shape]:
    """Return channels, height and width of training images before augmentation, and of all images for the net.

    Args:
        graph: a net with one input.
        words: the recipe's augmentations.
        sizes: values of sizes that the input leaves open.

    Raises:
        NetdslError: the input takes no images, or has open sizes (E1008); an augmentation is not possible (E1009).
    """
    image = graph.inputs[0].type
    if not isinstance(takes_of(graph, graph.inputs[0]), Pixels):
        if isinstance(default_takes(image.shape, image.dtype.value), Pixels):
            raise _misfit(
                "the weights are of a net that takes numbers, and it is not known how pixels are converted to them",
                "give an array of numbers as it was trained with",
            )
        raise _misfit(
            f"an image does not fit the input, {image}: it takes 1, 3 or 4 channels, a height and a width",
            "let the net start with `input image: 1x28x28`, and a layer on vectors with `flatten`",
        )
    size = _fixed(image.shape[1], sizes), _fixed(image.shape[2], sizes)
    before, after = crop_sizes(words, size) or (size, size)
    first, last = _known(image, before), _known(image, after)
    _need_constraints(graph, image, last)
    return first, last


def fit_pictures(part: Part, targets: torch.Tensor, shape: Shape, graph: Graph, workers: int | None) -> Pictures:
    """Return images that are scaled to `shape` when they are read.

    Raises:
        NetdslError: arrays have other dimensions or channels than images, or targets belong to positions of images
            that would be scaled (E1008).
    """
    (source,) = graph.inputs
    asks, inputs = takes_of(graph, source), part.inputs
    assert isinstance(asks, Pixels)  # noqa: S101 - checked by `picture_shapes`
    if isinstance(inputs, np.ndarray):
        found = channels_last(inputs, source.type.shape)
        if found is None:
            shown = format_shape(inputs.shape[1:])
            raise _misfit(
                f"expected images of height x width, or with 1, 3 or 4 channels, got data of {shown}",
                "save images with the channels last, or arrays of float32",
            )
        inputs = found
    if targets.ndim > 2 and (not isinstance(inputs, np.ndarray) or inputs.shape[1:3] != shape[1:]):
        raise _misfit(
            f"targets belong to positions of the image, and images would be scaled to {shape[1]} x {shape[2]}",
            "give arrays of images of that size",
        )
    return Pictures(inputs, targets, shape, asks, _torch_dtype(source.type), workers)


def need_nothing_moved(words: Sequence[Any]) -> None:
    """Refuse augmentations that move the image if targets belong to its positions, and would not move (E1009)."""
    moving = [word for word in words if not isinstance(word, VALUES_ONLY)]
    if moving:
        raise fail("E1009", f"`{WORD_OF[type(moving[0])]}` moves what is in the image, and its targets, one "
                            "for each position, would stay",
                   help="leave it out of the recipe, or give others: `--set train.augment=contrast`")  # fmt: skip


def need_colours(words: Sequence[Any], samples: Samples, name: str) -> None:
    """Refuse changes of colour, which clip values to 0 to 1, for numbers outside of that range (E1009)."""
    changing = [WORD_OF[type(word)] for word in words if isinstance(word, VALUES_ONLY)]
    if not changing:
        return
    least, most = (float(bound) for bound in torch.aminmax(samples.inputs))
    if not 0 <= least <= most <= 1:
        raise fail(
            "E1009",
            f"expected values from 0 to 1 for `{changing[0]}`, got {least:g} to {most:g} in `{name}`",
            help="scale them to 0 to 1 before they are saved, give images as bytes (uint8), or leave out the word",
        )


def need_no_scaling(graph: Graph, words: Sequence[Any]) -> None:
    """Refuse crops that need larger images for arrays of numbers, which are not scaled (E1009)."""
    kind = graph.inputs[0].type
    sizes = crop_sizes(words, (kind.shape[1], kind.shape[2])) if kind.rank == 3 else None
    if sizes is not None and sizes[0] != sizes[1]:
        raise fail(
            "E1009",
            "a crop without `pad` is cut out of a larger image, and arrays of numbers are not scaled",
            help="write `pad=4` after it, or give images as bytes (uint8)",
        )


def fit_numbers(part: Part, where: str, targets: torch.Tensor, graph: Graph) -> Samples:
    """Return arrays that already have the shape of the net's input, but for images with channels last or no channels.

    Args:
        part: the samples.
        where: their name in messages.
        targets: their targets.
        graph: a net with one input.

    Raises:
        NetdslError: shape or element type do not fit (E1008), or a number is not finite (E1002).
    """
    kind = graph.inputs[0].type
    array = part.inputs
    assert isinstance(array, np.ndarray)  # noqa: S101 - all others are pictures
    fitted = arranged(array, kind.shape)
    if fitted is None or not matches(fitted.shape[1:], kind.shape):
        raise _misfit(f"the input takes {kind}, and a sample of {where} is {format_shape(array.shape[1:])}",
                      "give the `input` this shape, or reshape the arrays")  # fmt: skip
    wanted = "float32" if kind.dtype is DType.BFLOAT16 else kind.dtype.value
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise _misfit(f"the input takes {kind.dtype.value}, and {where} hold {array.dtype.name}",
                      f"convert them: `x.astype('{wanted}')`")  # fmt: skip
    with np.errstate(over="ignore"):
        values = np.array(fitted, wanted, order="C")
    if kind.dtype.is_float and not (finite := np.isfinite(values)).all():
        sample = int(np.argwhere(~finite)[0][0])
        raise fail("E1002", f"numbers must be finite in {wanted}, and sample {sample} of {where} has another",
                   help="remove the sample, or fill what is missing")  # fmt: skip
    _need_constraints(graph, kind, values.shape[1:])
    _need_tokens(graph, values, where)
    return Samples(torch.from_numpy(values).to(_torch_dtype(kind)), targets)


def number_moments(samples: Samples) -> Moments:
    """Return mean and deviation of the numbers along the first axis of a sample."""
    moments = Moments(samples.inputs.shape[1])
    moments.add(samples.inputs)
    return moments


def _need_tokens(graph: Graph, values: Array, where: str) -> None:
    """Refuse tokens without a vector in the embedding, which would stop a GPU at a later time."""
    takes = graph.meaning.inputs.get(graph.inputs[0].name)
    if isinstance(takes, Tokens) and (problem := takes.misfit(values)) is not None:
        raise _misfit(
            f"`{graph.inputs[0].name}` takes {problem}, in {where}",
            "tokens are numbers from 0, and a table has a vector for each",
        )


def _need_constraints(graph: Graph, kind: TensorType, shape: tuple[int, ...]) -> None:
    """Refuse sizes that the net does not allow."""
    sizes = dict(zip(map(str, kind.shape), shape, strict=True))
    for constraint in graph.constraints:
        if constraint.size in sizes and not constraint.holds(sizes[constraint.size]):
            raise _misfit(f"the net requires `{constraint.text}`, and {constraint.size} is {sizes[constraint.size]}",
                          "give another size")  # fmt: skip


def _fixed(dim: Dim, sizes: Mapping[str, int]) -> Dim:
    return sizes.get(str(dim), dim) if isinstance(dim, Symbolic) else dim


def _known(image: TensorType, size: tuple[Dim, Dim]) -> Shape:
    """Return the shape of an image; refuse a shape with an open size."""
    channels, height, width = image.shape[0], *size
    if isinstance(channels, int) and isinstance(height, int) and isinstance(width, int):
        return channels, height, width
    dim = width if isinstance(height, int) else height
    raise _misfit(f"the input {image} leaves the size `{dim}` open, and the images of a batch need one size",
                  f'set it: `--size {dim}=224`, or `--set "train.augment=crop 224"`')  # fmt: skip


def _torch_dtype(kind: TensorType) -> torch.dtype:
    dtype = getattr(torch, kind.dtype.value)
    assert isinstance(dtype, torch.dtype)  # noqa: S101 - PyTorch uses the same names
    return dtype


def _misfit(problem: str, remedy: str) -> NetdslError:
    return fail("E1008", problem, help=remedy)
