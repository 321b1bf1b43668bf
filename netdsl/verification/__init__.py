"""Do all backends compute the same function? PyTorch in float64 is what the others are held to."""

from netdsl.verification.result import Agreement, Comparison
from netdsl.verification.verifying import verify

__all__ = ["Agreement", "Comparison", "verify"]
