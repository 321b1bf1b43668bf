"""The mean and deviation of each channel, over samples that arrive in pieces."""

from __future__ import annotations

import torch

_NUMBERS_AT_ONCE = 2**22
"""The number of values converted to float64 at once."""
_ROUNDING = 1e-7
"""A deviation this small relative to the mean is only the rounding of float32."""


class Moments:
    """The mean and the deviation (of the population, divided by N) of each channel.

    Pieces are merged by the method of Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances" (1979), which loses no digits if the mean is large.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self._mean = torch.zeros(channels, dtype=torch.float64)
        self._squares = torch.zeros(channels, dtype=torch.float64)

    def add(self, values: torch.Tensor) -> None:
        """Add samples, N x channels x anything."""
        step = max(1, _NUMBERS_AT_ONCE * len(values) // max(1, values.numel()))
        for first in range(0, len(values), step):
            rows = values[first : first + step].transpose(0, 1).flatten(1).double()
            number, mean = rows.shape[1], rows.mean(1)
            squares = (rows - mean[:, None]).square().sum(1)
            total, apart = self.count + number, mean - self._mean
            self._squares += squares + apart.square() * (self.count * number / total)
            self._mean += apart * (number / total)
            self.count = total

    def result(self, scale: float = 1.0) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return means and deviations of `scale` times the values; the deviation of a constant channel is 1."""
        deviation = (self._squares / max(1, self.count)).sqrt()
        constant = deviation <= _ROUNDING * self._mean.abs()
        return tuple((self._mean * scale).tolist()), tuple((deviation * scale).masked_fill(constant, 1.0).tolist())
