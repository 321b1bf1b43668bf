"""The learned tensors of shipped nets have the names, shapes and order of torchvision's checkpoints."""

import csv
from pathlib import Path

import pytest

from netdsl.compiler import check

FIGURES = Path(__file__).parent / "figures"
NORM = "weight {0} bias {0} running_mean {0} running_var {0}"
NAMES = sorted(path.stem for path in (FIGURES / "state_dicts").iterdir())
LAST = {"googlenet_aux": ("aux1", "aux2", "fc")}
"""Parts that torchvision's classes declare at the end, whatever their place in the graph."""


def checkpoint(name):
    """Key and shape of every tensor of a checkpoint of torchvision 0.28, without the counters of batches.

    A line of the file has a module and its tensors; `bn C` stands for the four of a batch norm.
    """
    tensors = []
    for line in (FIGURES / "state_dicts" / f"{name}.txt").read_text().splitlines():
        module, kind, *rest = line.split()
        words = NORM.format(*rest).split() if kind == "bn" else [kind, *rest]
        for role, shape in zip(words[::2], words[1::2], strict=True):
            tensors.append((f"{module}.{role}", tuple(map(int, shape.split("x")))))
    return tensors


def test_every_net_of_torchvision_has_its_keys():
    with (FIGURES / "torchvision.csv").open() as file:
        assert sorted(row["model"] for row in csv.DictReader(file)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_keys_shapes_and_order(name):
    ours = [(param.name, param.spec.shape) for param in check(name).graph.params.values()]
    last = LAST.get(name, ())
    ours.sort(key=lambda tensor: next((i for i, part in enumerate(last) if tensor[0].startswith(f"{part}.")), -1))
    assert ours == checkpoint(name)
