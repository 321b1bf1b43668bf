"""Augmentations do what their words say: maps are measured on images of coordinates, hues with the standard library."""

import colorsys
import math

import pytest
import torch
from torch.nn import functional

from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check
from netdsl.ir.dim import symbol
from netdsl.ir.types import DType, TensorType
from netdsl.recipe import words as recipe
from netdsl.recipe.settings import Settings
from netdsl.training.augment import crop_sizes, make_augment

SIDE, COUNT = 65, 40
COLOUR, GREY = TensorType((3, SIDE, SIDE)), TensorType((1, SIDE, SIDE))


def applied(words, images, seed=0):
    torch.manual_seed(seed)
    module = make_augment(words, TensorType(tuple(images.shape[1:])))
    return module(images)


def maps(*words):
    """For each of `COUNT` images the matrix and the shift that lead from a place in the result to that in the image.

    Places are measured from the centre, in pixels. The image holds its own coordinates, which interpolation of straight
    lines keeps exact, and ones, which tell what came in from outside.
    """
    line = torch.arange(SIDE) / SIDE
    y, x = torch.meshgrid(line, line, indexing="ij")
    images = torch.stack([x, y, torch.ones_like(x)]).repeat(COUNT, 1, 1, 1)
    result = applied(words, images)
    place = torch.stack([x, y]).reshape(2, -1).T * SIDE - SIDE // 2
    for image in result:
        inside = image[2].flatten() > 1 - 1e-6
        assert inside.sum() > SIDE
        source = image[:2].reshape(2, -1).T[inside] * SIDE - SIDE // 2
        known = torch.cat([place[inside], torch.ones(int(inside.sum()), 1)], 1).double()
        found = torch.linalg.lstsq(known, source.double()).solution.T
        torch.testing.assert_close(known @ found.T, source.double(), atol=0.02, rtol=0)
        yield found[:, :2], found[:, 2]


def spread(values, least, most):
    """Values lie between two bounds, and reach through most of what is between them."""
    assert least - 1e-3 <= min(values)
    assert max(values) <= most + 1e-3
    assert max(values) - min(values) > 0.7 * (most - least)


def test_rotate_turns_around_the_centre():
    angles = []
    for matrix, shift in maps(recipe.Rotate(20)):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(2).double(), atol=1e-3, rtol=0)
        assert shift.abs().max() < 0.02
        angles.append(math.degrees(math.atan2(matrix[0, 1], matrix[0, 0])))
    spread(angles, -20, 20)


def test_shift_moves_along_both_sides():
    shifts = []
    for matrix, shift in maps(recipe.Shift(0.2)):
        torch.testing.assert_close(matrix, torch.eye(2).double(), atol=1e-3, rtol=0)
        shifts.append(shift / SIDE)
    for axis in (0, 1):
        spread([float(shift[axis]) for shift in shifts], -0.2, 0.2)


def test_rescale_zooms_both_sides_alike():
    factors = []
    for matrix, shift in maps(recipe.Rescale(0.3)):
        torch.testing.assert_close(matrix, torch.eye(2).double() * matrix[0, 0], atol=1e-3, rtol=0)
        assert shift.abs().max() < 0.02
        factors.append(1 / float(matrix[0, 0]))
    spread(factors, 0.7, 1.3)


def test_stretch_changes_the_width_alone():
    ratios = []
    for matrix, shift in maps(recipe.Stretch(0.25)):
        torch.testing.assert_close(matrix, torch.diag(torch.stack([matrix[0, 0], torch.ones(()).double()])), atol=1e-3,
                                   rtol=0)  # fmt: skip
        assert shift.abs().max() < 0.02
        ratios.append(1 / float(matrix[0, 0]))
    spread(ratios, 0.75, 1.25)


def test_shear_moves_rows_against_each_other():
    angles = []
    for matrix, shift in maps(recipe.Shear(15)):
        expected = torch.eye(2).double()
        expected[0, 1] = matrix[0, 1]
        torch.testing.assert_close(matrix, expected, atol=1e-3, rtol=0)
        assert shift.abs().max() < 0.02
        angles.append(math.degrees(math.atan(matrix[0, 1])))
    spread(angles, -15, 15)


def test_maps_in_a_row_are_one_and_interpolate_once():
    words = (recipe.Rotate(10), recipe.Shift(0.1), recipe.Rescale(0.1), recipe.Shear(5))
    assert len(make_augment(words, COLOUR)) == 1
    assert len(make_augment((*words, recipe.Stretch(0.1), recipe.Flip(), recipe.Rotate(5)), COLOUR)) == 4
    for matrix, shift in maps(*words):
        assert 0.9**-2 + 0.05 > torch.det(matrix) > 1.1**-2 - 0.05
        assert shift.abs().max() < 0.2 * SIDE


def test_flip_mirrors_with_its_probability():
    images = torch.rand(400, 1, 3, 5)
    mirrored = images.flip(3)
    assert torch.equal(applied([recipe.Flip(1.0)], images), mirrored)
    result = applied([recipe.Flip(0.3)], images)
    changed = [torch.equal(a, b) for a, b in zip(result, mirrored, strict=True)]
    assert all(c or torch.equal(a, b) for c, a, b in zip(changed, result, images, strict=True))
    assert 80 < sum(changed) < 160


@pytest.mark.parametrize(("size", "pad"), [(4, 0), (6, 2), ((3, 5), 1)])
def test_crop_cuts_out_of_the_padded_image_everywhere(size, pad):
    images = torch.rand(300, 2, 6, 6)
    height, width = (size, size) if isinstance(size, int) else size
    around = functional.pad(images, [pad] * 4)
    seen = set()
    for whole, cut in zip(around, applied([recipe.RandomCrop(size, pad)], images), strict=True):
        windows = whole.unfold(1, height, 1).unfold(2, width, 1)
        found = (windows == cut[:, None, None]).all(-1).all(-1).all(0).nonzero()
        assert len(found) == 1
        seen.add(tuple(found[0].tolist()))
    assert len(seen) == windows.shape[1] * windows.shape[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_is_a_line_of_bounded_slope(channels):
    images = torch.rand(COUNT, channels, 8, 8) * 0.2 + 0.4
    slopes = []
    for x, y in zip(images.flatten(1), applied([recipe.Contrast(0.2)], images).flatten(1), strict=True):
        known = torch.stack([x, torch.ones_like(x)], 1)
        line = torch.linalg.lstsq(known, y[:, None]).solution
        torch.testing.assert_close(known @ line, y[:, None], atol=1e-4, rtol=0)
        slopes.append(float(line[0]))
    spread(slopes, 0.8**2, 1.2**2)


def test_colour_turns_the_hue_and_leaves_grey_alone():
    grey = torch.rand(COUNT, 1, 4, 4).expand(-1, 3, -1, -1)
    torch.testing.assert_close(applied([recipe.Colour(0.2)], grey), grey, atol=1e-3, rtol=0)
    rgb = torch.tensor([0.6, 0.45, 0.3])
    result = applied([recipe.Colour(0.1)], rgb[:, None, None].repeat(COUNT, 1, 2, 2))
    before = colorsys.rgb_to_hsv(*rgb.tolist())
    after = [colorsys.rgb_to_hsv(*pixel.tolist()) for pixel in result[:, :, 0, 0]]
    spread([(hue - before[0] + 0.5) % 1 - 0.5 for hue, _, _ in after], -0.1, 0.1)
    assert all(0.85 < saturation / before[1] < 1.15 for _, saturation, _ in after)


CASES = {
    recipe.Flip: (recipe.Flip(0.0), recipe.Flip()),
    recipe.RandomCrop: (recipe.RandomCrop(SIDE), recipe.RandomCrop(SIDE, pad=3)),
    recipe.Rotate: (recipe.Rotate(0), recipe.Rotate(10)),
    recipe.Shift: (recipe.Shift(0), recipe.Shift(0.1)),
    recipe.Rescale: (recipe.Rescale(0), recipe.Rescale(0.1)),
    recipe.Shear: (recipe.Shear(0), recipe.Shear(10)),
    recipe.Stretch: (recipe.Stretch(0), recipe.Stretch(0.1)),
    recipe.Colour: (recipe.Colour(0), recipe.Colour()),
    recipe.Contrast: (recipe.Contrast(0), recipe.Contrast()),
}


def test_every_augmentation_has_a_case():
    assert set(CASES) == set(recipe.WORDS["augment"].values())


@pytest.mark.parametrize("word", CASES.values(), ids=lambda words: type(words[0]).__name__)
def test_augmentations_are_nothing_at_0_and_draw_for_each_image_from_the_global_generator(word):
    nothing, something = word
    image = torch.rand(1, 3, SIDE, SIDE)
    images = image.repeat(12, 1, 1, 1)
    torch.testing.assert_close(applied([nothing], images), images, atol=1e-3, rtol=0)
    first = applied([something], images)
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-6
    assert not torch.equal(first, images)
    assert len({sample.numpy().tobytes() for sample in first}) > 1
    assert torch.equal(first, applied([something], images))
    assert not torch.equal(first, applied([something], images, seed=1))


def test_modules_hold_nothing_that_a_checkpoint_would_keep():
    module = make_augment([words[1] for words in CASES.values()], COLOUR)
    assert (list(module.parameters()), module.state_dict()) == ([], {})
    assert make_augment([], TensorType((4,))) is None


IMPOSSIBLE = {
    "a vector": ([recipe.Flip()], TensorType((4,)), "changes images"),
    "bytes": ([recipe.Flip()], TensorType((3, 8, 8), DType.UINT8), "changes images"),
    "grey": ([recipe.Colour()], GREY, "3 channels"),
    "too much hue": ([recipe.Colour(0.6)], COLOUR, "0.5"),
    "too much of a turn": ([recipe.Rotate(400)], COLOUR, "360"),
    "a flat image": ([recipe.Shear(90)], COLOUR, "90"),
    "no size": ([recipe.Rescale(1.0)], COLOUR, "`rescale 1.0`"),
    "no width": ([recipe.Stretch(1.0)], COLOUR, "`stretch 1.0`"),
    "a crop of 3 sizes": ([recipe.RandomCrop((1, 2, 3))], COLOUR, "height and a width"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_is_refused(case):
    words, image, text = IMPOSSIBLE[case]
    with pytest.raises(NetdslError) as error:
        make_augment(words, image)
    (found,) = error.value.diagnostics
    assert (found.code, text in found.message, bool(found.help)) == ("E1009", True, True)


SIZES = [
    ([recipe.Flip()], (224, 224), None),
    ([recipe.RandomCrop(224)], (224, 224), ((256, 256), (224, 224))),
    ([recipe.RandomCrop(299)], (299, 299), ((342, 342), (299, 299))),
    ([recipe.RandomCrop(112)], (symbol("H"), symbol("W")), ((128, 128), (112, 112))),
    ([recipe.RandomCrop(32, pad=4)], (32, 32), ((32, 32), (32, 32))),
    ([recipe.RandomCrop((28, 56))], (28, 56), ((32, 64), (28, 56))),
    ([recipe.RandomCrop(40, pad=2), recipe.RandomCrop(36)], (36, 36), ((40, 40), (36, 36))),
]


@pytest.mark.parametrize(("words", "size", "expected"), SIZES)
def test_images_have_the_size_that_the_crops_need(words, size, expected):
    assert crop_sizes(words, size) == expected


@pytest.mark.parametrize(("words", "size"), [([recipe.RandomCrop(24)], (28, 28)),
                                             ([recipe.RandomCrop(8), recipe.RandomCrop(28)], (28, 28)),
                                             ([recipe.RandomCrop((24, 28))], (28, symbol("W")))])  # fmt: skip
def test_crops_that_do_not_end_in_the_input_are_refused(words, size):
    with pytest.raises(NetdslError) as error:
        crop_sizes(words, size)
    assert error.value.diagnostics[0].code == "E1009"


@pytest.mark.parametrize(
    "name", ["alexnet_2012", "googlenet_2014", "inception_v3", "nin", "resnet18", "resnet20", "vit_b_16"]
)
def test_augmentations_of_shipped_nets_end_in_their_inputs(name):
    graph = check(name).graph
    image, words = graph.inputs[0].type, Settings.of(graph.recipe).augment
    start, _ = crop_sizes(words, image.shape[1:]) or (image.shape[1:], None)
    images = torch.rand(2, image.shape[0], *start)
    assert make_augment(words, image)(images).shape[1:] == image.shape
