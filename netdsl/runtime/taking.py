"""From an array to what a model takes: one way for every command, for training, and for `Session.run`."""

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
    """Numbers with their axes in the order of an input; None where they are of another shape.

    Images may have the channels last, or left out where there is one.

    Args:
        values: N x any shape.
        shape: that of the input without the batch; a size left open is no whole number.
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
    """Samples as an input takes them.

    Bytes are images where it takes pixels, and become what it says of them; where it does not, they are numbers. Other
    arrays are the model's own numbers. What fits neither way is given back as it is, for `Session` to refuse.

    Args:
        array: N x any shape.
        port: the input.
        preparation: what happens to pixels; None leaves that to the model.

    Raises:
        NetdslError: images of several sizes do not become one (E0906), or Pillow is not installed (E0907).
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
    """An array of one sample or of several with the batch first, and whether it has come as a batch.

    Three axes are one image, or grey images where they can be no image.
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
    """Bytes of images, N x height x width or that x channels, in the channels and the size that an input takes."""
    pixels = images[..., None] if images.ndim == 3 else images
    size = [preparation.sizes.get(due, own) if isinstance(due, str) else due
            for due, own in zip(port.shape[2:], pixels.shape[1:3], strict=True)]  # fmt: skip
    if [*pixels.shape[1:]] == [*size, port.shape[1]] and asks.order != "bgr":
        return pixels
    if not pixels.size:
        raise fail("E0906", f"an image for {port} has no pixels", help="give images of a pixel at least")
    return np.stack([pixels_of(from_bytes(image), asks, *size) for image in images])
