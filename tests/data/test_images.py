"""Image files of every mode become the bytes that numpy computes of their values, or are refused by their names."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from netdsl.base.diagnostics import NetdslError
from netdsl.data.images import eight_bits, read_image
from netdsl.ir.meaning import Pixels
from netdsl.runtime.preparation import Preparation, load_picture, pixels_of
from netdsl.runtime.session import Port

ORDERS = {1: "grey", 3: "rgb", 4: "rgba"}
DRAW = np.random.default_rng(0)
COLOURS = DRAW.integers(0, 256, (5, 7, 4), np.uint8)
WORDS = DRAW.integers(0, 2**16, (5, 7)).astype(np.uint16)
WORDS[0, :2] = 0, 2**16 - 1


def saved(path, image, **options):
    image.save(path, **options)
    return path


def pixels(path, channels=1):
    """The bytes that a model gets of a file, height x width x channels."""
    image = read_image(path)
    found = pixels_of(image, Pixels(order=ORDERS[channels]), image.height, image.width)
    return found[..., 0] if channels == 1 else found


def mode(path):
    """What Pillow calls the form of a file's pixels."""
    with Image.open(path) as image:
        return image.mode


def luma(rgb):
    """Grey of colours: ITU-R BT.601, as Pillow and torchvision weigh them."""
    return rgb @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_sixteen_bits_are_divided_by_257(tmp_path, ending):
    if ending == "pgm":  # Pillow gives such files as integers of 32 bits
        (tmp_path / "x.pgm").write_bytes(b"P5 7 5 65535\n" + WORDS.astype(">u2").tobytes())
    else:
        saved(tmp_path / f"x.{ending}", Image.fromarray(WORDS))
    np.testing.assert_array_equal(pixels(tmp_path / f"x.{ending}"), np.rint(WORDS / 257))
    np.testing.assert_array_equal(pixels(tmp_path / f"x.{ending}", 3)[..., 2], np.rint(WORDS / 257))


def tiff(values, bits=16, white_is_zero=False, order="<"):
    """A grey TIFF of one strip, whole numbers of so many bits."""
    data = values.astype(f"{order}u2").tobytes()
    if bits == 12:
        first, second = values.reshape(-1, 2).T.astype(np.uint32)
        packed = first << 12 | second
        data = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1).astype(np.uint8).tobytes()
    height, width = values.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 0 if white_is_zero else 1), (273, 8), (277, 1),
            (278, height), (279, len(data))]  # fmt: skip
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    start = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(data))
    return start + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def test_big_endian_twelve_bits_and_white_that_is_zero(tmp_path):
    (tmp_path / "b.tif").write_bytes(tiff(WORDS, order=">"))
    assert mode(tmp_path / "b.tif") == "I;16B"
    np.testing.assert_array_equal(pixels(tmp_path / "b.tif"), np.rint(WORDS / 257))
    (tmp_path / "w.tif").write_bytes(tiff(WORDS, white_is_zero=True))
    np.testing.assert_array_equal(pixels(tmp_path / "w.tif"), 255 - np.rint(WORDS / 257))
    twelve = DRAW.integers(0, 2**12, (4, 6))
    (tmp_path / "t.tif").write_bytes(tiff(twelve, 12))
    np.testing.assert_array_equal(pixels(tmp_path / "t.tif"), np.rint(twelve * 255 / 4095))


def test_bytes_with_a_sign_are_refused(tmp_path):
    path = saved(tmp_path / "s.tif", Image.fromarray(DRAW.integers(0, 255, (5, 7), np.uint8)), tiffinfo={339: 2})
    with pytest.raises(NetdslError, match="integers with a sign"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("x.tif", Image.fromarray(DRAW.random((5, 7)).astype(np.float32))),
        ("x.tiff", Image.fromarray(np.full((5, 7), 200.0, np.float32))),
        ("y.tif", Image.fromarray(DRAW.integers(0, 2**30, (5, 7)).astype(np.int32))),
        ("z.tif", Image.fromarray(DRAW.integers(0, 255, (5, 7)).astype(np.int32))),
    ],
)
def test_a_range_that_is_not_known_is_refused(tmp_path, name, image):
    with pytest.raises(NetdslError) as error:
        read_image(saved(tmp_path / name, image))
    (found,) = error.value.diagnostics
    assert found.code == "E0906"
    assert f"{tmp_path / name}" in found.message
    assert "expected" in found.message
    assert "numpy.save" in found.help


def test_one_bit_is_black_or_white(tmp_path):
    bits = DRAW.integers(0, 2, (5, 7)).astype(bool)
    for ending in ("png", "tif", "pbm"):
        np.testing.assert_array_equal(pixels(saved(tmp_path / f"x.{ending}", Image.fromarray(bits))), 255 * bits)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_transparency_is_dropped_and_not_painted_on_anything(tmp_path, ending):
    path = saved(tmp_path / f"x.{ending}", Image.fromarray(COLOURS))
    np.testing.assert_array_equal(pixels(path, 3), COLOURS[..., :3])
    np.testing.assert_array_equal(pixels(path, 4), COLOURS)
    np.testing.assert_allclose(pixels(path), luma(COLOURS[..., :3]), atol=0.51)
    grey = saved(tmp_path / f"la.{ending}", Image.fromarray(COLOURS[..., :2].copy()))
    assert mode(grey) == "LA"
    np.testing.assert_array_equal(pixels(grey), COLOURS[..., 0])
    np.testing.assert_array_equal(pixels(grey, 3), COLOURS[..., :1].repeat(3, 2))


def test_palettes_are_their_colours(tmp_path):
    palette, numbers = DRAW.integers(0, 256, (16, 3), np.uint8), DRAW.integers(0, 16, (5, 7), np.uint8)
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    for ending, options in {"png": {}, "gif": {}, "bmp": {}, "tif": {}}.items():
        path = saved(tmp_path / f"x.{ending}", image, **options)
        np.testing.assert_array_equal(pixels(path, 3), palette[numbers])
        np.testing.assert_allclose(pixels(path), luma(palette[numbers]), atol=0.51)
    see_through = saved(tmp_path / "t.png", image, transparency=3)
    np.testing.assert_array_equal(pixels(see_through, 3), palette[numbers])
    np.testing.assert_array_equal(pixels(see_through, 4)[..., 3], 255 * (numbers != 3))


def test_cmyk_is_ink_on_white(tmp_path):
    ink = COLOURS.astype(float)
    rgb = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    path = saved(tmp_path / "x.tif", Image.frombytes("CMYK", (7, 5), COLOURS.tobytes()))
    np.testing.assert_allclose(pixels(path, 3), rgb, atol=1)
    flat = Image.new("CMYK", (16, 16), (10, 200, 30, 40))
    path = saved(tmp_path / "x.jpg", flat, quality=100)  # Adobe's, inverted in the file
    np.testing.assert_allclose(pixels(path, 3)[0, 0], [(255 - c) * (255 - 40) / 255 for c in (10, 200, 30)], atol=3)


def test_lab_by_its_formulas():
    light, a, b = 60.0, 20.0, -30.0
    image = Image.new("LAB", (2, 2), (round(light * 2.55), 128 + round(a), 128 + round(b)))
    height = (light + 16) / 116
    cube = np.array([height + a / 500, height, height - b / 200])
    xyz = np.where(cube > 6 / 29, cube**3, 3 * (6 / 29) ** 2 * (cube - 4 / 29)) * [0.9642, 1, 0.8249]  # D50
    to_srgb = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
                        [0.0719453, -0.2289914, 1.4052427]])  # fmt: skip
    linear = to_srgb @ xyz
    rgb = np.where(linear > 0.0031308, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055, 12.92 * linear)
    np.testing.assert_allclose(np.asarray(eight_bits(image))[0, 0], 255 * rgb, atol=3)


def test_other_modes_by_their_formulas():
    y, blue, red = (COLOURS[..., i].astype(float) for i in range(3))
    rgb = np.stack([y + 1.402 * (red - 128), y - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
                    y + 1.772 * (blue - 128)], -1)  # fmt: skip
    triple = Image.frombytes("YCbCr", (7, 5), COLOURS[..., :3].tobytes())
    np.testing.assert_allclose(np.asarray(eight_bits(triple)), np.clip(rgb, 0, 255), atol=1)
    padded = Image.frombytes("RGBX", (7, 5), COLOURS.tobytes())
    np.testing.assert_array_equal(np.asarray(eight_bits(padded)), COLOURS[..., :3])
    opaque = COLOURS.copy()
    opaque[..., 3] = 255
    multiplied = Image.frombytes("RGBA", (7, 5), opaque.tobytes()).convert("RGBa")
    np.testing.assert_array_equal(np.asarray(eight_bits(multiplied)), opaque)
    np.testing.assert_array_equal(np.asarray(eight_bits(Image.new("HSV", (1, 1), (0, 255, 200)))), [[[200, 0, 0]]])


@pytest.mark.parametrize("name", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr",
                                  "LAB", "HSV"])  # fmt: skip
def test_every_mode_becomes_grey_and_coloured(name):
    image = eight_bits(Image.new(name, (3, 2)))
    for channels, order in ORDERS.items():
        assert pixels_of(image, Pixels(order=order), 2, 3).shape == (2, 3, channels)


def test_the_first_picture_upright(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    for ending in ("gif", "tif", "webp", "png"):
        path = saved(tmp_path / f"x.{ending}", frames[0], save_all=True, append_images=frames[1:],
                     **({"lossless": True} if ending == "webp" else {}))  # fmt: skip
        np.testing.assert_allclose(pixels(path), 10, atol=1)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = saved(tmp_path / "e.png", Image.fromarray(WORDS), exif=exif)
    np.testing.assert_array_equal(pixels(path), np.rint(np.rot90(WORDS, -1) / 257))


def test_an_image_of_one_pixel(tmp_path):
    path = saved(tmp_path / "x.png", Image.new("L", (1, 1), 51))
    found = load_picture(path, Port("image", ("N", 1, 8, 8), "float32"), Preparation())
    np.testing.assert_allclose(found, np.full((1, 8, 8), 51 / 255), rtol=1e-6)


def test_a_program_is_no_image(tmp_path):
    (tmp_path / "x.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(NetdslError, match="not an image of a known format"):
        read_image(tmp_path / "x.eps")


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused(size):
    with pytest.raises(NetdslError, match="E0906"):
        pixels_of(Image.new("L", size), Pixels(order="grey"), 3, 3)
