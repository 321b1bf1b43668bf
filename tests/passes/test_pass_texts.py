"""Each pass alone: a net, and the graph that the pass makes of it as text.

`graphs/PASS.txt` holds the cases of a pass, with a line `====` between two. A case is a comment with its name, a net, a
line `----` and the graph. `python -m tests.passes.test_pass_texts --update` writes the graphs anew, for reading in the
diff.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from netdsl.compiler import check_text
from netdsl.ir.invariants import verify
from netdsl.ir.printer import print_graph
from netdsl.passes import PASSES

FOLDER = Path(__file__).parent / "graphs"
CASE, GRAPH = "====\n", "----\n"


def cases(name):
    """The nets and the graphs of a pass."""
    for case in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split(CASE):
        net, _, graph = case.partition(GRAPH)
        yield net, graph


def after(name, net):
    """The graph of a net after one pass."""
    graph = PASSES[name](check_text(net).graph)
    verify(graph)
    return graph


ALL = [
    pytest.param(name, *case, id=f"{name}: {case[0].splitlines()[0][2:]}") for name in PASSES for case in cases(name)
]


@pytest.mark.parametrize(("name", "net", "graph"), ALL)
def test_a_pass_makes_the_graph_of_the_text(name, net, graph):
    assert print_graph(after(name, net)) == graph


@pytest.mark.parametrize(("name", "net"), [pytest.param(*case.values[:2], id=case.id) for case in ALL])
def test_a_pass_changes_no_result(name, net):
    from graphs import run, sample  # not known to `--update`

    plain = check_text(net).graph
    arrays = [sample(3, *(dim if isinstance(dim, int) else 9 for dim in node.type.shape)) for node in plain.inputs]
    for expected, found in zip(run(plain, *arrays), run(after(name, net), *arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_every_text_belongs_to_a_pass():
    assert {path.stem for path in FOLDER.iterdir()} == {*PASSES}


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python -m tests.passes.test_pass_texts --update")
    for name in PASSES:
        text = CASE.join(net + GRAPH + print_graph(after(name, net)) for net, _ in cases(name))
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
