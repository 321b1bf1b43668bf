"""The compiler: source -> tree -> graph -> passes -> a backend, one function for each stage to stop after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import netdsl.layers  # noqa: F401 - fills the table of layers
from netdsl.analysis.lint import lint
from netdsl.base.diagnostics import fail
from netdsl.base.files import is_standard_input
from netdsl.base.outputs import inputs_kept
from netdsl.base.resources import shipped
from netdsl.base.source import Source
from netdsl.elaborate.net import elaborate
from netdsl.elaborate.program import load_program
from netdsl.elaborate.suggestions import listed, suggestion
from netdsl.syntax.parser import read_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.backends.onnx.lower import LoweredModel
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.elaborate.program import Module
    from netdsl.ir.graph import Graph


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


def check(spec: str, arguments: Mapping[str, object] | None = None) -> Checked:
    """Check a net: everything up to the graph, shapes and promises included.

    Args:
        spec: `file.net`, `file.net:name`, or the name of a shipped net (`resnet50`); `-` is standard input.
        arguments: values for the net's parameters (`{"classes": 10}`).

    Raises:
        NetdslError: all errors found.
    """
    path, name = locate(spec)
    with inputs_kept() as read:
        return replace(_check(load(path), name, arguments), files=tuple(read))


def check_text(
    text: str, name: str = "<string>", net: str | None = None, arguments: Mapping[str, object] | None = None
) -> Checked:
    """Check a net in a string, shown under `name` in errors; `use` is resolved against the working directory."""
    with inputs_kept() as read:
        return replace(_check(load_program(Source(name, text), None), net, arguments), files=tuple(read))


def compile_graph(
    graph: Graph, *, level: int = 1, training: bool = False, opset: int | None = None, batch: int | None = None
) -> LoweredModel:
    """Optimize a graph and lower it to ONNX; a training graph is lowered as it was written.

    Args:
        graph: a checked graph.
        level: 0 as written, 1 for inference.
        training: keep the training graph with its aux outputs.
        opset: None for the lowest sufficient one.
        batch: None for a symbolic batch.
    """
    from netdsl.backends.onnx.lower import lower  # noqa: PLC0415 - `check` goes without onnx
    from netdsl.passes import optimize  # noqa: PLC0415 - likewise

    return lower(graph if training else optimize(graph, level), opset=opset, training=training, batch=batch)


def load(path: Path) -> Module:
    """Read and parse a file and all it uses."""
    return load_program(read_source(path), path)


def locate(spec: str) -> tuple[Path, str | None]:
    """The file and the name of the net that a spec means; the name is None where it is left out.

    Raises:
        NetdslError: there is no such file or shipped net (E0212).
    """
    file, separator, name = spec.rpartition(".net:")
    if separator:
        return Path(f"{file}.net"), name
    file, _, name = spec.partition(":")
    if is_standard_input(file):
        return Path(file), name or None
    if spec.endswith(".net") or "/" in spec or Path(spec).is_file():
        return Path(spec), None
    nets = shipped()
    if spec in nets:
        return nets[spec], spec
    raise fail(
        "E0212",
        f"there is no file and no shipped net `{spec}`",
        help=suggestion(spec, nets) or "`netdsl nets` lists the shipped ones; a file ends in `.net`",
    )


def _check(module: Module, name: str | None, arguments: Mapping[str, object] | None) -> Checked:
    graph = elaborate(module, _chosen(module, name), arguments)
    return Checked(graph, lint(graph, module.file), module, arguments or {})


def _chosen(module: Module, name: str | None) -> str:
    file = module.file.source.name
    if name is not None:
        if name in module.nets:
            return name
        raise fail(
            "E0206", f"`{file}` has no net `{name}`", help=suggestion(name, module.nets) or _listed(module.own_nets)
        )
    if len(module.own_nets) == 1:
        return module.own_nets[0]
    if not module.own_nets:
        raise fail(
            "E0206",
            f"`{file}` declares no net",
            module.file.declarations[0].span,
            help="add `net name { ... }`, or compile the file that uses this one",
        )
    raise fail(
        "E0207",
        f"`{file}` has {len(module.own_nets)} nets, and one must be named",
        help=f"write `{file}:{module.own_nets[0]}`; {_listed(module.own_nets)}",
    )


def _listed(nets: list[str]) -> str:
    return f"it has {listed(nets)}"
