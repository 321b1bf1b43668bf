"""Small nets and data for tests of training runs, and what such a run has written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import torch
from commands import run
from safetensors.torch import load_file

NUMBERS = """net numbers(width = 16) {
    input x: 6
    dense width -> relu -> dense 4
    train { optimizer sgd lr=0.1 momentum=0.9; batch 16; epochs 3 }
}"""


def write_numbers(folder):
    """numbers.net, and points.npz: 66 samples to learn from, 33 to judge by, and 20 more for tests."""
    Path(folder, "numbers.net").write_text(NUMBERS)
    generator = np.random.default_rng(0)
    points = generator.standard_normal((119, 6)).astype(np.float32)
    classes = (points @ generator.standard_normal((6, 4))).argmax(1)
    ends = {"train": slice(66), "val": slice(66, 99), "test": slice(99, None)}
    parts = {f"{name}_{split}": values[part] for split, part in ends.items()
             for name, values in (("x", points), ("y", classes))}  # fmt: skip
    np.savez(Path(folder, "points.npz"), **parts)
    return parts


def numbers(output, *more, code=0, data="points.npz"):
    """Train numbers.net; gives what was printed on stdout and stderr."""
    return run("train", "numbers.net", "--data", data, "-o", output, *more, code=code)


def changed(parts, file, **arrays):
    """The same data with other arrays."""
    np.savez(file, **{**parts, **arrays})
    return file


def rows(output):
    with Path(output, "metrics.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def weights(output):
    return load_file(f"{output}/weights.safetensors")


def state(file):
    """The weights in a training checkpoint."""
    kept = torch.load(file, weights_only=True)["state_dict"]
    return {key.removeprefix("net."): value for key, value in kept.items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def description(output):
    return json.loads(Path(output, "run.json").read_text())


def files(output):
    """The files of a run by their names, but for pictures and for weights, whose metadata have no order."""
    return {
        path.name: path.read_bytes() for path in Path(output).iterdir() if path.suffix not in (".png", ".safetensors")
    }
