"""What each net of the zoo is held to, net by net: `docs/zoo_figures.md`.

`python tools/zoo_figures.py` writes it within a minute, and a test holds it current. The differences, which take long
to measure, are those of `tools/zoo_differences.py`.
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
Each net of the zoo stands here
with what others count for it, beside what netdsl does.

- Lines are those that the net needs: its own, those of the net it is a variant of and of the blocks that they name, and
  the `use` and `default` of their files. Beside them stand those of the file that `netdsl compile NET --to pytorch`
  writes, and how many times as many they are. On both sides these are lines of code: no comments, docstrings and empty
  lines, and no promises, labels and recipes, of which the file in PyTorch has none.
- MACs are multiply-accumulates of one sample; a letter is a size left open.
- Keys are those of torchvision's checkpoint that ours has, too.
- Nodes are those of the ONNX model at `-O1`.
- PyTorch and onnxruntime are the largest differences of what they compute in float32, onnxruntime at `-O1`, from what
  PyTorch computes in float64, as shares of the output's largest value: on the CPU, with random weights and inputs, one
  sample and three. Large nets ran smaller, with the arguments beside.

`python tools/zoo_differences.py` measured the differences on {dates} with {versions}."""
SECTIONS: list[tuple[str, str, Collection[str]]] = [
    ("Counted by torchvision", "Theirs were counted on the modules of torchvision 0.28.", TORCHVISION),
    (
        "Documented by torchvision",
        "Theirs are what its documentation says, which rounds MACs; keys are there where a class was written down.",
        DOCUMENTED,
    ),
    ("Published", "Theirs were counted by hand from papers, or on the same nets in plain PyTorch.", PUBLISHED),
]
HEADINGS = [
    "net", ">lines", ">in PyTorch", ">times", ">parameters", ">theirs", ">MACs", ">theirs", ">keys", ">nodes",
    ">PyTorch", ">onnxruntime", "run with",
]  # fmt: skip


def main(folder: Path = ROOT / "docs") -> None:
    """Write the page into a folder."""
    measured = zoo_differences.known()
    facts = FACTS.format(
        dates=_listed(each.date for each in measured.values()),
        versions=_listed(each.versions for each in measured.values()),
    )
    write_page(folder / "zoo_figures.md", "Figures of the zoo", COMMAND, facts, sections(measured))


def sections(measured: Mapping[str, Measured]) -> list[Figures]:
    """A table for each kind of reference."""
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
    """Trainable parameters, as others count them."""
    if name in PUBLISHED:
        return PUBLISHED[name]
    return int(TORCHVISION[name]["trainable_params"] if name in TORCHVISION else DOCUMENTED[name]["params"])


def _macs(name: str) -> str:
    """Multiply-accumulates, as others give them; empty where they do not."""
    if name in TORCHVISION:
        return f"{int(TORCHVISION[name]['conv_linear_macs']):,}"
    if name in DOCUMENTED:
        return f"{DOCUMENTED[name]['gmacs']} G"
    return f"{MILLION_MACS[name]} M" if name in MILLION_MACS else ""


def _keys() -> dict[str, list[str]]:
    """The keys that torchvision's checkpoints of a net have, without the counters of batches."""
    sys.path.append(
        str(ROOT / "tests" / "support")
    )  # which has classes of torchvision's, written down in plain PyTorch
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
