"""A net in onnxruntime: its outputs, and the results of all layers that remain after optimization."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from netdsl.backends.onnx.file import write
from netdsl.compiler import compile_graph
from netdsl.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from netdsl.backends.onnx.lower import LoweredModel
    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.runtime import Device
    from netdsl.weights.initial import Array


class OnnxRun:
    """The model of a net, on a device.

    Args:
        graph: the net before optimization.
        weights: returns the array of a parameter.
        device: the device to run on, without TF32.
        level: 0 for the layers as they are written, which onnxruntime must not optimize either; 1 for those optimized
            for inference, by netdsl and then by onnxruntime.

    Attributes:
        folded: for the path of each removed layer, the layer that its weights were folded into.

    Raises:
        NetdslError: the device is not available (E0904), or onnxruntime cannot load the model (E0905).
    """

    def __init__(self, graph: Graph, weights: Callable[[Param], Array], device: Device, level: int) -> None:
        self.weights, self.device = weights, device
        self.lowered = compile_graph(graph, level=level)
        self.session = self._session(self.lowered, optimize=level > 0)
        self.folded = {path: host for host, path in _folded(graph, self.lowered)}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name."""
        return self.session.run(feeds)

    def values(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs and the results of all layers by path; onnxruntime itself optimizes nothing here."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.lowered.proto)
        results = {*self.lowered.values.values()}
        proto.graph.output.extend(info for info in proto.graph.value_info if info.name in results)
        session = self._session(replace(self.lowered, proto=proto), optimize=False)
        found = session.run(feeds) | dict(feeds)
        return {path: found[value] for path, value in self.lowered.values.items() if value in found}

    def _session(self, lowered: LoweredModel, *, optimize: bool) -> Session:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.onnx")
            write(lowered, path, self.weights)
            session = Session(path, str(self.device), tf32=False, optimize=optimize)
        session.path = Path(lowered.proto.graph.name)  # the name in errors, because the file is gone
        return session


def _folded(graph: Graph, lowered: LoweredModel) -> Iterator[tuple[str, str]]:
    """Yield pairs of layers: one whose weights the optimizer changed, and one whose weights were folded into them."""
    owners = {param.name: node.name for node in graph.nodes for param in node.params.values()}
    for param in lowered.params:
        host = param.name.rpartition(".")[0]
        work = [param]
        while work:
            current = work.pop()
            if current.derived is not None:
                work.extend(current.derived.sources)
            elif owners[current.name] != host:
                yield host, owners[current.name]
