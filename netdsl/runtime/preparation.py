"""Preparing images for a net: channels first, scaled, resized and cropped to the size of its input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.packages import need
from netdsl.data.images import read_image
from netdsl.ir.deciding import CHANNELS, default_takes
from netdsl.ir.meaning import ORDERS, Numbers, Pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from netdsl.runtime.ports import Port

MAX_INPUT_PIXELS = 2**24
"""The largest number of pixels of a model's input: as float32 with three channels they fill 192 MiB."""
MODES = {"grey": "L", "rgb": "RGB", "bgr": "RGB", "rgba": "RGBA"}
"""Pillow's modes for the orders of channels."""
FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3}
"""Pillow's numbers of the interpolation methods; all but the first antialias."""


@dataclass(frozen=True)
class Preparation:
    """The conversion of pixels: `(scale * pixel - mean) / std`.

    Attributes:
        scale: the factor of a pixel from 0 to 255; None takes what the model says, or else scales to 0 to 1.
        mean: one number, or one for each channel.
        std: likewise.
        sizes: the values of sizes that a model leaves open; along other open sizes an image keeps its own.
    """

    scale: float | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def taken(self, port: Port) -> Pixels | None:
        """Return the pixels that an input takes; None if it takes no images, or has a type that numpy lacks.

        An input that takes numbers, but has the shape of an image, takes images if the user sets the conversion.
        """
        if port.dtype == "bfloat16":
            return None
        if isinstance(port.asks, Numbers) and (self.scale, self.mean, self.std) != (None, (0.0,), (1.0,)):
            asks = default_takes(port.shape[1:], port.dtype)
            return asks if isinstance(asks, Pixels) else None
        return port.asks if isinstance(port.asks, Pixels) else None

    def size(self, image: Any, port: Port) -> tuple[int, int]:
        """Return the height and width to which a Pillow image is scaled: those of the input, or of `sizes` if open."""
        height, width = (self.sizes.get(size) if isinstance(size, str) else size for size in port.shape[2:])
        return height or image.height, width or image.width

    def apply(self, pixels: np.ndarray[Any, Any], port: Port) -> np.ndarray[Any, Any]:
        """Convert pixels ... x H x W x C to an array ... x C x H x W of the input's element type.

        Raises:
            NetdslError: `mean` or `std` does not have one number for each channel (E0906).
        """
        channels = pixels.shape[-1]
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                raise fail(
                    "E0906",
                    f"expected one number for `--{name}`, or {channels} for the channels of {port}, got {len(numbers)}",
                    help="give one number, or one for each channel",
                )
        if port.dtype == "uint8":
            return np.moveaxis(pixels, -1, -3)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        scaled = (self._scale(port) * pixels.astype(np.float32) - mean) / std
        return np.moveaxis(scaled, -1, -3).astype(port.dtype, copy=False)

    def pixels(self, values: np.ndarray[Any, Any], port: Port) -> np.ndarray[Any, Any]:
        """Convert an array (C, H, W) that `apply` made back to bytes (H, W, C); values out of range are clipped."""
        if port.dtype == "uint8":
            return values.transpose(1, 2, 0)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        pixels = (values.transpose(1, 2, 0).astype(np.float32) * std + mean) / self._scale(port)
        whole: np.ndarray[Any, Any] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return whole

    def _scale(self, port: Port) -> np.float32:
        asks = self.taken(port)
        return np.float32((asks.most if asks else 1) / 255 if self.scale is None else self.scale)


def load_picture(path: Path, port: Port, preparation: Preparation) -> np.ndarray[Any, Any]:
    """Read an image file as one sample of an input.

    It is rotated upright as its EXIF data say, converted to the input's channels, and scaled to the input's size. Along
    sizes that neither the model nor the preparation fixes it keeps its own.

    Args:
        path: a file of any format that Pillow reads.
        port: the input, of shape [N, C, H, W] with 1, 3 or 4 channels.
        preparation: how the pixels are converted.

    Raises:
        NetdslError: the file cannot be read (E0901) or is not an image, or the input takes no images (E0906); Pillow is
            not installed (E0907).
    """
    pixels = need_pixels(port, preparation)
    image = read_image(path)
    return preparation.apply(pixels_of(image, pixels, *preparation.size(image, port)), port)


def need_pixels(port: Port, preparation: Preparation, code: str = "E0906") -> Pixels:
    """Return the pixels that an input takes; refuse an input that takes none."""
    asks = preparation.taken(port)
    like_one = isinstance(default_takes(port.shape[1:], port.dtype), Pixels)
    if asks is None and like_one and isinstance(port.asks, Numbers):
        raise fail(
            code,
            f"{port} takes {port.asks}, and the model does not say how pixels are converted to them",
            help="give an array, or a factor for pixels from 0 to 255: `--scale 1`",
        )
    if asks is None:
        raise fail(
            code,
            f"an image does not fit the input {port}",
            help="images fit inputs of 1, 3 or 4 channels, a height and a width; give an array as `.npy`",
        )
    return asks


def channels_last(images: np.ndarray[Any, Any], shape: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    """Return images as N x height x width, or with channels last; None if the shape is not that of images.

    Channels come last; they may come first if the shape allows no other reading.

    Args:
        images: N x any shape.
        shape: channels, height and width of the input; an open size is not an integer.
    """
    own = images.shape[1:]
    if len(own) == 2:
        return images
    if len(own) != 3:
        return None
    first, last = fits(own, shape), fits((own[2], *own[:2]), shape)
    if last or (own[2] in CHANNELS and not first):
        return images
    return images.transpose(0, 2, 3, 1) if first or own[0] in CHANNELS else None


def fits(own: tuple[int, ...], shape: Sequence[Any]) -> bool:
    """Whether the sizes of a sample are those of an input, in which an open size is not an integer."""
    return len(own) == len(shape) and all(not isinstance(d, int) or d == o for o, d in zip(own, shape, strict=True))


def from_bytes(pixels: np.ndarray[Any, Any]) -> Any:
    """Return the bytes of one image, height x width with or without channels last, as a Pillow image.

    Raises:
        NetdslError: Pillow is not installed (E0907).
    """
    plain = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
    return need("PIL.Image", "reading images").fromarray(np.ascontiguousarray(plain))


def pixels_of(image: Any, asks: Pixels, height: int, width: int) -> np.ndarray[Any, Any]:
    """Convert a Pillow image to bytes of shape (height, width, channels). All images reach a model through here.

    Raises:
        NetdslError: the image has no pixels, or too many (E0906).
    """
    if 0 in (*image.size, width, height):
        raise fail("E0906", f"expected an image with pixels, got {image.height} x {image.width}",
                   help="give images with pixels")  # fmt: skip
    if width * height > MAX_INPUT_PIXELS:
        raise fail("E0906", f"expected an image of at most {MAX_INPUT_PIXELS:,} pixels, got {height:,} x {width:,}",
                   help="give the net a smaller input, or a smaller `--size`")  # fmt: skip
    image, scaling = image.convert(MODES[asks.order]), FILTERS[asks.interpolation]
    if asks.reach == "cover":
        image = _cover(image, width, height, scaling)
    elif image.size != (width, height):
        image = image.resize((width, height), scaling)
    pixels = np.asarray(image)
    if ORDERS[asks.order] == 1:
        return pixels[:, :, None]
    return pixels[:, :, ::-1] if asks.order == "bgr" else pixels


def _cover(image: Any, width: int, height: int, scaling: int) -> Any:
    """Scale an image until it covers width x height, and crop it to its centre."""
    factor = max(width / image.width, height / image.height)
    size = max(width, round(image.width * factor)), max(height, round(image.height * factor))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if size[0] * size[1] > MAX_INPUT_PIXELS:  # a long strip: scale only its centre
        return _middle(image, size, (left, top, left + width, top + height), scaling)
    if size != image.size:
        image = image.resize(size, scaling)
    return image.crop((left, top, left + width, top + height))


def _middle(image: Any, size: tuple[int, int], part: tuple[int, int, int, int], scaling: int) -> Any:
    """Return a part of the image scaled to `size`, without computing the rest."""
    across, down = image.width / size[0], image.height / size[1]
    box = part[0] * across, part[1] * down, part[2] * across, part[3] * down
    return image.resize((part[2] - part[0], part[3] - part[1]), scaling, box=box)
