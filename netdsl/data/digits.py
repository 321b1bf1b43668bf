"""The digits that come with scikit-learn: 1,797 images of 8 x 8 pixels."""

from __future__ import annotations

import numpy as np

from netdsl.base.packages import need
from netdsl.data.parts import Found, Part


def read_digits() -> Found:
    """Return handwritten digits; every fifth of each class is for testing: 1,442 to train on and 355 to test.

    The 17 levels of grey become bytes, `round(level * 255 / 16)`. Source: `sklearn.datasets.load_digits`, the test
    images of Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI, 1998.

    Raises:
        NetdslError: scikit-learn is not installed (E0907).
    """
    load_digits = need("sklearn.datasets", "`digits`").load_digits
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    targets = bunch.target.astype(np.int64)
    held = np.zeros(len(targets), bool)
    for digit in range(10):
        held[np.flatnonzero(targets == digit)[4::5]] = True
    everything = Part(images, targets)
    return Found("digits", everything.take(np.flatnonzero(~held)), test=everything.take(np.flatnonzero(held)))
