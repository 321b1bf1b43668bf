"""The augmentations of recipes as kornia modules, drawn again for every image of a training batch.

All random numbers come from PyTorch's global generator, so that a resumed run draws the same ones as if uninterrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kornia import augmentation
from torch import nn

from netdsl.base.diagnostics import fail
from netdsl.recipe import words as recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netdsl.base.diagnostics import NetdslError
    from netdsl.ir.dim import Dim
    from netdsl.ir.types import TensorType

    Size = tuple[int, int]

MARGIN = 8 / 7
"""A crop without `pad` is taken from an image this much larger: 224 from 256 (Krizhevsky et al. 2012), 299 from 342."""
VALUES_ONLY = (recipe.Colour, recipe.Contrast)
"""Augmentations that change pixel values and move nothing."""


def make_augment(words: Sequence[Any], image: TensorType) -> nn.Module | None:
    """Return the module for a recipe's `augment`; None if it has no words.

    The module maps a batch of images, N x channels x height x width, with values from 0 to 1, on their device.
    Consecutive rotations, shifts, scalings and shears are combined, so that the image is interpolated only once; areas
    from outside of the image become 0. The module has no parameters and no state.

    Args:
        words: words of `recipe.WORDS["augment"]`.
        image: the net's input.

    Raises:
        NetdslError: a word does not suit the input, or has an impossible argument (E1009).
    """
    if not words:
        return None
    if image.rank != 3 or not image.dtype.is_float:
        raise _impossible(f"`augment` changes images, and the input is {image}", "leave `augment` out of the recipe")
    modules: list[nn.Module] = []
    affine: dict[str, Any] = {}

    def close() -> None:
        if affine:
            modules.append(augmentation.RandomAffine(**{"degrees": 0.0, **affine}, p=1.0))
            affine.clear()

    for word in words:
        _need_sense(word, image)
        moved = _affine(word)
        if moved is None or set(moved) & set(affine):
            close()
        if moved is None:
            modules.append(_MODULES[type(word)](word))
        else:
            affine.update(moved)
    close()
    return nn.Sequential(*modules)


def _affine(word: Any) -> dict[str, Any] | None:
    """Return a word as an argument of kornia's RandomAffine; None if it is not an affine map."""
    match word:
        case recipe.Rotate():
            return {"degrees": float(word.degrees)}
        case recipe.Shift():
            return {"translate": (float(word.fraction), float(word.fraction))}
        case recipe.Rescale():
            return {"scale": (1.0 - word.by, 1.0 + word.by)}
        case recipe.Stretch():
            return {"scale": (1.0 - word.by, 1.0 + word.by, 1.0, 1.0)}
        case recipe.Shear():
            return {"shear": float(word.degrees)}
    return None


_MODULES: dict[type, Callable[[Any], Any]] = {
    recipe.Flip: lambda word: augmentation.RandomHorizontalFlip(float(word.p)),
    recipe.RandomCrop: lambda word: augmentation.RandomCrop(_pair(word.size), padding=word.pad or None),
    recipe.Colour: lambda word: augmentation.ColorJitter(saturation=float(word.by), hue=float(word.by)),
    recipe.Contrast: lambda word: augmentation.ColorJitter(brightness=float(word.by), contrast=float(word.by)),
}


def _need_sense(word: Any, image: TensorType) -> None:
    """Refuse impossible arguments, and changes of colour on images without colour."""
    match word:
        case recipe.Rotate() if word.degrees > 360:
            raise _impossible(
                f"expected at most 360 degrees, got `rotate {word.degrees}`", "`rotate 180` allows any rotation"
            )
        case recipe.Shear() if word.degrees >= 90:
            raise _impossible(f"expected less than 90 degrees, got `shear {word.degrees}`", "`shear 10` is usual")
        case recipe.Rescale() | recipe.Stretch() if word.by >= 1:
            kind = recipe.WORD_OF[type(word)]
            raise _impossible(
                f"expected less than 1, got `{kind} {word.by}`, which would leave no image", f"`{kind} 0.2`"
            )
        case recipe.Colour() if word.by > 0.5:
            raise _impossible(
                f"expected at most 0.5, half a circle of hues, got `colour {word.by}`", "`colour 0.1` is usual"
            )
        case recipe.Colour() if image.shape[0] != 3:
            raise _impossible(f"`colour` changes hue and saturation of 3 channels, and the input is {image}",
                              "`contrast` changes brightness and contrast of any image")  # fmt: skip


def crop_sizes(words: Sequence[Any], size: tuple[Dim, Dim]) -> tuple[Size, Size] | None:
    """Return height and width of training images before and after the crops among `words`; None if there are none.

    A crop with `pad` has the size of the whole image, and one without is taken from an image `MARGIN` times as large.
    After the last crop, images must have the input's `size`; an open size is set by that crop.

    Raises:
        NetdslError: the last crop has another size, or a crop is larger than its image (E1009).
    """
    crops = [word for word in words if isinstance(word, recipe.RandomCrop)]
    if not crops:
        return None
    first, end = _pair(crops[0].size), _pair(crops[-1].size)
    if any(isinstance(fixed, int) and fixed != given for fixed, given in zip(size, end, strict=True)):
        wanted = " x ".join(map(str, size))
        raise _impossible(f"expected a last crop of the input's size, {wanted}, got {end[0]} x {end[1]}",
                          f"`crop {size[0]}`" if size[0] == size[1] else f"`crop [{size[0]}, {size[1]}]`")  # fmt: skip
    start = first if crops[0].pad else (round(first[0] * MARGIN), round(first[1] * MARGIN))
    there = start
    for crop in crops:
        cut = _pair(crop.size)
        if any(side > whole + 2 * crop.pad for side, whole in zip(cut, there, strict=True)):
            raise _impossible(f"a crop of {cut[0]} x {cut[1]} does not fit into {there[0]} x {there[1]}",
                              "put the crops in order, the largest first")  # fmt: skip
        there = cut
    return start, end


def _pair(size: int | tuple[int, ...]) -> Size:
    if isinstance(size, int):
        return size, size
    if len(size) != 2:
        raise _impossible(f"expected a height and a width for `crop`, got {len(size)} sizes", "`crop 224`")
    return size[0], size[1]


def _impossible(problem: str, remedy: str) -> NetdslError:
    return fail("E1009", problem, help=f"{remedy}; `--set train.augment=...` overrides the recipe")
