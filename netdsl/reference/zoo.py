"""The shipped nets, with their files, papers and counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

from netdsl.analysis.counts import count_macs, count_params
from netdsl.base.diagnostics import NetdslError
from netdsl.base.files import read_file
from netdsl.base.processes import side_by_side
from netdsl.base.resources import MAX_RESOURCE_BYTES, shipped
from netdsl.compiler import check_file

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph
    from netdsl.ir.types import TensorType

_PAPER = re.compile(r"[A-Z][^(]*?, (19|20)\d\d\b")
"""Authors, a title and a year, separated by commas; the text after it is about the net."""


@dataclass(frozen=True)
class ZooEntry:
    """One shipped net.

    Attributes:
        name: its name in commands.
        path: its file.
        title: the first line of the file's comment.
        papers: the papers in the comment, each with authors and year.
        inputs: the types of its inputs.
        params: the number of trainable parameters.
        macs: multiply-accumulates per sample.
    """

    name: str
    path: Path
    title: str
    papers: tuple[str, ...]
    inputs: tuple[TensorType, ...]
    params: int
    macs: Dim

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "name": self.name,
            "file": self.path.name,
            "title": self.title,
            "papers": list(self.papers),
            "inputs": [[dim if isinstance(dim, int) else str(dim) for dim in type_.shape] for type_ in self.inputs],
            "params": self.params,
            "macs": self.macs if isinstance(self.macs, int) else str(self.macs),
        }


def entries() -> list[ZooEntry]:
    """Return all shipped nets that need no arguments, file by file.

    Raises:
        NetdslError: a shipped net has an error.
    """
    files = side_by_side(_of_file, list(dict.fromkeys(shipped().values())))
    return list(chain.from_iterable(files))


def _of_file(path: Path) -> list[ZooEntry]:
    report = check_file(path)
    if errors := [found for found in report.diagnostics if found.severity == "error"]:
        raise NetdslError(errors)
    return [_entry(path, graph) for graph in report.graphs]


def _entry(path: Path, graph: Graph) -> ZooEntry:
    inputs = tuple(node.type for node in graph.inputs)
    title, *others = _comment(path)
    papers = tuple(match[0] for line in others for part in line.split("; ") if (match := _PAPER.match(part)))
    return ZooEntry(graph.name, path, title, papers, inputs, count_params(graph), count_macs(graph))


def _comment(path: Path) -> list[str]:
    """Return the lines of the comment at the top of a file."""
    lines = read_file(path, MAX_RESOURCE_BYTES).decode().splitlines()
    return [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines)]
