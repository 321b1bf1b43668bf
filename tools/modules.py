"""The time to build and train a PyTorch module: `python tools/modules.py` prints seconds, also of hand-written classes.

Both are built and trained in turn, in one process. Building draws all initial values; a training step is a forward
pass, a backward pass and an update by SGD with momentum. The output is JSON.
"""

from __future__ import annotations

import argparse
import json
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from peers import PEERS, SHAPES

import netdsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def in_turn(actions: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Return the median seconds of each action, run in turn: one round to warm up, then `repeat` timed rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeat + 1):
        for name, action in actions.items():
            start = perf_counter()
            action()
            seconds[name].append(perf_counter() - start)
    return {name: median(times[1:]) for name, times in seconds.items()}


def building(net: str, repeat: int) -> dict[str, float]:
    """Return the seconds for `to_torch` of a checked net, and for the classes of `tools/peers.py`."""
    loaded = netdsl.load(net)
    return in_turn({"netdsl": loaded.to_torch, "PyTorch": PEERS[net]}, repeat)


def training(net: str, batch: int, size: int, repeat: int) -> dict[str, float]:
    """Return the seconds for a training step on random images of `size` x `size`."""
    channels = SHAPES[net][0]
    images, classes = torch.rand(batch, channels, size, size), torch.randint(0, 10, (batch,))
    modules = {"netdsl": netdsl.load(net).to_torch(), "PyTorch": PEERS[net]()}
    return in_turn({name: _step(module, images, classes) for name, module in modules.items()}, repeat)


def _step(module: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(images), classes)
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", choices=PEERS, default="resnet152", help="the net to build (resnet152)")
    parser.add_argument("--train", choices=PEERS, default="resnet50", help="the net to train (resnet50)")
    parser.add_argument("--batch", type=int, default=4, help="the number of images of a training step (4)")
    parser.add_argument("--size", type=int, default=64, help="their height and width (64)")
    parser.add_argument("--repeat", type=int, default=20, help="the number of timed rounds (20)")
    given = parser.parse_args(words)
    built = building(given.build, given.repeat)
    trained = training(given.train, given.batch, given.size, given.repeat)
    print(json.dumps({"building": built, "training": trained}))


if __name__ == "__main__":
    main()
