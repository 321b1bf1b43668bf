"""The time of each stage of a compilation: `python tools/stages.py NET` prints seconds as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.ir.params import Param
    from netdsl.weights.initial import Array


class Clock:
    """A clock that divides the time since its creation into named stages."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.last = perf_counter()

    def done(self, stage: str) -> None:
        """Record the end of a stage."""
        now = perf_counter()
        self.stages[stage] = now - self.last
        self.last = now


def compile_in_stages(spec: str, folder: Path) -> dict[str, float]:
    """Compile a net as `netdsl compile` does, stage by stage; return the seconds of each stage."""
    clock = Clock()
    from netdsl.analysis.lint import lint
    from netdsl.backends.onnx.file import write
    from netdsl.backends.onnx.lower import lower
    from netdsl.compiler import read_program
    from netdsl.elaborate.net import elaborate
    from netdsl.elaborate.specs import locate
    from netdsl.passes import optimize
    from netdsl.weights.initial import Initializer, materialize

    clock.done("import")
    path, name = locate(spec)
    module = read_program(path)
    clock.done("parse")
    graph = elaborate(module, name or module.own_nets[0])
    clock.done("elaborate")
    lint(graph, module.file)
    clock.done("lint")
    optimized = optimize(graph, 1)
    clock.done("optimize")
    lowered = lower(optimized)
    clock.done("emit")
    draw = Initializer()
    drawn: dict[str, Array] = {}

    def remember(param: Param) -> Array:
        drawn[param.name] = draw(param)
        return drawn[param.name]

    for param in lowered.params:
        materialize(param, remember)
    clock.done("draw")
    write(lowered, folder / "net.onnx", lambda param: drawn[param.name])
    clock.done("write")
    return clock.stages


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(compile_in_stages(sys.argv[1], Path(directory))))
