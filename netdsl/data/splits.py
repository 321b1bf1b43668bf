"""Splitting off samples for validation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import MT19937, RandomState

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from netdsl.data.parts import Array, Found

DEFAULT = 0.2
"""The fraction of the training data used for validation if the data set provides no other samples."""


def with_validation(found: Found, fraction: float | None, seed: int, *, classes: bool) -> Found:
    """Return the data set with validation samples.

    Args:
        found: the data set.
        fraction: the fraction of the training data used for validation; None takes the validation data of the data
            set, or else its test data, or else `DEFAULT`.
        seed: the random seed.
        classes: whether the targets are classes; then the fraction is taken of each class.

    Raises:
        NetdslError: no sample would be left to train on, or none to validate (E1006).
    """
    if fraction is None and found.val is not None:
        return found
    if fraction is None and found.test is not None:
        return replace(found, val=found.test, test=None)
    fraction = DEFAULT if fraction is None else fraction
    held = held_out(found.train.targets, fraction, seed, classes=classes)
    if not 0 < held.sum() < len(held):
        raise fail(
            "E1006",
            f"of {len(held):,} training samples of `{found.name}`, the fraction {fraction:g} leaves none on one side",
            help="give more samples, or another fraction: `--val 0.2`",
        )
    train, val = found.train.take(np.flatnonzero(~held)), found.train.take(np.flatnonzero(held))
    return replace(found, train=train, val=val, test=found.test or found.val)


def held_out(targets: Array, fraction: float, seed: int, *, classes: bool) -> Array:
    """Draw the held-out samples at random: the fraction of each class, rounded, or of all samples together.

    Args:
        targets: N x any shape.
        fraction: the fraction of held-out samples.
        seed: the random seed.
        classes: whether a target is a class number. If a sample has several, all samples are one group.
    """
    order = RandomState(MT19937(seed % 2**63)).permutation(len(targets))  # numpy guarantees that both stay the same
    kinds = targets.reshape(len(targets), -1)
    groups = [order]
    if classes and kinds.shape[1] == 1:
        groups = [order[kinds[order, 0] == kind] for kind in np.unique(kinds)]
    held = np.zeros(len(targets), bool)
    for group in groups:
        held[group[: round(len(group) * fraction)]] = True
    return held
