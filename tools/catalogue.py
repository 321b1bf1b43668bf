"""The pages of reference: `docs/layers.md` and `docs/zoo.md`, written from the layers and the nets themselves.

`python tools/catalogue.py` writes both anew; it takes some seconds, and a test holds them current.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from pages import Figures, write_page

from netdsl import reference, zoo
from netdsl.table import Table, exact, short

COMMAND = "python tools/catalogue.py"
LAYERS = """\
Every layer of the language stands here with its arguments
and their defaults. `netdsl layers NAME` says more of one: its formula, shapes, parameters, MACs and source."""
ZOO = """\
These nets come with netdsl and are known by name
in any folder: `netdsl compile resnet50`. MACs are multiply-accumulates of one sample; a letter is a size left open."""


def main(folder: Path = Path(__file__).parents[1] / "docs") -> None:
    """Write both pages into a folder."""
    write_page(folder / "layers.md", "Layers", COMMAND, LAYERS, layers())
    write_page(folder / "zoo.md", "The zoo", COMMAND, ZOO, nets())


def layers() -> list[Figures]:
    """A table for each family."""
    sections = []
    for family, members in groupby(reference.entries(), lambda entry: entry.family):
        rows = [[f"`{entry.call}`", _cell(entry.first)] for entry in members]
        sections.append(Figures(_cell(family), "", Table(["layer", "what it is"], rows)))
    return sections


def nets() -> list[Figures]:
    """A table for each file."""
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
    """A text within a table of Markdown."""
    return text.replace("|", r"\|").replace("*", r"\*")


if __name__ == "__main__":
    main()
