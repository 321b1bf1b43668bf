"""The speed of training and of a hand-written loop: `python tools/throughput.py` prints images per second of both.

LeNet-5 is trained on 28x28 images in memory, by SGD with momentum. Both sides run in turn, each in its own process. An
epoch of netdsl includes all that `netdsl train` does: it converts bytes to numbers and standardizes them, computes loss
and accuracy, validates a few images, and writes two checkpoints and the table of metrics. The hand-written loop only
shuffles tensors that are standardized already, and makes training steps.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

from processes import ENVIRONMENT, ROOT

from netdsl.base.table import Table

SIDES = ("netdsl", "PyTorch")
JUDGED = 100
"""The number of validation images of netdsl."""


def ours(samples: int, batch: int) -> float:
    """Return the seconds of the second epoch of a run of netdsl."""
    import torch

    from netdsl.compiler import check
    from netdsl.recipe.settings import Settings
    from netdsl.recipe.words import Sgd
    from netdsl.training.run import prepared, train
    from netdsl.training.samples.batches import Samples
    from netdsl.training.samples.opening import Data

    images = torch.randint(0, 256, (samples, 1, 28, 28), dtype=torch.uint8)
    given = Samples(images, torch.randint(0, 10, (samples,)), torch.float32)
    few = replace(given, inputs=given.inputs[:JUDGED], targets=given.targets[:JUDGED])
    data = Data("random", given, few, None, (), (0.5,), (0.29,), ())
    settings = Settings(optimizer=Sgd(lr=0.01, momentum=0.9), batch=batch, epochs=2)
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        graph = prepared(check("lenet5").graph, data)
        train(graph, settings, data, Path(folder, "run"), report=lambda _: ends.append(perf_counter()))
    first, second = ends
    return second - first


def by_hand(samples: int, batch: int) -> float:
    """Return the seconds of the second epoch of a hand-written loop."""
    import torch
    from peers import PEERS

    images, classes = torch.rand(samples, 1, 28, 28), torch.randint(0, 10, (samples,))
    images = (images - 0.5) / 0.29
    net = PEERS["lenet5"]()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    start = 0.0
    for _ in range(2):
        start = perf_counter()
        order = torch.randperm(samples)
        for first in range(0, samples, batch):
            chosen = order[first : first + batch]
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(images[chosen]), classes[chosen])
            torch.autograd.backward(loss)
            optimizer.step()
    return perf_counter() - start


def compare(samples: int, batch: int, repeat: int) -> list[tuple[float, float]]:
    """Return the seconds of both sides in each of `repeat` rounds."""
    words = [sys.executable, __file__, "--samples", str(samples), "--batch", str(batch), "--side"]

    def measured(side: str) -> float:
        printed = subprocess.check_output([*words, side], cwd=ROOT, env=ENVIRONMENT, text=True)
        return float(printed.splitlines()[-1])

    return [(measured(SIDES[0]), measured(SIDES[1])) for _ in range(repeat)]


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60_000, help="the number of images per epoch (60000)")
    parser.add_argument("--batch", type=int, default=100, help="the number of images per step (100)")
    parser.add_argument("--repeat", type=int, default=5, help="the number of rounds (5)")
    parser.add_argument("--side", choices=SIDES, help="measure one side in this process, and print its seconds")
    given = parser.parse_args(words)
    if given.side is not None:
        print((ours if given.side == SIDES[0] else by_hand)(given.samples, given.batch))
        return
    rounds = compare(given.samples, given.batch, given.repeat)
    rows = [
        [side, f"{median(seconds):.2f}", f"{given.samples / median(seconds):,.0f}"]
        for side, seconds in zip(SIDES, zip(*rounds, strict=True), strict=True)
    ]
    print(Table(["", ">seconds per epoch", ">images per second"], rows).text())
    ratios = sorted(theirs / own for own, theirs in rounds)
    print(f"\nratio of netdsl's throughput to PyTorch's, by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
