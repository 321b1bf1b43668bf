"""Verification: whether all backends compute the same function, compared with PyTorch in float64."""

from netdsl.verification.result import Agreement, Comparison
from netdsl.verification.verifying import verify

__all__ = ["Agreement", "Comparison", "verify"]
