"""The compiler: source -> tree -> graph -> passes -> ONNX. `build` is the pipeline, and can stop after any stage.

The other functions here name a starting point and a stage to stop after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import netdsl.layers  # noqa: F401 - fills the table of layers
from netdsl.analysis.lint import lint
from netdsl.base.diagnostics import MAX_ERRORS, MAX_ERRORS_COUNTED, NetdslError
from netdsl.base.files import is_standard_input
from netdsl.base.outputs import inputs_kept
from netdsl.base.source import Source
from netdsl.elaborate.errors import Budget
from netdsl.elaborate.module import Module, needs_arguments
from netdsl.elaborate.net import elaborate
from netdsl.elaborate.program import load_program
from netdsl.elaborate.specs import chosen, locate
from netdsl.ir.graph import Graph
from netdsl.ir.printer import print_graph
from netdsl.syntax.parser import read_source
from netdsl.syntax.printer import print_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.backends.onnx.lower import LoweredModel
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.elaborate.observer import Observer

Stage: TypeAlias = Literal["tree", "graph", "optimized", "onnx"]
Start: TypeAlias = Path | Source | Module
"""The start of the pipeline: a file, a text, or a parsed program."""


@dataclass(frozen=True)
class Checked:
    """A net without errors.

    Attributes:
        graph: its typed graph.
        warnings: its warnings.
        module: the program that contains it.
        arguments: the values of its parameters.
        files: the files that were read.
    """

    graph: Graph
    warnings: tuple[Diagnostic, ...]
    module: Module
    arguments: Mapping[str, object]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """The options of the pipeline.

    Attributes:
        net: the net of a program; None takes its only one.
        arguments: values for the net's parameters (`{"classes": 10}`).
        budget: limits the work of elaboration; None gives a fresh one.
        observer: called for every step of elaboration.
        level: 0 leaves the layers as written, 1 optimizes them for inference.
        last_pass: the name of the pass after which to stop; None runs all.
        training: keep the graph for training, with its auxiliary outputs; no pass runs.
        opset: the ONNX opset; None takes the lowest that the layers need.
        batch: a fixed batch size; None leaves it open.
    """

    net: str | None = None
    arguments: Mapping[str, object] | None = None
    budget: Budget | None = None
    observer: Observer | None = None
    level: int = 1
    last_pass: str | None = None
    training: bool = False
    opset: int | None = None
    batch: int | None = None


DEFAULTS = Options()


@overload
def build(start: Start, stop: Literal["tree"], options: Options = DEFAULTS) -> Module: ...
@overload
def build(start: Start, stop: Literal["graph"], options: Options = DEFAULTS) -> Checked: ...
@overload
def build(start: Start | Graph, stop: Literal["optimized"], options: Options = DEFAULTS) -> Graph: ...
@overload
def build(start: Start | Graph, stop: Literal["onnx"], options: Options = DEFAULTS) -> LoweredModel: ...


def build(start: Start | Graph, stop: Stage, options: Options = DEFAULTS) -> Module | Checked | Graph | LoweredModel:
    """Run a net through the stages of the compiler; return the result of the last stage.

    With NETDSL_DEBUG=1 in the environment, the graph is checked against its invariants after every stage.

    Args:
        start: the file, text or program to begin with, or a checked graph.
        stop: the last stage. `tree` returns the program, `graph` the checked net, `optimized` the graph after the
            passes and `onnx` the model without its weights.
        options: the options.

    Raises:
        NetdslError: all errors found in the first stage that has any.
    """
    if isinstance(start, Graph):
        graph = start
    else:
        module = read_program(start)
        if stop == "tree":
            return module
        net, arguments = chosen(module, options.net), options.arguments or {}
        graph = elaborate(module, net, arguments, options.budget, options.observer)
        if stop == "graph":
            return Checked(graph, lint(graph, module.file), module, arguments)

    if not options.training:
        from netdsl.passes import optimize  # noqa: PLC0415 - `check` does not need the passes

        graph = optimize(graph, options.level, options.last_pass)
    if stop == "optimized":
        return graph

    from netdsl.backends.onnx.lower import lower  # noqa: PLC0415 - the earlier stages do not need onnx

    return lower(graph, opset=options.opset, training=options.training, batch=options.batch)


def read_program(start: Start) -> Module:
    """Read the program in a file or a text, with all the files that it uses."""
    if isinstance(start, Module):
        return start
    if isinstance(start, Source):
        return load_program(start, None)
    return load_program(read_source(start), start)


# ------------------------------------------------------------------------------------------------ one net


def check(spec: str, arguments: Mapping[str, object] | None = None) -> Checked:
    """Check a net: all stages up to the graph, with shapes and promises.

    Args:
        spec: `file.net`, `file.net:name`, or the name of a shipped net (`resnet50`); `-` is standard input.
        arguments: values for the net's parameters (`{"classes": 10}`).

    Raises:
        NetdslError: all errors found.
    """
    path, net = locate(spec)
    with inputs_kept() as read:
        return replace(build(path, "graph", Options(net, arguments)), files=tuple(read))


def check_text(
    text: str, name: str = "<string>", net: str | None = None, arguments: Mapping[str, object] | None = None
) -> Checked:
    """Check a net in a string, shown under `name` in errors; `use` is resolved against the working directory."""
    with inputs_kept() as read:
        return replace(build(Source(name, text), "graph", Options(net, arguments)), files=tuple(read))


def compile_graph(
    graph: Graph, *, level: int = 1, training: bool = False, opset: int | None = None, batch: int | None = None
) -> LoweredModel:
    """Optimize a checked graph and lower it to ONNX; the arguments are those of `Options`."""
    return build(graph, "onnx", Options(level=level, training=training, opset=opset, batch=batch))


AFTER = "after:"
"""The prefix of stages that are the graph after one pass, followed by the name of the pass."""


def emit(spec: str, stage: str, arguments: Mapping[str, object] | None = None, **options: Any) -> str:
    """Return a net after one stage, as text.

    Args:
        spec: as for `check`.
        stage: `tree` is the parsed file, `graph` the graph of typed layers, `optimized` the graph after the passes,
            `after:PASS` the graph after one of them, and `onnx` the model without its weights, as onnx prints it.
        arguments: values for the net's parameters.
        options: `level`, `training`, `opset` and `batch` of `Options`.

    Raises:
        NetdslError: all errors found.
    """
    path, net = locate(spec)
    if stage == "tree":
        return print_tree(build(path, "tree").file)
    last_pass = stage.removeprefix(AFTER) if stage.startswith(AFTER) else None
    chosen_options = Options(net, arguments, last_pass=last_pass, **options)
    if stage == "graph":
        return print_graph(build(path, "graph", chosen_options).graph)
    if stage == "onnx":
        from onnx import printer  # noqa: PLC0415 - the earlier stages do not need onnx

        return str(printer.to_text(build(path, "onnx", chosen_options).proto))
    return print_graph(build(path, "optimized", chosen_options))


# ------------------------------------------------------------------------------------------------ whole files


@dataclass(frozen=True)
class FileReport:
    """The result of checking a file.

    Attributes:
        graphs: the nets without errors.
        nets: the number of nets that were checked.
        diagnostics: errors and warnings; each once, although several nets may share it.
        more: the number of further errors that were found, and are not shown.
    """

    graphs: tuple[Graph, ...]
    nets: int
    diagnostics: tuple[Diagnostic, ...]
    more: int = 0


def check_file(path: Path) -> FileReport:
    """Check every net of a file that needs no arguments; other nets are checked through their variants."""
    try:
        module = build(path, "tree")
    except NetdslError as error:
        return FileReport((), 0, error.diagnostics, error.more)
    graphs: list[Graph] = []
    found: dict[tuple[str, str, str], Diagnostic] = {}
    errors = more = 0
    names = [name for name in module.own_nets if not needs_arguments(module.nets[name])]
    budget = Budget()
    if len(names) > 1:
        budget.whose = "the nets of this file together are"
        budget.remedy += f" If not, check net by net: `{path}:{names[0]}`"
    for name in names:
        if errors >= MAX_ERRORS_COUNTED or budget.left < 0:
            break
        diagnostics: tuple[Diagnostic, ...]
        try:
            checked = build(module, "graph", Options(name, budget=budget))
        except NetdslError as error:
            diagnostics = error.diagnostics
            errors += len(diagnostics)
            more += error.more
        else:
            graphs.append(checked.graph)
            diagnostics = checked.warnings
        for diagnostic in diagnostics:
            place = diagnostic.span.place if diagnostic.span else ""
            found.setdefault((diagnostic.code, diagnostic.message, place), diagnostic)
    wrong = [key for key, diagnostic in found.items() if diagnostic.severity == "error"]
    for key in wrong[MAX_ERRORS:]:
        del found[key]
    more += max(len(wrong) - MAX_ERRORS, 0)
    return FileReport(tuple(graphs), len(names), tuple(found.values()), more)


def check_files(paths: Sequence[Path]) -> list[FileReport]:
    """Check files in parallel; the reports have no graphs."""
    from netdsl.base.processes import side_by_side  # noqa: PLC0415 - checking one file needs no processes

    return side_by_side(_report, paths)


def _report(path: Path) -> FileReport:
    return replace(check_file(path), graphs=())


def check_spec(spec: str, arguments: Mapping[str, object] | None = None) -> FileReport:
    """Check every net of a spec `file.net`, or the one net of `file.net:name` or of a shipped name.

    Raises:
        NetdslError: there is no such file or net.
    """
    if (spec.endswith(".net") or is_standard_input(spec)) and not arguments:
        return check_file(Path(spec))
    try:
        checked = check(spec, arguments)
    except NetdslError as error:
        return FileReport((), 1, error.diagnostics, error.more)
    return FileReport((checked.graph,), 1, checked.warnings)
