"""Images as a net takes them: channels first, scaled, resized and cropped to the size of its input."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.diagnostics import fail
from netdsl.packages import need

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from netdsl.runtime.session import Port

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""How Pillow calls images of so many channels."""


@dataclass(frozen=True)
class Preparation:
    """What happens to the pixels: `(scale * pixel - mean) / std`.

    Attributes:
        scale: what a pixel from 0 to 255 is multiplied with.
        mean: one number, or one for each channel.
        std: likewise.
        sizes: values of sizes that a model leaves open; along others an image keeps its own.
    """

    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def size(self, image: Any, port: Port) -> tuple[int, int]:
        """Height and width that a Pillow image gets: those of the input, where it leaves them open those of `sizes`."""
        height, width = (self.sizes.get(size) if isinstance(size, str) else size for size in port.shape[2:])
        return height or image.height, width or image.width

    def apply(self, pixels: np.ndarray[Any, Any], port: Port) -> np.ndarray[Any, Any]:
        """Pixels of shape (H, W, C) as an array of shape (C, H, W) of the input's element type.

        Raises:
            NetdslError: `mean` or `std` has not one number for each channel (E0906).
        """
        channels = pixels.shape[2]
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                raise fail(
                    "E0906",
                    f"`--{name}` has {len(numbers)} numbers, and {port} has {channels} channels",
                    help="give one number, or one for each channel",
                )
        if port.dtype == "uint8":
            return pixels.transpose(2, 0, 1)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        scaled = (np.float32(self.scale) * pixels.astype(np.float32) - mean) / std
        return scaled.transpose(2, 0, 1).astype(port.dtype, copy=False)

    def pixels(self, values: np.ndarray[Any, Any], port: Port) -> np.ndarray[Any, Any]:
        """The pixels that `apply` made an array (C, H, W) of, as bytes (H, W, C); what is out of their range is cut."""
        if port.dtype == "uint8":
            return values.transpose(1, 2, 0)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        pixels = (values.transpose(1, 2, 0).astype(np.float32) * std + mean) / np.float32(self.scale)
        whole: np.ndarray[Any, Any] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return whole


def load_picture(path: Path, port: Port, preparation: Preparation) -> np.ndarray[Any, Any]:
    """An image file as one sample of an input.

    It is turned upright as its EXIF data say, made grey or coloured as the input's channels say, scaled until it covers
    the input and cropped to its middle. Along sizes that neither the model nor the preparation fixes it keeps its own.

    Args:
        path: a file of any format that Pillow reads.
        port: the input, of shape [N, C, H, W] with 1, 3 or 4 channels.
        preparation: what happens to the pixels.

    Raises:
        NetdslError: the file cannot be read (E0901) or is no image, or the input takes none (E0906); Pillow is not
            installed (E0907).
    """
    if not takes_pictures(port):
        raise fail(
            "E0906",
            f"an image does not fit the input {port}",
            help="images fit inputs of 1, 3 or 4 channels, a height and a width; give an array as `.npy`",
        )
    image = read_image(path)
    return preparation.apply(pixels_of(image, int(port.shape[1]), *preparation.size(image, port)), port)


def takes_pictures(port: Port) -> bool:
    """Whether an input is one for images: of 1, 3 or 4 channels, a height and a width."""
    return len(port.shape) == 4 and port.shape[1] in MODES and ("float" in port.dtype or port.dtype == "uint8")


def read_image(path: Path) -> Any:
    """An image file as a Pillow image, upright and of 8 bits a pixel.

    Raises:
        NetdslError: the file cannot be read (E0901) or is no image (E0906); Pillow is not installed (E0907).
    """
    return _eight_bits(_decode(path))


def pixels_of(image: Any, channels: int, height: int, width: int) -> np.ndarray[Any, Any]:
    """A Pillow image as bytes of shape (height, width, channels).

    It is made grey or coloured, scaled until it covers that size, and cropped to its middle.
    """
    pixels = np.asarray(_cover(image.convert(MODES[channels]), width, height))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _decode(path: Path) -> Any:
    need("PIL.Image", "reading images")
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - an optional package

    try:
        file = path.open("rb")
    except OSError as error:
        raise fail("E0901", f"cannot read `{path}`: {(error.strerror or str(error)).lower()}") from error
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return ImageOps.exif_transpose(Image.open(file))
        except UnidentifiedImageError as error:
            raise fail(
                "E0906",
                f"`{path}` is no image that Pillow can read",
                help="give an image, or an array as `.npy` or `.npz`",
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise fail(
                "E0906", f"`{path}` unpacks to more than {Image.MAX_IMAGE_PIXELS:,} pixels", help="scale it down first"
            ) from error
        except Exception as error:  # a broken file can raise anything in a decoder
            raise fail("E0906", f"`{path}` is a broken image: {error}", help="open and save it again") from error


def _eight_bits(image: Any) -> Any:
    """Grey images of 16 bits a pixel scaled to 8, which Pillow itself would clip."""
    return image.convert("F").point(lambda value: value / 257).convert("L") if image.mode.startswith("I") else image


def _cover(image: Any, width: int, height: int) -> Any:
    """The image scaled until it covers width x height, and cropped to its middle."""
    factor = max(width / image.width, height / image.height)
    size = max(width, round(image.width * factor)), max(height, round(image.height * factor))
    if size != image.size:
        image = image.resize(size, 2)  # 2 is bilinear with antialiasing
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.crop((left, top, left + width, top + height))
