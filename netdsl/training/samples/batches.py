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
    """Samples in memory.

    Attributes:
        inputs: N x shape, on one device.
        targets: N class numbers (or N x positions), or N x classes truth values, on the same device.
        dtype: where the inputs are bytes of images, what a net takes: they become values from 0 to 1 of this type when
            they are cut out. None leaves them as they are.
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
        """All samples once, in batches."""
        return Batches(self, size, order, rank=rank, world=world)


class Batches:
    """All samples once, in batches; whole batches are cut out of memory at a time, not sample by sample.

    Args:
        samples: what to cut.
        size: samples of a batch in each process; the last batch may have fewer.
        order: sample numbers to take, in this order; None takes all in the order they lie in.
        rank: which of `world` processes this is; the processes share each group of `world` batches.
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
    """The places in the order of an epoch that make up each batch of a process; see `Batches`."""
    step = size * world
    for start in range(0, count, step):
        most = min(start + step, count)
        share = -(-(most - start) // world)  # of the last group, every process takes the same part
        first = min(start + rank * share, most - share)
        yield slice(first, first + share)


def counted(count: int, size: int, rank: int, world: int) -> Iterator[tuple[int, float]]:
    """How many samples at the end of each batch of a process no other process counts, and what their mean weighs.

    The mean over all processes of the weighted means is that over all samples of the group, each of them once.
    """
    step = size * world
    for start in range(0, count, step):
        group = min(step, count - start)
        share = -(-group // world)
        own = min((rank + 1) * share, group) - min(rank * share, group)
        yield own, own * world / group


def smallest(count: int, size: int, world: int) -> int:
    """The samples of the smallest batch of a process."""
    return -(-(count % (size * world) or size * world) // world)


def as_input(values: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """Bytes of images as values from 0 to 1 of a type; None leaves them as they are."""
    return values if dtype is None else values.to(dtype) * (1 / 255)


def shuffled(count: int, seed: int, epoch: int) -> torch.Tensor:
    """A random order of `count` samples."""
    generator = torch.Generator().manual_seed(stream(seed, epoch))
    return torch.randperm(count, generator=generator)


def stream(seed: int, epoch: int) -> int:
    """The seed of an epoch, so that a run resumed there draws what it would have drawn."""
    return (seed * 1_000_003 + epoch) % 2**63
