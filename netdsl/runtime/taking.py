"""Converting arrays to the inputs of a model: the same for every command, for training, and for `Session.run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.ir.deciding import CHANNELS
from netdsl.runtime.preparation import Preparation, channels_last, fits, from_bytes, pixels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.ir.meaning import Pixels
    from netdsl.runtime.ports import Port

Array = np.ndarray[Any, Any]


def arranged(values: Array, shape: Sequence[Any]) -> Array | None:
    """Order the axes of numbers as an input has them; None if the shape does not fit.

    Images may have the channels last, or no channel axis if there is only one channel.

    Args:
        values: N x any shape.
        shape: that of the input without the batch; an open size is not an integer.
    """
    own = values.shape[1:]
    if fits(own, shape):
        return values
    if len(own) == len(shape) == 3 and fits((own[2], *own[:2]), shape):
        return values.transpose(0, 3, 1, 2)
    if len(own) == 2 and len(shape) == 3 and fits((1, *own), shape):
        return values[:, None]
    return None


def taken(array: Array, port: Port, preparation: Preparation | None = None) -> Array:
    """Convert samples to what an input takes.

    If the input takes pixels, bytes are images and are converted as the model says; otherwise they are numbers. Other
    arrays are passed on as numbers. An array that fits neither way is returned as it is, and `Session` refuses it.

    Args:
        array: N x any shape.
        port: the input.
        preparation: how pixels are converted; None leaves that to the model.

    Raises:
        NetdslError: images cannot be scaled to the input (E0906), or Pillow is not installed (E0907).
    """
    preparation = preparation or Preparation()
    asks = preparation.taken(port)
    if asks is not None and array.dtype == np.uint8:
        images = channels_last(array, port.shape[1:])
        return array if images is None else preparation.apply(_sized(images, asks, port, preparation), port)
    if array.ndim and (found := arranged(array, port.shape[1:])) is not None:
        array = found
    if array.dtype == np.uint8 and port.dtype not in ("uint8", "bool", "bfloat16"):
        array = array.astype(port.dtype)
    return array


def as_batch(array: Array, port: Port, preparation: Preparation) -> tuple[Array, bool]:
    """Add a batch axis to a single sample; return the array, and whether it already was a batch.

    Three axes are one image, or a batch of grey images if they cannot be one image.
    """
    rank = len(port.shape)
    if array.ndim == rank or rank != 4 or array.ndim != 3:
        single = array.ndim == rank - 1 or (rank == 4 and array.ndim == 2)
        return (array[None], False) if single else (array, True)
    if arranged(array[None], port.shape[1:]) is not None:
        return array[None], False
    grey = arranged(array, port.shape[1:]) is not None
    pixels = preparation.taken(port) is not None and array.dtype == np.uint8
    if grey or (pixels and array.shape[2] not in CHANNELS and array.shape[0] not in CHANNELS):
        return array, True
    return array[None], False


def _sized(images: Array, asks: Pixels, port: Port, preparation: Preparation) -> Array:
    """Convert bytes of images to the channels and the size of an input."""
    pixels = images[..., None] if images.ndim == 3 else images
    size = [preparation.sizes.get(size_of_input, own) if isinstance(size_of_input, str) else size_of_input
            for size_of_input, own in zip(port.shape[2:], pixels.shape[1:3], strict=True)]  # fmt: skip
    if [*pixels.shape[1:]] == [*size, port.shape[1]] and asks.order != "bgr":
        return pixels
    if not pixels.size:
        raise fail("E0906", f"an image for {port} has no pixels", help="give images with pixels")
    return np.stack([pixels_of(from_bytes(image), asks, *size) for image in images])
