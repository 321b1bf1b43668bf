"""The diagnostics of a run that differs: the first layer at which it does, with its place in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netdsl.base.diagnostics import Diagnostic
from netdsl.verification.parting import first_parting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.ir.graph import Graph
    from netdsl.verification.cases import Case
    from netdsl.verification.parting import BackendRun, Parting
    from netdsl.verification.torch_run import TorchRun
    from netdsl.weights.initial import Array


def parted(
    graph: Graph, name: str, run: BackendRun, truth: TorchRun, case: Case, *, tolerance: float, rounding: float
) -> Diagnostic:
    """Return a diagnostic at the first layer at which a run differs from float64.

    Args:
        graph: the net before optimization.
        name: the name of the run.
        run: the run.
        truth: the run in float64.
        case: the inputs.
        tolerance: the allowed relative difference.
        rounding: the relative difference that rounding may cause in such a run.
    """
    place = first_parting(graph, run, truth, case.feeds, tolerance)
    if place is None:
        return Diagnostic(
            "E0915",
            f"`{name}` differs from PyTorch in float64, but no single layer does",
            notes=(_setting(case), "each layer is compared alone, without optimizations over several layers"),
            help="the fault is in the backend's own optimizer, or in its rounding: `--rtol` allows more",
        )
    apart = place.difference
    return Diagnostic(
        "E0915",
        f"`{name}` differs from PyTorch in float64 at `{place.node.name}`",
        place.node.span,
        label=apart.problem or f"differs by {apart.absolute:.2g}, {apart.relative:.2g} of the largest value",
        notes=(
            *_values(name, place),
            f"its inputs differ by {place.before:.1g} of their largest value; {tolerance:.0e} is allowed",
            f"from the same inputs, its result differs from that of float64 by {place.own:.1g}",
            *([f"the optimizer removed {', '.join(f'`{path}`' for path in place.removed)}"] * bool(place.removed)),
            _setting(case),
        ),
        help="report this: the result of the layer is wrong"
        if place.own > rounding
        else "rounding errors accumulate and grow; `--rtol` allows more",
        stack=place.node.scope.stack(),
    )


def not_finite(graph: Graph, truth: TorchRun, case: Case, outputs: Mapping[str, Array]) -> Diagnostic | None:
    """Return a diagnostic at the first layer with NaN or infinite results if the float64 outputs have any."""
    finite = all(np.isfinite(array).all() for array in outputs.values())
    place = None if finite else first_parting(graph, truth, truth, case.feeds, tolerance=0)
    if place is None:
        return None
    return Diagnostic(
        "E0915",
        f"`{place.node.name}` gives NaN or infinite values, in float64 as well",
        place.node.span,
        notes=(f"float64  {place.here}", _setting(case)),
        help="check the weights and the inputs; with these the net cannot be verified",
        stack=place.node.scope.stack(),
    )


def _values(run: str, place: Parting) -> tuple[str, str]:
    width = max(len(run), len("float64"))
    return f"{run:<{width}}  {place.here}", f"{'float64':<{width}}  {place.expected}"


def _setting(case: Case) -> str:
    return f"with a batch of {case.batch}" + (f" and {case.text}" if case.text else "")
