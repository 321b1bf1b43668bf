"""Modules for the layers that torch.nn does not have.

Each class needs only torch, so that its source can be copied into a generated file. Lines have at most 88 characters,
the default of formatters; the formatter of this project, which allows 120, is not used for this file.
"""

import torch
from torch import nn


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization of tensors with any number of dimensions."""

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Accept any number of dimensions."""


class InstanceNorm(nn.InstanceNorm1d):
    """Instance normalization of tensors with any number of spatial dimensions."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize a tensor of shape N x C x spatial."""
        weight, bias = self.weight, self.bias
        return nn.functional.instance_norm(x, weight=weight, bias=bias, eps=self.eps)


class ChannelAffine(nn.Module):
    """y[c] = weight[c] * x[c] + bias[c]; `scale` and `bias` turn the two terms on."""

    def __init__(self, channels: int, *, scale: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale and shift a tensor of shape N x C x ..."""
        shape = [-1] + [1] * (x.ndim - 2)
        if self.weight is not None:
            x = x * self.weight.reshape(shape)
        if self.bias is not None:
            x = x + self.bias.reshape(shape)
        return x


class ChannelNorm(nn.LayerNorm):
    """Layer normalization of the channels at each position."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize a tensor of shape N x C x ..."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Normalize(nn.Module):
    """y[c] = (x[c] - mean[c]) / std[c], with constants per channel, or for all."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, mean: list[float], std: list[float], dtype: str = "float32"
    ) -> None:
        super().__init__()
        for name, numbers in (("mean", mean), ("std", std)):
            self.register_buffer(
                name,
                torch.tensor(numbers, dtype=getattr(torch, dtype)),
                persistent=False,
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardize a tensor of shape N x C x ..."""
        shape = [-1] + [1] * (x.ndim - 2)
        return (x - self.mean.reshape(shape)) / self.std.reshape(shape)


class Select(nn.Module):
    """Selects positions along dimension `dim`; negative ones count from the end."""

    positions: torch.Tensor

    def __init__(self, positions: list[int], dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("positions", torch.tensor(positions), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Select from a tensor of any shape."""
        return x[(slice(None),) * self.dim + (self.positions,)]


class ScaledTanh(nn.Module):
    """y = a * tanh(s * x)."""

    def __init__(self, a: float, s: float) -> None:
        super().__init__()
        self.a, self.s = a, s

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the function to a tensor of any shape."""
        return self.a * torch.tanh(self.s * x)


class Maxout(nn.Module):
    """Maximum over groups of `pieces` consecutive channels."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor of shape N x C x ... to N x C/pieces x ..."""
        pieces: torch.Tensor = x.reshape(x.shape[0], -1, self.pieces, *x.shape[2:])
        return pieces.amax(2)


class RadialBasis(nn.Module):
    """Squared distances from centres: y[i] = sum over j of (x[j] - centres[i, j])^2."""

    centres: torch.Tensor

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(out, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor of shape ... x size to ... x out."""
        return (x.unsqueeze(-2) - self.centres).square().sum(-1)


class ChannelDropout(nn.Module):
    """Dropout of whole channels of tensors with any number of spatial dimensions."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop channels of a tensor of shape N x C x spatial."""
        return torch.feature_dropout(x, self.p, self.training)


class DropPath(nn.Module):
    """In training, samples become 0 with probability `p`, and others x / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop samples of a tensor of any shape."""
        if not self.training:
            return x
        if self.p == 1:
            return x * 0
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.p
        return x * kept / (1 - self.p)


class SelfAttention(nn.Module):
    """Multi-head self-attention, with the parameters of torch.nn.MultiheadAttention."""

    def __init__(
        self, size: int, heads: int, *, causal: bool, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.in_proj_weight = nn.Parameter(
            nn.init.xavier_uniform_(torch.empty(3 * size, size))
        )
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * size)) if bias else None
        self.out_proj = nn.Linear(size, size, bias=bias)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor of shape N x T x size to the same shape."""
        batch, steps, size = x.shape
        together = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = together.reshape(
            batch, steps, 3, self.heads, size // self.heads
        ).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        heads = nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=self.causal
        )
        result: torch.Tensor = self.out_proj(
            heads.transpose(1, 2).reshape(batch, steps, size)
        )
        return result
