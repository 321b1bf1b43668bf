"""Checking files as a whole: all nets of a file, all errors of all nets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.analysis.lint import lint
from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.files import is_standard_input
from netdsl.compiler import check, load
from netdsl.elaborate.errors import MAX_ERRORS, Budget
from netdsl.elaborate.net import elaborate
from netdsl.elaborate.program import BlockDefinition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netdsl.base.diagnostics import Diagnostic
    from netdsl.elaborate.program import NetDefinition
    from netdsl.ir.graph import Graph


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
        module = load(path)
    except NetdslError as error:
        return FileReport((), 0, error.diagnostics)
    graphs: list[Graph] = []
    found: dict[tuple[str, str, str], Diagnostic] = {}  # each once: what one block does wrong, every net reports
    errors = 0
    names = [name for name in module.own_nets if not _needs_arguments(module.nets[name])]
    budget = Budget()
    if len(names) > 1:
        budget.whose = "the nets of this file together are"
        budget.remedy += f" If not, check net by net: `{path}:{names[0]}`"
    for name in names:
        if errors >= MAX_ERRORS or budget.left < 0:
            break
        diagnostics: tuple[Diagnostic, ...]
        try:
            graph = elaborate(module, name, budget=budget)
        except NetdslError as error:
            diagnostics = error.diagnostics
            errors += len(diagnostics)
        else:
            graphs.append(graph)
            diagnostics = lint(graph, module.file)
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


def net_files(directory: Path) -> list[Path]:
    """All `.net` files in a directory and those below it, hidden ones left out.

    Raises:
        NetdslError: there are none (E0212).
    """
    files = sorted(
        path
        for path in directory.rglob("*.net")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )
    if not files:
        raise fail("E0212", f"there is no `.net` file in `{directory}`")
    return files


def _needs_arguments(net: NetDefinition) -> bool:
    """Whether a net is a pattern for variants: it has a parameter without a default."""
    return isinstance(net, BlockDefinition) and any(p.default is None for p in net.declaration.parameters)
