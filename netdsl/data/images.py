"""Image files, read with pixels from 0 to 255 whatever their format.

Of an animation or a file of several pages the first image is read. It is rotated upright as its EXIF data say.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.base.files import open_file, reading
from netdsl.base.packages import need

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from netdsl.base.diagnostics import NetdslError

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI",
           "SUN", "TGA", "TIFF", "WEBP")  # fmt: skip
"""The formats that are read, by Pillow's names. EPS is excluded: it is a program, which Pillow lets Ghostscript run."""

MAX_IMAGE_PIXELS = 2**26
"""The largest number of pixels. With four bytes each they fill 256 MiB; larger images are refused before decoding."""

_TAG_BITS, _TAG_PHOTOMETRIC, _TAG_FORMAT, _SIGNED = 258, 262, 339, 2
"""Of TIFF: bits per sample, the meaning of 0 (0: white, 1: black), the type of samples (2: signed integers)."""
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose grey images of more than 8 bits some versions of Pillow return as 32-bit integers from 0 to 65535."""


def read_image(path: Path) -> Any:
    """Read an image file as a Pillow image, upright, of mode `L`, `LA`, `RGB`, `RGBA` or `P`: 8 bits per sample.

    Raises:
        NetdslError: the file cannot be read (E0901), or is not an image, or its range is not known (E0906); Pillow is
            not installed (E0907).
    """
    need("PIL.Image", "reading images")
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - an optional package

    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    remedy = "make a damaged image again, or save it again with a program that can open it"
    with reading(path, "E0906", "a whole image", remedy), open_file(path) as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is either read or refused
            try:
                opened = Image.open(file, formats=known)
            except UnidentifiedImageError as error:
                raise fail("E0906", f"`{path}` is not an image of a known format",
                           help="give an image, or an array as `.npy` or `.npz`") from error  # fmt: skip
            except Image.DecompressionBombError as error:
                raise _too_large(path) from error
            if opened.width * opened.height > MAX_IMAGE_PIXELS:
                raise _too_large(path)
            tags = dict(getattr(opened, "tag_v2", {}))
            image = ImageOps.exif_transpose(opened)
        if 0 in image.size:
            raise fail("E0906", f"`{path}` has {image.width} x {image.height} pixels", help="give another image")
        if image.mode == "F" or image.mode[:1] == "I":
            return _scaled(image, _white(path, opened, tags), inverted=tags.get(_TAG_PHOTOMETRIC) == 0)
        if _SIGNED in tags.get(_TAG_FORMAT, ()):  # Pillow returns bytes, in which the sign is lost
            raise _unknown_range(path, "integers with a sign")
        return eight_bits(image)


def eight_bits(image: Any) -> Any:
    """Convert a Pillow image with values from 0 to 255, or 0 and 1, to a mode that can become grey and coloured.

    A palette stays as it is, with its transparency. CMYK is converted to RGB without a profile, LAB with that of sRGB,
    both as Pillow does.
    """
    match image.mode:
        case "1":
            return image.convert("L")
        case "La":
            return image.convert("LA")
        case "RGBa" | "PA":
            return image.convert("RGBA")
        case "RGBX" | "CMYK" | "YCbCr" | "HSV":
            return image.convert("RGB")
        case "LAB":
            from PIL import ImageCms  # noqa: PLC0415 - for few images

            return ImageCms.profileToProfile(
                image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
    return image


def _white(path: Path, opened: Any, tags: Mapping[int, Any]) -> int:
    """Return the value of white in a grey image of more than 8 bits per pixel."""
    if opened.mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        bits = tags.get(_TAG_BITS, (16,))  # scanners write 12 bits, too
        return (1 << min(int(bits[0]), 16)) - 1
    if opened.mode == "I" and opened.format in _SIXTEEN_BITS:
        return 2**16 - 1
    raise _unknown_range(path, "floats" if opened.mode == "F" else "integers of 32 bits, or with a sign")


def _unknown_range(path: Path, held: str) -> NetdslError:
    return fail(
        "E0906",
        f"`{path}` has pixels whose range is not known: expected whole numbers of 1, 8 or 16 bits, got {held}",
        help="save it with 8 or 16 bits, or as an array: `numpy.save('x.npy', x)`",
    )


def _scaled(image: Any, white: int, *, inverted: bool) -> Any:
    """Scale a grey image of integers from 0 to `white` to bytes, each rounded to the nearest."""
    from PIL import Image  # noqa: PLC0415 - an optional package, which made the image

    values = np.clip(np.asarray(image), 0, white).astype(np.float32) * np.float32(255 / white)
    grey = np.rint(values).astype(np.uint8)
    return Image.fromarray(255 - grey if inverted else grey)


def _too_large(path: Path) -> NetdslError:
    return fail(
        "E0906", f"expected at most {MAX_IMAGE_PIXELS:,} pixels in `{path}`, got more", help="scale it down first"
    )
