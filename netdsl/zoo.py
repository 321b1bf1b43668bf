"""The shipped nets: where they are, and what a list says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.counts import count_macs, count_params
from netdsl.diagnostics import NetdslError
from netdsl.project import check_file
from netdsl.resources import shipped

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph
    from netdsl.ir.types import TensorType


@dataclass(frozen=True)
class ZooEntry:
    """One shipped net.

    Attributes:
        name: the bare name it is addressed by.
        path: its file.
        title: the first line of the file's comment.
        inputs: the types of its inputs.
        params: trainable parameters.
        macs: multiply-accumulates of one sample.
    """

    name: str
    path: Path
    title: str
    inputs: tuple[TensorType, ...]
    params: int
    macs: Dim

    def as_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "name": self.name,
            "file": self.path.name,
            "title": self.title,
            "inputs": [[dim if isinstance(dim, int) else str(dim) for dim in type_.shape] for type_ in self.inputs],
            "params": self.params,
            "macs": self.macs if isinstance(self.macs, int) else str(self.macs),
        }


def entries() -> list[ZooEntry]:
    """All shipped nets that need no arguments, file by file.

    Raises:
        NetdslError: a shipped net has an error.
    """
    reports = {path: check_file(path) for path in dict.fromkeys(shipped().values())}
    if errors := [found for report in reports.values() for found in report.diagnostics if found.severity == "error"]:
        raise NetdslError(errors)
    return [_entry(path, graph) for path, report in reports.items() for graph in report.graphs]


def _entry(path: Path, graph: Graph) -> ZooEntry:
    inputs = tuple(node.type for node in graph.inputs)
    return ZooEntry(graph.name, path, _title(path), inputs, count_params(graph), count_macs(graph))


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()
