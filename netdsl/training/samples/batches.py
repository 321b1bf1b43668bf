"""Batches of samples in memory, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Samples:
    """Samples in memory.

    Attributes:
        inputs: N x shape, on one device.
        targets: N class numbers (or N x positions), or N x classes truth values, on the same device.
        dtype: for bytes of images, the type of the net's input: batches are converted to values from 0 to 1 of this
            type. None leaves the inputs as they are.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    dtype: torch.dtype | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample's input."""
        return tuple(self.inputs.shape[1:])

    def batches(self, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1) -> Batches:
        """Return all samples once, in batches."""
        return Batches(self, size, order, rank=rank, world=world)


class Batches:
    """All samples once, in batches; a batch is taken from memory at once, not sample by sample.

    Args:
        samples: the samples.
        size: the batch size in each process; the last batch may be smaller.
        order: the numbers of samples to take, in this order; None takes all in their own order.
        rank: the rank of this process; the processes share each group of `world` batches.
        world: the number of processes.
    """

    def __init__(
        self, samples: Samples, size: int, order: torch.Tensor | None = None, *, rank: int = 0, world: int = 1
    ) -> None:
        self.samples, self.size, self.order, self.rank, self.world = samples, size, order, rank, world

    def __len__(self) -> int:
        return ceil(self._count / (self.size * self.world))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, targets = self.samples.inputs, self.samples.targets
        for share in shares(self._count, self.size, self.rank, self.world):
            chosen = share if self.order is None else self.order[share]
            yield as_input(inputs[chosen], self.samples.dtype), targets[chosen]

    @property
    def _count(self) -> int:
        return len(self.samples if self.order is None else self.order)


def shares(count: int, size: int, rank: int, world: int) -> Iterator[slice]:
    """Yield the positions, in the order of an epoch, of each batch of a process; see `Batches`."""
    step = size * world
    for start in range(0, count, step):
        most = min(start + step, count)
        share = -(-(most - start) // world)  # in the last group, every process takes the same number
        first = min(start + rank * share, most - share)
        yield slice(first, first + share)


def counted(count: int, size: int, rank: int, world: int) -> Iterator[tuple[int, float]]:
    """Yield, for each batch of a process, the number of samples at its end that only it counts, and their weight.

    The mean of the weighted means over all processes equals the mean over all samples of the group, each counted once.
    """
    step = size * world
    for start in range(0, count, step):
        group = min(step, count - start)
        share = -(-group // world)
        own = min((rank + 1) * share, group) - min(rank * share, group)
        yield own, own * world / group


def smallest(count: int, size: int, world: int) -> int:
    """Return the size of the smallest batch of a process."""
    return -(-(count % (size * world) or size * world) // world)


def as_input(values: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """Convert bytes of images to values from 0 to 1 of a type; None leaves them as they are."""
    return values if dtype is None else values.to(dtype) * (1 / 255)


def shuffled(count: int, seed: int, epoch: int) -> torch.Tensor:
    """Return a random order of `count` samples."""
    generator = torch.Generator().manual_seed(stream(seed, epoch))
    return torch.randperm(count, generator=generator)


def stream(seed: int, epoch: int) -> int:
    """Return the seed of an epoch, so that a resumed run draws the same random numbers."""
    return (seed * 1_000_003 + epoch) % 2**63
