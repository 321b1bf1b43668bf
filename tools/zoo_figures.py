"""The page `docs/zoo_figures.md`, which compares the figures of each net of the zoo with published ones.

`python tools/zoo_figures.py` writes it within a minute, and a test fails when it is out of date. The differences, which
take long to measure, are those of `tools/zoo_differences.py`.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import torch
import zoo_differences
from pages import Figures, write_page
from processes import ROOT
from zoo_lines import net_lines, python_lines
from zoo_reference import (
    DOCUMENTED,
    MILLION_MACS,
    PUBLISHED,
    SAME_CLASS,
    TORCHVISION,
    VISION_TRANSFORMERS,
    checkpoint,
    vision_transformer,
)

from netdsl import load
from netdsl.analysis.counts import count_macs, count_params
from netdsl.base.table import Table, exact
from netdsl.compiler import check, compile_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from torch.nn import Module
    from zoo_differences import Measured

COMMAND = "python tools/zoo_figures.py"
FACTS = """\
It compares the figures of netdsl for each net
of the zoo with those of other sources ("theirs").

- Lines are the lines that the net needs: its own, those of the net that it is a variant of and of the blocks that they
  name, and the `use` and `default` of their files. The next columns have the lines of the file that `netdsl compile NET
  --to pytorch` writes, and their ratio. Only lines of code count: no comments, docstrings and empty lines, and no
  promises, labels and recipes, which the file in PyTorch does not have.
- MACs are multiply-accumulates per sample; a letter stands for an open size.
- Keys are the keys of torchvision's checkpoint that the net has, too.
- Nodes are the nodes of the ONNX model at `-O1`.
- PyTorch and onnxruntime are the largest differences of their float32 results, onnxruntime at `-O1`, from PyTorch in
  float64, relative to the output's largest value: on the CPU, with random weights and inputs, for one sample and for
  three. Large nets were made smaller by the arguments in the last column.

`python tools/zoo_differences.py` measured the differences on {dates} with {versions}."""
SECTIONS: list[tuple[str, str, Collection[str]]] = [
    ("Counted by torchvision", "Their figures were counted on the modules of torchvision 0.28.", TORCHVISION),
    (
        "Documented by torchvision",
        "Their figures are from its documentation, which rounds MACs; keys are given for the classes in tests/support.",
        DOCUMENTED,
    ),
    ("Published", "Their figures were counted by hand from papers, or on the same nets in plain PyTorch.", PUBLISHED),
]
HEADINGS = [
    "net", ">lines", ">in PyTorch", ">times", ">parameters", ">theirs", ">MACs", ">theirs", ">keys", ">nodes",
    ">PyTorch", ">onnxruntime", "run with",
]  # fmt: skip


def main(folder: Path = ROOT / "docs") -> None:
    """Write the page to a folder."""
    measured = zoo_differences.known()
    facts = FACTS.format(
        dates=_listed(each.date for each in measured.values()),
        versions=_listed(each.versions for each in measured.values()),
    )
    write_page(folder / "zoo_figures.md", "Figures of the zoo", COMMAND, facts, sections(measured))


def sections(measured: Mapping[str, Measured]) -> list[Figures]:
    """Return a table for each kind of source."""
    keys = _keys()
    return [
        Figures(title, note, Table(HEADINGS, [_row(name, keys, measured[name]) for name in figures]))
        for title, note, figures in SECTIONS
    ]


def _row(name: str, keys: Mapping[str, Sequence[str]], measured: Measured) -> list[str]:
    graph = check(name).graph
    theirs = keys.get(name, ())
    arguments = json.loads(measured.arguments)
    lines, longer = len(net_lines(name)), len(python_lines(load(name).to_torch_source()))
    return [
        f"`{name}`",
        str(lines),
        str(longer),
        f"{longer / lines:.1f}",
        exact(count_params(graph)),
        f"{_params(name):,}",
        exact(count_macs(graph)).replace("*", r"\*"),
        _macs(name),
        f"{len(graph.params.keys() & theirs)} of {len(theirs)}" if theirs else "",
        str(len(compile_graph(graph).proto.graph.node)),
        measured.pytorch,
        measured.onnxruntime,
        " ".join(f"{argument}={value}" for argument, value in arguments.items()),
    ]


def _params(name: str) -> int:
    """Return the number of trainable parameters from another source."""
    if name in PUBLISHED:
        return PUBLISHED[name]
    return int(TORCHVISION[name]["trainable_params"] if name in TORCHVISION else DOCUMENTED[name]["params"])


def _macs(name: str) -> str:
    """Return the multiply-accumulates from another source; empty if there is none."""
    if name in TORCHVISION:
        return f"{int(TORCHVISION[name]['conv_linear_macs']):,}"
    if name in DOCUMENTED:
        return f"{DOCUMENTED[name]['gmacs']} G"
    return f"{MILLION_MACS[name]} M" if name in MILLION_MACS else ""


def _keys() -> dict[str, list[str]]:
    """Return the keys of torchvision's checkpoint of each net, without the counters of batches."""
    sys.path.append(str(ROOT / "tests" / "support"))  # it has classes of torchvision in plain PyTorch
    written: dict[str, Callable[[], Module]] = import_module("zoo_peers.named").NAMED
    with torch.device("meta"):
        states = {name: build().state_dict() for name, build in written.items()}
    tensors = {
        **{name: checkpoint(name) for name in TORCHVISION},
        **{name: checkpoint(other) for name, other in SAME_CLASS.items()},
        **{name: vision_transformer(name) for name in VISION_TRANSFORMERS},
    }
    return {
        **{name: [key for key, _ in found] for name, found in tensors.items()},
        **{name: [key for key in state if not key.endswith("num_batches_tracked")] for name, state in states.items()},
    }


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(sorted(set(texts)))


if __name__ == "__main__":
    main()
