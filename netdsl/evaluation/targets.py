"""The true answers of a data set, compared with the classes of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import fail
from netdsl.ir.meaning import Gives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.base.diagnostics import NetdslError
    from netdsl.data.parts import Found, Part
    from netdsl.runtime import Session
    from netdsl.runtime.feeds import Array


def need_same_classes(session: Session, found: Found) -> None:
    """Refuse a model whose classes are not those of the data (E1007); names are compared if both have them."""
    own, other = session.labels, found.labels
    if own and other and own != other:
        if len(own) != len(other):
            raise classes_differ(session, len(own), found)
        number = next(n for n, pair in enumerate(zip(own, other, strict=True)) if pair[0] != pair[1])
        raise fail(
            "E1007",
            f"class {number} is called `{own[number]}` in `{session.path}` and `{other[number]}` in `{found.name}`",
            help="give data whose classes have the same names in the same order",
        )


@dataclass(frozen=True)
class Question:
    """The targets of a data set, in the form that fits a model.

    Attributes:
        gives: the kind of the model's scores.
        targets: class numbers, samples or samples x positions; for several labels at once, booleans of the shape of
            the scores; or values (float) of that shape.
        paired: whether one yes-or-no score answers for two classes.
    """

    gives: Gives
    targets: Array
    paired: bool = False


def question(session: Session, found: Found, part: Part, scores: Array) -> Question:
    """Convert the targets of a split to the form that fits a model's scores.

    If nothing in the model describes its scores, as in a model of another program that ends in a dense layer, they are
    taken as the logits that the data need: of classes, or of yes and no.

    Args:
        session: the model.
        found: the data set.
        part: the split.
        scores: the model's scores, samples x classes, or samples x classes x positions.

    Raises:
        NetdslError: the model has other classes than the data (E1007), or a target is not a class (E1004).
    """
    known = session.known.get(session.outputs[0].name)
    targets, classes = part.targets, scores.shape[1]
    if targets.ndim > 1 and targets.shape == scores.shape:
        truth = bool(np.isin(targets, (0, 1)).all())
        if known is Gives.VALUES or (known is None and not truth):
            return Question(Gives.VALUES, targets.astype(np.float64))
        one_class = truth and known is not None and not known.yes_or_no and bool((targets.sum(1) == 1).all())
        if known is not None and one_class:
            return Question(known, targets.argmax(1))
        if not truth:
            raise fail("E1004", f"expected 0 or 1 for each of several labels, got other targets in `{found.name}`",
                       help="test the model on targets that are yes or no")  # fmt: skip
        if known is not None and not known.yes_or_no:
            raise fail("E1007", f"`{session.path}` gives {known.value} of classes, one per sample, but `{found.name}` "
                       "has samples with several labels",
                       help="train a net for several labels by `loss binary_cross_entropy`")  # fmt: skip
        return Question(known or Gives.YES_LOGITS, targets.astype(bool))
    numbers = targets[:, 0] if targets.shape[1:] == (1,) else targets  # Keras's layout
    if numbers.shape[1:] != scores.shape[2:]:
        raise fail(
            "E1007",
            f"`{session.path}` gives {_shape(scores.shape[1:])} for each sample, but a target of `{found.name}` is "
            f"{_shape(targets.shape[1:])}",
            help="targets are class numbers, one for each position of the output, or yes and no for each class",
        )
    paired = classes == 1 and (known is None or known.yes_or_no)
    if classes == 1 and (known is Gives.VALUES or (known is None and not np.isin(numbers, (0, 1)).all())):
        return Question(Gives.VALUES, numbers[:, None].astype(np.float64))
    classes = 2 if paired else classes
    if found.labels and len(found.labels) != classes:
        raise classes_differ(session, classes, found)
    if not (np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))).all():
        raise fail("E1004", f"expected classes as whole numbers from 0, got other targets in `{found.name}`",
                   help="number the classes from 0: `numpy.unique(y, return_inverse=True)`")  # fmt: skip
    if numbers.max() >= classes:
        raise fail(
            "E1007",
            f"`{session.path}` has {classes} classes, but `{found.name}` has samples of class {int(numbers.max())}",
            help="test a model that was trained for these classes",
        )
    gives = known or (Gives.YES_LOGITS if paired else Gives.LOGITS)
    return Question(Gives.SCORES if gives is Gives.VALUES else gives, numbers.astype(np.int64), paired)


def classes_differ(session: Session, classes: int, found: Found) -> NetdslError:
    """Return E1007 for two different numbers of classes."""
    return fail(
        "E1007",
        f"`{session.path}` has {classes} classes, but `{found.name}` has {len(found.labels)}",
        help="test a model that was trained for these classes: `--set classes=N` gives a net their number",
    )


def _shape(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes)) or "one number"
