"""Image files, and what their pixels mean: bytes from 0 to 255, whatever the file has them in.

Of an animation or a file of several pages the first picture is read. It is turned upright as its EXIF data say.
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
"""The formats that are read, by Pillow's names. EPS is a program, which Pillow has Ghostscript run."""

MAX_IMAGE_PIXELS = 2**26
"""Four bytes each fill 256 MiB, of which decoding takes several; larger images are refused before that is taken."""

_TAG_BITS, _TAG_PHOTOMETRIC, _TAG_FORMAT, _SIGNED = 258, 262, 339, 2
"""Of TIFF: bits of a sample, what 0 means (0: white, 1: black), and what a sample is (2: a number with a sign)."""
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose grey of more than 8 bits Pillow gives as 32-bit integers from 0 to 65535 in some of its versions."""


def read_image(path: Path) -> Any:
    """An image file as a Pillow image, upright, of the mode `L`, `LA`, `RGB`, `RGBA` or `P`: of 8 bits a sample.

    Raises:
        NetdslError: the file cannot be read (E0901), or is no image, or one whose range is not known (E0906); Pillow is
            not installed (E0907).
    """
    need("PIL.Image", "reading images")
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - an optional package

    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    remedy = "a broken image must be made anew, or saved again by a program that can open it"
    with reading(path, "E0906", "a whole image", remedy), open_file(path) as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is either read or refused
            try:
                opened = Image.open(file, formats=known)
            except UnidentifiedImageError as error:
                raise fail("E0906", f"`{path}` is no image of a known format",
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
        if _SIGNED in tags.get(_TAG_FORMAT, ()):  # Pillow gives bytes, in which the sign is lost
            raise _unknown_range(path, "integers with a sign")
        return eight_bits(image)


def eight_bits(image: Any) -> Any:
    """A Pillow image of any mode whose range is 0 to 255, or 0 and 1, as one of a mode that becomes grey and coloured.

    A palette stays as it is, with what it says of transparency. CMYK becomes RGB without a profile, LAB by that of
    sRGB, both as Pillow converts them.
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
    """The value of white in a grey image of more than 8 bits a pixel, where it is known."""
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
    """A grey image of whole numbers from 0 to `white` as one of bytes, each rounded to the nearest."""
    from PIL import Image  # noqa: PLC0415 - an optional package, which made the image

    values = np.clip(np.asarray(image), 0, white).astype(np.float32) * np.float32(255 / white)
    grey = np.rint(values).astype(np.uint8)
    return Image.fromarray(255 - grey if inverted else grey)


def _too_large(path: Path) -> NetdslError:
    return fail("E0906", f"`{path}` unpacks to more than {MAX_IMAGE_PIXELS:,} pixels", help="scale it down first")
