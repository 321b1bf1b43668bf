"""Running a net on every backend and comparing the results."""

from __future__ import annotations

import os
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from netdsl.base.packages import need
from netdsl.ir.types import DType
from netdsl.layers.norm import BatchNorm
from netdsl.runtime import Device
from netdsl.runtime.feeds import batches as read_batches
from netdsl.runtime.preparation import Preparation
from netdsl.verification.cases import given_case, random_cases
from netdsl.verification.difference import ROUNDING_FACTOR, TOLERANCES, UNITS, coarsest, difference, least_largest
from netdsl.verification.findings import not_finite, parted
from netdsl.verification.onnx_run import OnnxRun
from netdsl.verification.result import Agreement, Comparison
from netdsl.verification.weights import TrainedLike

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.verification.cases import Case
    from netdsl.verification.parting import BackendRun
    from netdsl.verification.torch_run import TorchRun
    from netdsl.weights.initial import Array

    Weights: TypeAlias = Callable[[Param], Array]
    Arrays: TypeAlias = Mapping[str, Array]


PYTORCH = "PyTorch"
"""The run with which the others are compared."""


def verify(
    graph: Graph,
    weights: Weights | None = None,
    *,
    inputs: str | os.PathLike[str] | Arrays | None = None,
    batches: Sequence[int] = (1, 3),
    sizes: Mapping[str, Sequence[int]] | None = None,
    device: str = "cpu",
    half: bool = False,
    rtol: float | None = None,
) -> Agreement:
    """Compare PyTorch and onnxruntime with PyTorch in float64, on the same weights and inputs.

    Args:
        graph: the net; its outputs at inference are compared.
        weights: returns the array of a parameter; None draws random ones (`TrainedLike`), with statistics of batch
            norms that keep values from growing.
        inputs: arrays by name, or a `.npz` file of them; None draws random ones.
        batches: batch sizes to draw.
        sizes: values to try for each size that the net leaves open; None chooses two.
        device: the device of PyTorch and onnxruntime, without TF32; float64 always runs on the CPU.
        half: also run PyTorch in float16.
        rtol: the allowed relative difference in every run; None allows 1e-4 in float32, 1e-9 in float64, 1e-2 in
            float16 and 5e-2 in bfloat16, by the coarsest type in the net, or 10 times the difference of PyTorch itself
            from float64, if that is more: a norm over few values amplifies rounding in any backend.

    Raises:
        NetdslError: PyTorch or onnxruntime is not installed (E0907), the device is not available (E0904), the inputs
            or sizes do not fit (E0906), or PyTorch cannot run the net (E0915).
    """
    torch_run = _torch_run()
    values = _drawn(graph, torch_run, sizes or {}) if weights is None else weights
    place = Device.parse(device)
    plain = OnnxRun(graph, values, place, level=0)
    cases = [*random_cases(graph, batches, sizes or {})] if inputs is None else [_given(graph, plain, inputs)]
    truth = torch_run(graph, values, Device("cpu"), "float64")
    expected = [truth.run(case.feeds) for case in cases]

    kind = coarsest(node.type.dtype for node in graph.nodes)
    runs: dict[str, tuple[Callable[[], BackendRun], DType | None]] = {
        PYTORCH: (lambda: torch_run(graph, values, place), kind),
        "onnxruntime -O0": (lambda: plain, kind),
        "onnxruntime -O1": (lambda: OnnxRun(graph, values, place, level=1), kind),
    }
    if half:
        runs["PyTorch float16"] = lambda: torch_run(graph, values, place, "float16"), DType.FLOAT16
    strange = (not_finite(graph, truth, case, outputs) for case, outputs in zip(cases, expected, strict=True))
    findings = [finding for finding in strange if finding is not None][:1]
    look = not findings  # if float64 itself gives NaN, there is nothing to compare with
    noise = _Noise(graph, truth, cases, expected)
    compared: list[list[Comparison]] = []
    for name, (build, dtype) in runs.items():
        run = build()  # only one run at a time is in memory
        rows = []
        for number, (case, truths) in enumerate(zip(cases, expected, strict=True)):
            for output, array in run.run(case.feeds).items():
                apart = difference(array, truths[output], least_largest(graph, output))
                limit = noise.limit(name, number, output, apart.relative, dtype) if rtol is None else rtol
                widened = rtol is None and dtype is not None and limit > TOLERANCES[dtype]
                rows.append((case, Comparison(output, name, case.batch, case.text, apart, limit, widened)))
        compared.append([comparison for _, comparison in rows])
        worst = next(((case, comparison) for case, comparison in rows if not comparison.ok), None)
        if look and worst is not None:
            case, limit = worst[0], worst[1].tolerance
            rounding = limit if rtol is None else TOLERANCES[dtype] if dtype else 0.0
            findings.append(parted(graph, name, run, truth, case, tolerance=limit, rounding=rounding))
    return Agreement(graph.name, str(place), tuple(chain.from_iterable(zip(*compared, strict=True))), tuple(findings))


class _Noise:
    """The differences that rounding alone causes, output by output."""

    def __init__(self, graph: Graph, truth: TorchRun, cases: Sequence[Case], expected: Sequence[Arrays]) -> None:
        self.graph, self.truth, self.cases, self.expected = graph, truth, cases, expected
        self.rounding_of_torch: dict[tuple[int, str], float] = {}
        """The difference of PyTorch in the net's own types from float64, by case and output."""

    def limit(self, run: str, case: int, output: str, apart: float, dtype: DType | None) -> float:
        """Return the allowed relative difference of an output of a run, which differs by `apart`.

        It is that of the element type, or `ROUNDING_FACTOR` times the difference of PyTorch in the net's own types,
        if that is more. PyTorch may differ little by chance, or be wrong itself, so it is compared with float64 with
        every result changed by one rounding, which may also widen the tolerance of the others.
        """
        if dtype is None:
            return 0.0
        allowed = max(TOLERANCES[dtype], ROUNDING_FACTOR * self.rounding_of_torch.get((case, output), 0.0))
        if allowed < apart < inf:
            perturbed = self.truth.perturbed(self.cases[case].feeds, UNITS[dtype])[output]
            noise = difference(perturbed, self.expected[case][output], least_largest(self.graph, output)).relative
            allowed = max(allowed, ROUNDING_FACTOR * noise) if noise < inf else allowed
        if run == PYTORCH and apart <= allowed:
            self.rounding_of_torch[case, output] = apart
        return allowed


def _drawn(graph: Graph, torch_run: type[TorchRun], sizes: Mapping[str, Sequence[int]]) -> Weights:
    """Return random weights, with statistics of batch norms scaled to their inputs."""
    weights = TrainedLike()
    if not any(isinstance(node.layer, BatchNorm) for node in graph.nodes):
        return weights
    case = next(random_cases(graph, (4,), sizes))
    scaled = torch_run(graph, weights, Device("cpu"), "float32").scale_statistics(case.feeds)

    def give(param: Param) -> Array:
        drawn = weights(param)
        return scaled[param.name].astype(drawn.dtype) if param.name in scaled else drawn

    return give


def _given(graph: Graph, plain: OnnxRun, inputs: str | os.PathLike[str] | Arrays) -> Case:
    """Return the case for given inputs, if they fit the net (E0901, E0906)."""
    if isinstance(inputs, str | os.PathLike):
        (read,) = read_batches(plain.session, [os.fspath(inputs)], Preparation())
        inputs = read.feeds
    plain.session.need_feeds(inputs)
    return given_case(graph, inputs)


def _torch_run() -> type[TorchRun]:
    """Return `TorchRun`, imported if PyTorch is installed (E0907)."""
    need("torch", "comparing with PyTorch")
    from netdsl.verification.torch_run import TorchRun  # noqa: PLC0415 - an optional package

    return TorchRun
