"""Batches of samples that lie in memory, in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Samples:
    """Inputs N x shape and targets, N class numbers or N x classes truth values, both on one device."""

    inputs: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.inputs)


class Batches:
    """All samples once, in batches; whole batches are cut out of memory at a time, not sample by sample.

    Args:
        samples: what to cut.
        size: samples of a batch in each process; the last batch may have fewer.
        order: sample numbers in the order to take; None is the order they lie in.
        rank: which of `world` processes this is; the processes share each group of `world` batches.
        world: the number of processes.
    """

    def __init__(
        self, samples: Samples, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1
    ) -> None:
        self.samples, self.size, self.order, self.rank, self.world = samples, size, order, rank, world

    def __len__(self) -> int:
        return ceil(len(self.samples) / (self.size * self.world))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, targets = self.samples.inputs, self.samples.targets
        step = self.size * self.world
        for start in range(0, len(self.samples), step):
            most = min(start + step, len(self.samples))
            share = -(-(most - start) // self.world)  # of the last group, every process takes the same part
            first = min(start + self.rank * share, most - share)
            chosen: slice | torch.Tensor = slice(first, first + share)
            if self.order is not None:
                chosen = self.order[chosen]
            yield inputs[chosen], targets[chosen]


def shuffled(count: int, seed: int, epoch: int) -> torch.Tensor:
    """A random order of `count` samples."""
    generator = torch.Generator().manual_seed(stream(seed, epoch))
    return torch.randperm(count, generator=generator)


def stream(seed: int, epoch: int) -> int:
    """The seed of an epoch, so that a run resumed there draws what it would have drawn."""
    return (seed * 1_000_003 + epoch) % 2**63
