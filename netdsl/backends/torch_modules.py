"""The few layers that torch.nn lacks, as modules.

Each class stands for itself: it needs torch alone, so that its text can go into a file that does without netdsl.
"""

import torch
from torch import nn


class BatchNorm(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the base that PyTorch's own have
    """Batch normalization of tensors with any number of dimensions."""

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Every number of dimensions will do."""


class ScaledTanh(nn.Module):
    """y = a * tanh(s * x)."""

    def __init__(self, a: float, s: float) -> None:
        super().__init__()
        self.a, self.s = a, s

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return self.a * torch.tanh(self.s * x)


class Maxout(nn.Module):
    """Maximum over groups of `pieces` consecutive channels."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x C x anything to N x C/pieces x the same."""
        pieces: torch.Tensor = x.reshape(x.shape[0], -1, self.pieces, *x.shape[2:])
        return pieces.amax(2)


class RadialBasis(nn.Module):
    """Squared distances from `out` fixed centres: y[i] = sum over j of (x[j] - centres[i, j])^2."""

    centres: torch.Tensor

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(out, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """... x size to ... x out."""
        return (x.unsqueeze(-2) - self.centres).square().sum(-1)


class DropPath(nn.Module):
    """In training, sets whole samples to 0 with probability `p` and divides the others by 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        if not self.training:
            return x
        if self.p == 1:
            return x * 0
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.p
        return x * kept / (1 - self.p)
