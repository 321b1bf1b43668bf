"""The result of a verification: the differences of every run, and where runs differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from netdsl.base.table import Table
from netdsl.verification.difference import ROUNDING_FACTOR

if TYPE_CHECKING:
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.verification.difference import Difference


@dataclass(frozen=True)
class Comparison:
    """One output of one run, compared with PyTorch in float64.

    Attributes:
        output: the name of the output.
        run: the name of the run, such as `onnxruntime -O1`.
        batch: the batch size.
        sizes: the symbolic sizes in the form of `--size`.
        difference: the difference from float64.
        tolerance: the allowed relative difference.
        widened: whether that is more than the element type allows, because rounding alone causes large differences.
    """

    output: str
    run: str
    batch: int
    sizes: str
    difference: Difference
    tolerance: float
    widened: bool = False

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance; NaN and infinite values never are."""
        return self.difference.relative <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object; infinite differences are null."""
        absolute, relative = self.difference.absolute, self.difference.relative
        return {
            "output": self.output,
            "run": self.run,
            "batch": self.batch,
            "sizes": self.sizes,
            "absolute": absolute if isfinite(absolute) else None,
            "relative": relative if isfinite(relative) else None,
            "tolerance": self.tolerance,
            "widened": self.widened,
            "problem": self.difference.problem or None,
            "ok": self.ok,
        }


@dataclass(frozen=True)
class Agreement:
    """Whether all backends compute the same function; printed as a table.

    Attributes:
        net: the name of the net.
        device: the device of all runs but the one in float64.
        comparisons: the differences, case by case.
        findings: for each run that differs, a diagnostic at the first layer at which it does.
    """

    net: str
    device: str
    comparisons: tuple[Comparison, ...]
    findings: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether all outputs of all runs are within their tolerances."""
        return all(comparison.ok for comparison in self.comparisons)

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object with the same content."""
        return {
            "net": self.net,
            "device": self.device,
            "ok": self.ok,
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
            "diagnostics": [diagnostic.as_json() for diagnostic in self.findings],
        }

    def __str__(self) -> str:
        sized = any(comparison.sizes for comparison in self.comparisons)
        headings = ["output", ">batch", *["sizes"] * sized, "run", ">absolute", ">relative", ">allowed", ""]
        rows = [
            [c.output, str(c.batch), *[c.sizes] * sized, c.run, *_cells(c.difference), f"{c.tolerance:.0e}",
             "ok" if c.ok else "differs"]
            for c in self.comparisons
        ]  # fmt: skip
        apart = sum(not comparison.ok for comparison in self.comparisons)
        verdict = f"{apart} of {len(rows)} differ" if apart else "all agree"
        if any(c.widened for c in self.comparisons):
            verdict = (
                f"rounding grows in this net: {ROUNDING_FACTOR} times the rounding of PyTorch is allowed\n{verdict}"
            )
        return (
            f"{self.net} on {self.device}: the largest differences from PyTorch in float64,\n"
            "absolute, and relative to the output's largest value\n\n"
            f"{Table(headings, rows).text()}\n\n{verdict}"
        )


def _cells(difference: Difference) -> tuple[str, str]:
    if difference.problem:
        return difference.problem, "-"
    return f"{difference.absolute:.1e}", f"{difference.relative:.1e}"
