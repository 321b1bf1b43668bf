"""The compiler: source -> tree -> graph -> passes -> ONNX. `pipeline` is the way, all others call it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import netdsl.layers  # noqa: F401 - fills the table of layers
from netdsl.analysis.lint import lint
from netdsl.base.diagnostics import NetdslError
from netdsl.base.files import is_standard_input
from netdsl.base.outputs import inputs_kept
from netdsl.base.source import Source
from netdsl.elaborate.errors import MOST_ERRORS, Budget
from netdsl.elaborate.net import elaborate
from netdsl.elaborate.program import Module, load_program
from netdsl.elaborate.specs import chosen_net, locate, needs_arguments
from netdsl.ir.graph import Graph
from netdsl.ir.invariants import verified
from netdsl.ir.printer import print_graph
from netdsl.syntax.parser import read_source
from netdsl.syntax.printer import print_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.backends.onnx.lower import LoweredModel
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.elaborate.observer import Observer

STAGES = ("tree", "graph", "optimized", "onnx")
"""Where a compilation can stop, and after each pass, which is `after:` and its name."""


@dataclass(frozen=True)
class Checked:
    """A net without errors: its graph, and what is legal and suspicious about it.

    Attributes:
        module: the program that it stands in.
        arguments: the values that its parameters were given.
        files: the files that were read.
    """

    graph: Graph
    warnings: tuple[Diagnostic, ...]
    module: Module
    arguments: Mapping[str, object]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """What the stages of a compilation can be told.

    Attributes:
        net: the name of a net; None for the only one of the file.
        arguments: values for the net's parameters (`{"classes": 10}`).
        budget: what the work of elaboration is taken from; None for one of its own.
        observer: is called with what elaboration carries out.
        level: 0 for the layers as they were written, 1 for the passes for inference.
        training: keep the training graph with its aux outputs; no pass is run.
        opset: of ONNX; None for the lowest sufficient one.
        batch: a fixed batch size; None for a symbolic one.
    """

    net: str | None = None
    arguments: Mapping[str, object] | None = None
    budget: Budget | None = None
    observer: Observer | None = None
    level: int = 1
    training: bool = False
    opset: int | None = None
    batch: int | None = None


DEFAULTS = Options()


@overload
def pipeline(start: Path | Source, until: Literal["tree"]) -> Module: ...


@overload
def pipeline(start: Path | Source | Module, until: Literal["graph"], options: Options = ...) -> Checked: ...


@overload
def pipeline(start: Graph, until: Literal["onnx"], options: Options = ...) -> LoweredModel: ...


@overload
def pipeline(
    start: Path | Source | Module | Graph, until: str, options: Options = ...
) -> Module | Checked | Graph | LoweredModel: ...


def pipeline(
    start: Path | Source | Module | Graph, until: str, options: Options = DEFAULTS
) -> Module | Checked | Graph | LoweredModel:
    """Carry a net through the stages of a compilation, up to one of them.

    With NETDSL_DEBUG=1 the graph is held to its invariants (`netdsl.ir.invariants`) after every stage.

    Args:
        start: a file, a text, a program that was read or a graph that was made; the stages up to it are left out.
        until: the stage to stop after: `tree`, `graph`, `optimized`, `after:PASS` or `onnx`.
        options: what the stages are told.

    Returns:
        What the stage makes: a program, a net without errors, a graph, a model without weights.

    Raises:
        NetdslError: all errors found.
        ValueError: there is no such stage.
    """
    need_stage(until)
    # source -> tree
    if isinstance(start, Path):
        start = load_program(read_source(start), start)
    elif isinstance(start, Source):
        start = load_program(start, None)
    if until == "tree" and isinstance(start, Module):
        return start
    # tree -> graph
    if isinstance(start, Module):
        name = chosen_net(start, options.net)
        graph = verified(elaborate(start, name, options.arguments, options.budget, options.observer))
        if until == "graph":
            return Checked(graph, lint(graph, start.file), start, options.arguments or {})
    else:
        graph = verified(start)
    # graph -> passes
    if not options.training:
        from netdsl.passes import optimize  # noqa: PLC0415 - the stages before go without

        graph = optimize(graph, options.level, last=until.partition(":")[2] or None)
    if until != "onnx":
        return graph
    # graph -> ONNX
    from netdsl.backends.onnx.lower import lower  # noqa: PLC0415 - likewise

    return lower(graph, opset=options.opset, training=options.training, batch=options.batch)


def need_stage(stage: str) -> None:
    """Refuse what is no stage, or no pass behind `after:`; a ValueError lists those that are."""
    word, colon, name = stage.partition(":")
    if word != "after":
        if stage not in STAGES:
            raise ValueError(f"expected {', '.join(STAGES)} or after:PASS, got `{stage}`")
        return
    from netdsl.passes import PASSES  # noqa: PLC0415 - the other stages go without

    if not colon or name not in PASSES:
        raise ValueError(f"expected after:PASS with one of {', '.join(PASSES)}, got `{stage}`")


# ------------------------------------------------------------------------------------------------ ways to call it


def check(spec: str, arguments: Mapping[str, object] | None = None) -> Checked:
    """Check a net: everything up to the graph, shapes and promises included.

    Args:
        spec: `file.net`, `file.net:name`, or the name of a shipped net (`resnet50`); `-` is standard input.
        arguments: values for the net's parameters (`{"classes": 10}`).

    Raises:
        NetdslError: all errors found.
    """
    path, net = locate(spec)
    with inputs_kept() as read:
        return replace(pipeline(path, "graph", Options(net, arguments)), files=tuple(read))


def check_text(
    text: str, name: str = "<string>", net: str | None = None, arguments: Mapping[str, object] | None = None
) -> Checked:
    """Check a net in a string, shown under `name` in errors; `use` is resolved against the working directory."""
    with inputs_kept() as read:
        return replace(pipeline(Source(name, text), "graph", Options(net, arguments)), files=tuple(read))


def compile_graph(
    graph: Graph, *, level: int = 1, training: bool = False, opset: int | None = None, batch: int | None = None
) -> LoweredModel:
    """The ONNX model of a graph, without its weights; see `Options`."""
    return pipeline(graph, "onnx", Options(level=level, training=training, opset=opset, batch=batch))


def emit(spec: str, stage: str, options: Options = DEFAULTS) -> str:
    """A net after one stage of its compilation, as text.

    Args:
        spec: as for `check`.
        stage: `tree` is what was read, `graph` the typed layers, `optimized` what the passes make of them, `after:PASS`
            what those up to one of them do, and `onnx` the model, without its weights, as onnx prints it.
        options: what the stages are told; the net is that of the spec.

    Raises:
        NetdslError: all errors found.
        ValueError: there is no such stage.
    """
    path, net = locate(spec)
    match pipeline(path, stage, replace(options, net=net)):
        case Module() as module:
            return print_tree(module.file)
        case Checked() as checked:
            return print_graph(checked.graph)
        case Graph() as graph:
            return print_graph(graph)
        case lowered:
            from onnx import printer  # noqa: PLC0415 - the stages before go without

            return str(printer.to_text(lowered.proto))


# ------------------------------------------------------------------------------------------------ whole files


@dataclass(frozen=True)
class FileReport:
    """What was found in a file.

    Attributes:
        graphs: the nets without errors.
        nets: how many nets were checked.
        diagnostics: errors and warnings, those that several nets share once.
    """

    graphs: tuple[Graph, ...]
    nets: int
    diagnostics: tuple[Diagnostic, ...]


def check_file(path: Path) -> FileReport:
    """Check every net of a file that needs no arguments; the others are checked through their variants."""
    try:
        module = pipeline(path, "tree")
    except NetdslError as error:
        return FileReport((), 0, error.diagnostics)
    graphs: list[Graph] = []
    found: dict[tuple[str, str, str], Diagnostic] = {}  # each once: what one block does wrong, every net reports
    errors = 0
    names = [name for name in module.own_nets if not needs_arguments(module.nets[name])]
    budget = Budget()
    if len(names) > 1:
        budget.whose = "the nets of this file together are"
        budget.remedy += f" If not, check net by net: `{path}:{names[0]}`"
    for name in names:
        if errors >= MOST_ERRORS or budget.left < 0:
            break
        diagnostics: tuple[Diagnostic, ...]
        try:
            checked = pipeline(module, "graph", Options(name, budget=budget))
        except NetdslError as error:
            diagnostics = error.diagnostics
            errors += len(diagnostics)
        else:
            graphs.append(checked.graph)
            diagnostics = checked.warnings
        for diagnostic in diagnostics:
            place = diagnostic.span.place if diagnostic.span else ""
            found.setdefault((diagnostic.code, diagnostic.message, place), diagnostic)
    return FileReport(tuple(graphs), len(names), tuple(found.values()))


def check_files(paths: Sequence[Path]) -> list[FileReport]:
    """Check files side by side; their reports come without the graphs."""
    from netdsl.base.processes import side_by_side  # noqa: PLC0415 - who checks one file needs no processes

    return side_by_side(_report, paths)


def _report(path: Path) -> FileReport:
    return replace(check_file(path), graphs=())


def check_spec(spec: str, arguments: Mapping[str, object] | None = None) -> FileReport:
    """Check what a spec means: every net of a `file.net`, or the one net of a `file.net:name` or a bare name.

    Raises:
        NetdslError: no file or net is called that, and so there is nothing to report on.
    """
    if (spec.endswith(".net") or is_standard_input(spec)) and not arguments:
        return check_file(Path(spec))
    try:
        checked = check(spec, arguments)
    except NetdslError as error:
        return FileReport((), 1, error.diagnostics)
    return FileReport((checked.graph,), 1, checked.warnings)
