"""The reference pages `docs/layers.md`, `docs/recipes.md` and `docs/zoo.md`, written from the layers, words and nets.

`python tools/catalogue.py` writes them in a few seconds; a test fails when they are out of date.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from pages import Figures, write_page

from netdsl.base.table import Table, exact, short
from netdsl.reference import layers as reference
from netdsl.reference import zoo

COMMAND = "python tools/catalogue.py"
LAYERS = """\
It lists every layer of the language with its arguments
and their defaults. `netdsl layers NAME` describes one: its formula, shapes, parameters, MACs and source."""
RECIPES = """\
It lists what a `train` block can contain:
its entries, the words that they begin with, and their arguments with the defaults, which are those of the class in
brackets. An argument without a default must be given. `netdsl recipe WORD` shows the values that an argument takes;
on the command line, `--set train.batch=7`, `--set train.lr=0.5` and `--set "train.optimizer=adam lr=1e-3"` change a
recipe."""
ZOO = """\
These nets come with netdsl and are known by name
in any folder: `netdsl compile resnet50`. MACs are multiply-accumulates per sample; a letter stands for an open size."""


def main(folder: Path = Path(__file__).parents[1] / "docs") -> None:
    """Write the pages to a folder."""
    write_page(folder / "layers.md", "Layers", COMMAND, LAYERS, described("layer", reference.layers()))
    write_page(folder / "recipes.md", "Recipes", COMMAND, RECIPES, described("entry or word", reference.words()))
    write_page(folder / "zoo.md", "The zoo", COMMAND, ZOO, nets())


def described(what: str, entries: list[reference.Entry]) -> list[Figures]:
    """Return a table for each family."""
    sections = []
    for family, members in groupby(entries, lambda entry: entry.family):
        rows = [[f"`{entry.call}`", _cell(entry.first)] for entry in members]
        sections.append(Figures(_cell(family), "", Table([what, "what it is"], rows)))
    return sections


def nets() -> list[Figures]:
    """Return a table for each file."""
    sections = []
    for path, members in groupby(zoo.entries(), lambda entry: entry.path):
        known = list(members)
        note = "\n".join(f"{paper}." for paper in known[0].papers)
        rows = [
            [f"`{net.name}`", ", ".join(map(str, net.inputs)), exact(net.params), _cell(short(net.macs))]
            for net in known
        ]
        headings = ["net", "input", ">parameters", ">MACs"]
        sections.append(Figures(_cell(known[0].title), f"{note}\n`nets/{path.name}`".strip(), Table(headings, rows)))
    return sections


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return text.replace("|", r"\|").replace("*", r"\*")


if __name__ == "__main__":
    main()
