"""Mutated programs: those that `check` accepts are run on every backend, and the backends must agree."""

from __future__ import annotations

import re
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from fuzzing.mutations import chosen_net, mutated
from fuzzing.outcome import FACTOR, Outcome, refusal_fault
from fuzzing.seeds import import_test
from netdsl.backends.onnx.file import assemble
from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check_text, compile_graph
from netdsl.ir.dim import Symbol, Symbolic, evaluate
from netdsl.ir.invariants import verify
from netdsl.ir.types import DType
from netdsl.passes import optimize
from netdsl.runtime import Device
from netdsl.verification.cases import random_cases
from netdsl.verification.difference import TOLERANCES, coarsest, difference, least_largest
from netdsl.verification.torch_run import TorchRun
from netdsl.verification.weights import TrainedLike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.verification.cases import Case
    from netdsl.weights.initial import Array

    Arrays = Mapping[str, Array]

VERDICTS = ("refused", "too large", "no kernel", "not finite", "compared")
"""The results of a program that are no findings: `check` refuses it, it is too large to be tried, a backend has no CPU
kernel for an element type other than float32, not even float64 gives finite numbers, or all backends agree."""
MAX_NUMBERS = 300_000
"""The largest number of elements of all tensors of a run and of all parameters; larger nets are only checked."""
MAX_MACS = 20_000_000
EPSILONS = {DType.FLOAT64: 2.0**-52, DType.FLOAT32: 2.0**-23, DType.FLOAT16: 2.0**-10, DType.BFLOAT16: 2.0**-7}
LEFT_TO_BACKENDS = ("E0909", "E0910")
"""The errors that backends may report: a layer has no form in an opset, PyTorch reserves a name."""


class _WrongError(Exception):
    """A finding: its verdict, the fault, and a report."""


def prepare(name: str) -> None:  # noqa: ARG001 - the signature of all series
    """Prepare the process."""
    import torch

    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(4)
    program(0, 0)


def program(seed: int, index: int) -> str:
    """Return the text of a program."""
    return mutated(Random(f"{seed}/programs/{index}"))


def attempt(name: str, seed: int, index: int) -> Outcome:  # noqa: ARG001 - the signature of all series
    """Try a program."""
    return tried(program(seed, index))


def tried(text: str) -> Outcome:
    """Check a program, and compare the backends on it; return the outcome."""
    try:
        checked = check_text(text, "program.net", chosen_net(text))
    except NetdslError as error:
        places = [one.span is not None or one.code in ("E0106", "E0212") for one in error.diagnostics]
        fault = refusal_fault(str(error), places)
        return Outcome("internal error" if fault else "refused", fault, str(error)[:3000])
    graph = checked.graph
    try:
        verify(graph)
        cases = [*_cases(graph)]
        if not cases:
            return Outcome("too large")
        return Outcome(_compare(graph, cases))
    except _WrongError as error:
        return Outcome(*error.args)
    except NetdslError as error:
        code = error.diagnostics[0].code
        if code in LEFT_TO_BACKENDS and all(one.span is not None for one in error.diagnostics):
            return Outcome("refused")
        return Outcome("not run", f"{code}: {_general(error.diagnostics[0].message)}", str(error))


def _cases(graph: Graph) -> Iterator[Case]:
    """Yield one sample with the smallest open sizes, and three with larger ones; leave out cases that are too large."""
    atoms = {
        atom
        for node in graph.inputs
        for dim in node.type.shape
        for monomial in (dim.terms if isinstance(dim, Symbolic) else ())
        for atom in monomial
        if isinstance(atom, Symbol)
    }
    for batch, more in ((1, 0), (3, 6)):
        sizes = {}
        for place, atom in enumerate(sorted(atoms, key=lambda atom: atom.name)):
            count = max(atom.least, -(-(atom.least * atom.unit + (more and more + place)) // atom.unit))
            sizes[atom.name] = atom.unit * (count if atom.most is None else min(count, atom.most))
        if _numbers(graph, sizes) * batch > MAX_NUMBERS:
            return
        yield from random_cases(graph, (batch,), {name: [size] for name, size in sizes.items()})


def _numbers(graph: Graph, sizes: Mapping[str, int]) -> int:
    """Return the elements of all tensors and parameters for one sample, or too many if there are too many MACs."""
    results = sum(prod(evaluate(dim, sizes) for dim in node.type.shape) for node in graph.nodes)
    macs = sum(
        evaluate(node.layer.macs(node.type, *node.input_types), sizes)
        for node in graph.nodes
        if node.layer.arity != (0, 0)
    )
    params = sum(prod(param.spec.shape) for node in graph.nodes for param in node.params.values())
    return results + params + (MAX_NUMBERS if macs > MAX_MACS else 0)


# ------------------------------------------------------------------------------------------------ comparison


def _compare(graph: Graph, cases: Sequence[Case]) -> str:
    """Compute a net on all backends and compare the results; return the verdict."""
    weights = _Remembered(TrainedLike())
    narrow, wide = (TorchRun(graph, weights, Device("cpu"), dtype) for dtype in (None, "float64"))
    try:
        computed = [narrow.values(case.feeds) for case in cases]
    except NetdslError as error:
        if "not implemented for" in error.diagnostics[0].message and _has_rare_type(graph):
            return "no kernel"
        raise
    for case, values in zip(cases, computed, strict=True):
        _same_as_inferred(graph, case, values)
    sessions = {level: _session(graph, level, weights, symbolic=bool(cases[0].sizes)) for level in (0, 1)}
    if None in sessions.values():
        return "no kernel"
    finite = True
    for case in cases:
        due = wide.run(case.feeds)
        own = narrow.run(case.feeds)
        for level, session in sessions.items():
            given = _run(graph, session, case, level)
            _same_types(graph, case, given, f"onnxruntime -O{level}")
            finite = _same_values(graph, case, given, own, due, level) and finite
    return "compared" if finite else "not finite"


def _run(graph: Graph, session: Any, case: Case, level: int) -> dict[str, Array]:
    try:
        return dict(zip(graph.outputs, session.run([*graph.outputs], dict(case.feeds)), strict=True))
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise _WrongError("not run", f"onnxruntime -O{level} fails: {_general(str(error))}", str(error)) from error


class _Remembered:
    """Weights that are drawn only once."""

    def __init__(self, draw: Callable[[Param], Array]) -> None:
        self.draw, self.known = draw, dict[str, Any]()

    def __call__(self, param: Param) -> Array:
        if param.name not in self.known:
            self.known[param.name] = self.draw(param)
        array: Array = self.known[param.name]
        return array


def _session(graph: Graph, level: int, weights: Callable[[Param], Array], *, symbolic: bool) -> Any:
    """Return the model in onnxruntime, checked by onnx's checker and inference; None if a kernel is missing."""
    verify(optimize(graph, level))
    model = assemble(compile_graph(graph, level=level), weights)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx has exceptions of several kinds
        raise _WrongError("not run", f"onnx's checker refuses -O{level}: {_general(str(error))}", str(error)) from error
    data = model.SerializeToString()
    _same_inference(model, level, symbolic=symbolic)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if level == 0:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if any(node.type.dtype is DType.BFLOAT16 for node in (*graph.inputs, *graph.outputs.values())):
        return None  # numpy has no such type for the inputs
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base class
        if "NOT_IMPLEMENTED" in str(error) and _has_rare_type(graph):
            return None
        raise _WrongError(
            "not run", f"onnxruntime does not load -O{level}: {_general(str(error))}", str(error)
        ) from error


def _has_rare_type(graph: Graph) -> bool:
    """Whether a net has an element type for which backends may lack CPU kernels."""
    return any(node.type.dtype is not DType.FLOAT32 for node in graph.nodes)


def _same_inference(model: onnx.ModelProto, level: int, *, symbolic: bool) -> None:
    """Check that onnx's strict inference with propagated data finds the types and shapes of every value."""
    ours = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.value_info, *model.graph.output)}
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:
        raise _WrongError("shape", f"onnx's inference refuses -O{level}: {_general(str(error))}", str(error)) from error
    for value in (*inferred.value_info, *inferred.output):
        theirs = value.type.tensor_type.elem_type
        if value.name in ours and theirs not in (0, ours[value.name]):
            problem = f"onnx infers element type {theirs} for a value of -O{level}, not {ours[value.name]}"
            raise _WrongError("type", problem, value.name)
    try:
        import_test("models").same_shapes(model, symbolic=symbolic)
    except AssertionError as error:
        raise _WrongError("shape", f"onnx infers other shapes for -O{level}", str(error)) from error


def _same_as_inferred(graph: Graph, case: Case, computed: Arrays) -> None:
    """Check that every layer has in PyTorch the shape and type that netdsl infers."""
    for node in graph.nodes:
        if node.name not in computed:
            continue
        got = computed[node.name]
        due = (case.batch, *(evaluate(dim, case.sizes) for dim in node.type.shape))
        if got.shape != due and not _without_batch(node, got.shape, due):
            raise _WrongError("shape", f"`{node.layer.kind}` gives another shape in PyTorch than netdsl infers",
                              f"{node.name}: {got.shape}, not {due}")  # fmt: skip
        if node.type.dtype is not DType.BFLOAT16 and got.dtype.name != node.type.dtype.value:
            raise _WrongError("type", f"`{node.layer.kind}` gives another type in PyTorch than netdsl infers",
                              f"{node.name}: {got.dtype.name}, not {node.type.dtype.value}")  # fmt: skip


def _without_batch(node: Any, got: tuple[int, ...], due: tuple[int, ...]) -> bool:
    """Whether this is a learned tensor, which may have no batch axis."""
    return node.layer.arity == (0, 0) and got in (due[1:], (1, *due[1:]))


def _same_types(graph: Graph, case: Case, given: Arrays, run: str) -> None:
    for name, node in graph.outputs.items():
        due = (case.batch, *(evaluate(dim, case.sizes) for dim in node.type.shape))
        if given[name].shape != due:
            raise _WrongError("shape", f"{run} gives another shape than netdsl infers",
                              f"{name}: {given[name].shape}, not {due}, {case.text}")  # fmt: skip
        if node.type.dtype is not DType.BFLOAT16 and given[name].dtype.name != node.type.dtype.value:
            raise _WrongError("type", f"{run} gives another type than netdsl infers", f"{name}: {given[name].dtype}")


def _same_values(graph: Graph, case: Case, given: Arrays, own: Arrays, due: Arrays, level: int) -> bool:
    """Compare the outputs of onnxruntime with float64; return False if some outputs in float64 are not finite."""
    kind = coarsest(node.type.dtype for node in graph.nodes)
    allowed = TOLERANCES[kind] if kind is not None else 0.0
    finite = True
    for name, truth in due.items():
        if not np.isfinite(truth.astype(np.float64)).all() or not np.isfinite(own[name].astype(np.float64)).all():
            finite = False
            continue
        least = least_largest(graph, name)
        apart = difference(given[name], truth, least)
        rounding = difference(own[name], truth, least).relative
        if apart.relative <= max(allowed, FACTOR * rounding):
            continue
        rounding = max(rounding, _sensitivity(graph, case, name, truth))
        if apart.relative > max(allowed, FACTOR * rounding):
            kinds = " -> ".join(dict.fromkeys(node.layer.kind for node in graph.nodes[1:]))[:100]
            figures = f"{name}: {apart}, and rounding makes {rounding:.2g}, batch {case.batch} {case.text}"
            raise _WrongError("value", f"onnxruntime -O{level} differs: {kinds}", figures)
    return finite


def _sensitivity(graph: Graph, case: Case, name: str, truth: Array) -> float:
    """Return how far an output moves in float64 when inputs and weights are rounded; the largest of three draws."""
    coarsest = max((EPSILONS[n.type.dtype] for n in graph.nodes if n.type.dtype.is_float), default=0.0)
    random = np.random.default_rng(0)

    def rounded(array: Array) -> Array:
        if not np.issubdtype(array.dtype, np.floating):
            return array
        return array.astype(np.float64) * (1 + coarsest * random.uniform(-1, 1, array.shape))

    found = []
    for _ in range(3):
        draw = TrainedLike()
        run = TorchRun(graph, lambda param, draw=draw: rounded(draw(param)), Device("cpu"), "float64")  # type: ignore[misc]
        moved = run.run({key: rounded(array) for key, array in case.feeds.items()})
        found.append(difference(moved[name], truth, least_largest(graph, name)).relative)
    return max(found)


def _general(message: str) -> str:
    """Return a message without names and numbers, so that it is the same for different nets."""
    line = " ".join(message.split())
    return re.sub(r"`[^`]*`|\([^()]*\)|'[^']*'|\d+", "_", line)[:140]


def keep(name: str, seed: int, index: int, folder: Any) -> None:  # noqa: ARG001 - the signature of all series
    """Write the input to a folder."""
    (folder / "program.net").write_text(program(seed, index), errors="backslashreplace")
