"""A summary of a run, in words, before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from netdsl.layers.written import written
from netdsl.recipe import words as recipe
from netdsl.training.claim import LAST

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from netdsl.ir.graph import Graph
    from netdsl.recipe.settings import Settings
    from netdsl.training.machine import Machine
    from netdsl.training.samples.opening import Data

_HELD = {
    "test": "samples: the test data, which do not select an epoch",
    "validation": "samples: the validation data",
    "part": "samples of the training data",
}


def plan(
    graph: Graph, settings: Settings, data: Data, net: nn.Module, machine: Machine, folder: Path
) -> dict[str, str]:
    """Return the summary of a run, by heading: net, data, recipe, device and folder."""
    counts = {True: 0, False: 0}
    for param in net.parameters():
        counts[param.requires_grad] += param.numel()
    frozen = f"{counts[False]:,} frozen" if counts[False] else "none frozen"
    classes = "" if data.train.targets.is_floating_point() else f", {_classes(graph):,} classes"
    words = {
        "net": f"{graph.name}, {counts[True]:,} parameters to train, {frozen}",
        "data": f"{data.name}, {len(data.train):,} samples to train on{classes}",
        "held out": f"{len(data.val):,} {_HELD[data.held]}",
        "recipe": recipe_text(settings),
    }
    if graph.recipe is None or not graph.recipe.entries:
        words["recipe"] = f"the net has none, so the defaults: {words['recipe']}"
    words["device"] = _device(machine)
    words["folder"] = str(folder) + (", from its last checkpoint" if (folder / LAST).exists() else "")
    return words


def _classes(graph: Graph) -> int:
    count = next(iter(graph.outputs.values())).type.shape[0]
    assert isinstance(count, int)  # noqa: S101 - checked against the targets before
    return count


def recipe_text(settings: Settings) -> str:
    """Return settings as a recipe writes them."""
    entries = []
    for key, value in vars(settings).items():
        items = value if isinstance(value, tuple) else (value,)
        if items and value is not None:
            entries.append(f"{key} {', '.join(map(_entry_text, items))}")
    return "; ".join(entries)


def _entry_text(item: Any) -> str:
    return written(recipe.WORD_OF[type(item)], item) if type(item) in recipe.WORD_OF else f"{item:g}"


def _device(machine: Machine) -> str:
    if machine.accelerator == "cpu":
        threads = torch.get_num_threads()
        name = f"cpu with {threads} thread{'s' * (threads > 1)}"
    else:
        assert isinstance(machine.devices, list)  # noqa: S101 - `Machine.on` names the devices of CUDA
        name = ", ".join(f"cuda:{number} ({torch.cuda.get_device_name(number)})" for number in machine.devices)
    shared = f", {machine.processes} processes" if machine.processes > 1 else ""
    return f"{name}{shared}, precision {machine.precision}"
