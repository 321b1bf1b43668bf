"""What is told of a run that differs: the first layer at which it does, and where that stands in the file."""

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
    """The first layer at which a run parts from float64.

    Args:
        graph: the net as it was written.
        name: what the run is called.
        run: the run.
        truth: the run in float64.
        case: the inputs.
        tolerance: the relative difference that is allowed.
        rounding: the relative difference that rounding may make in such a run.
    """
    place = first_parting(graph, run, truth, case.feeds, tolerance)
    if place is None:
        return Diagnostic(
            "E0915",
            f"`{name}` parts from PyTorch in float64, and no single layer does",
            notes=(_setting(case), "layers are looked at one by one, without what a backend does to several at once"),
            help="this is a fault of the backend's own optimizer, or its rounding: `--rtol` allows more",
        )
    apart = place.difference
    return Diagnostic(
        "E0915",
        f"`{name}` parts from PyTorch in float64 at `{place.node.name}`",
        place.node.span,
        label=apart.problem or f"differs by {apart.absolute:.2g}, {apart.relative:.2g} of the largest value",
        notes=(
            *_values(name, place),
            f"what it reads differs by {place.before:.1g} of the largest value; {tolerance:.0e} is allowed",
            f"of what it reads, float64 makes values that differ from its own by {place.own:.1g}",
            *([f"the optimizer took away {', '.join(f'`{path}`' for path in place.removed)}"] * bool(place.removed)),
            _setting(case),
        ),
        help="report this: the layer is computed wrongly"
        if place.own > rounding
        else "this is rounding that adds up and grows; `--rtol` allows more",
        stack=place.node.scope.stack(),
    )


def not_finite(graph: Graph, truth: TorchRun, case: Case, outputs: Mapping[str, Array]) -> Diagnostic | None:
    """The first layer that gives NaN or infinite values, if the outputs in float64 hold such; else None."""
    finite = all(np.isfinite(array).all() for array in outputs.values())
    place = None if finite else first_parting(graph, truth, truth, case.feeds, tolerance=0)
    if place is None:
        return None
    return Diagnostic(
        "E0915",
        f"`{place.node.name}` gives NaN or infinite values, in float64 as well",
        place.node.span,
        notes=(f"float64  {place.here}", _setting(case)),
        help="look at the weights and the inputs; with these the net cannot be verified",
        stack=place.node.scope.stack(),
    )


def _values(run: str, place: Parting) -> tuple[str, str]:
    width = max(len(run), len("float64"))
    return f"{run:<{width}}  {place.here}", f"{'float64':<{width}}  {place.due}"


def _setting(case: Case) -> str:
    return f"with a batch of {case.batch}" + (f" and {case.text}" if case.text else "")
