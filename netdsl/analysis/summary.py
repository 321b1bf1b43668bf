"""The summary of a net: a table of its layers and the totals, as text, HTML and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from netdsl.analysis.figures import Figures, as_number
from netdsl.analysis.receptive import WHOLE
from netdsl.base.table import Table, exact, short, size

if TYPE_CHECKING:
    from netdsl.analysis.figures import Row
    from netdsl.analysis.receptive import View
    from netdsl.ir.types import TensorType


@dataclass(frozen=True)
class Summary:
    """The summary of a net.

    Attributes:
        net: the net's name.
        inputs: the types of the inputs by name.
        outputs: the types of the outputs by name.
        rows: blocks before their members, in the order of the file.
        totals: the counts of the compiled graph.
        aux: the counts of what only the training graph has.
        constraints: the conditions on symbolic sizes, as they are written.
    """

    net: str
    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType]
    rows: tuple[Row, ...]
    totals: Figures
    aux: Figures = field(default_factory=Figures)
    constraints: tuple[str, ...] = ()

    def to_depth(self, depth: int | None) -> tuple[Row, ...]:
        """The rows with fewer than `depth` scopes around them; all rows for None."""
        return tuple(row for row in self.rows if depth is None or row.depth < depth)

    def as_json(self, depth: int | None = None) -> dict[str, Any]:
        """A JSON object with the rows that have fewer than `depth` scopes around them."""
        return {
            "net": self.net,
            "inputs": {name: [as_number(dim) for dim in type_.shape] for name, type_ in self.inputs.items()},
            "outputs": {name: [as_number(dim) for dim in type_.shape] for name, type_ in self.outputs.items()},
            "constraints": list(self.constraints),
            "layers": [row.as_json() for row in self.to_depth(depth)],
            "totals": self.totals.as_json(),
            "training_only": self.aux.as_json(),
        }

    def __repr__(self) -> str:
        return render(self)

    def _repr_html_(self) -> str:
        return render_html(self)


def render(summary: Summary, depth: int | None = None, *, neurons: bool = False) -> str:
    """The summary as text: a headline, the table, the totals.

    Args:
        summary: what to print.
        depth: the number of levels of blocks to open; None opens all.
        neurons: add the columns of neurons and connections.
    """
    return "\n\n".join([headline(summary), table(summary, depth, neurons=neurons).text(), totals(summary, neurons)])


def render_html(summary: Summary) -> str:
    """The summary for a notebook."""
    return (
        f"<p><b>{escape(headline(summary))}</b></p>{table(summary).html()}<pre>{escape(totals(summary, False))}</pre>"
    )


def headline(summary: Summary) -> str:
    """One line: the net, its inputs, its outputs, and the conditions on symbolic sizes."""
    inputs, outputs = (
        ", ".join(f"{name} {type_}" for name, type_ in types.items()) for types in (summary.inputs, summary.outputs)
    )
    where = f" where {', '.join(summary.constraints)}" if summary.constraints else ""
    return f"{summary.net}: {inputs} -> {outputs}{where}"


def table(summary: Summary, depth: int | None = None, *, neurons: bool = False) -> Table:
    """The table: members of a block are indented under it, and the block's line holds their sum."""
    headings = ["name", "layer", "output", ">parameters", ">MACs", ">memory", ">sees"]
    extra = [">neurons", ">connections"] if neurons else []
    return Table([*headings, *extra], [_cells(row, neurons) for row in summary.to_depth(depth)])


def totals(summary: Summary, neurons: bool) -> str:
    """The totals, exact numbers first."""
    sums, aux = summary.totals, summary.aux
    not_trained = f", and {exact(sums.buffers)} elements that are not trained" if sums.buffers else ""
    lines = [
        ("parameters", f"{exact(sums.params)}{not_trained} ({size(sums.weight_bytes)})"),
        ("MACs", f"{exact(sums.macs)} ({short(sums.macs)})" if isinstance(sums.macs, int) else exact(sums.macs)),
        ("activations", f"{size(sums.activation_bytes)} for one sample"),
    ]
    if neurons:
        lines += [("neurons", exact(sums.neurons)), ("connections", exact(sums.connections))]
    if aux.params:
        lines.append(("training only", f"{exact(aux.params)} parameters more, {short(aux.macs)} MACs more"))
    return "\n".join(f"{name:<13}  {text}" for name, text in lines)


def _cells(row: Row, neurons: bool) -> list[str]:
    counts = row.figures
    last = row.name.rsplit(".", 1)[-1] if row.depth else row.name
    parameters = "shared" if row.shared else short(counts.params) if counts.params else "-"
    cells = [
        "  " * row.depth + last + (" (training)" if row.aux else ""),
        row.layer,
        str(row.output),
        parameters,
        short(counts.macs) if counts.macs != 0 else "-",
        size(counts.activation_bytes) if counts.activation_bytes != 0 else "-",
        _field(row.view),
    ]
    if neurons:
        cells += [short(count) if count != 0 else "-" for count in (counts.neurons, counts.connections)]
    return cells


def _field(view: View | None) -> str:
    if view is None:
        return ""
    return "all" if view is WHOLE else "x".join(map(str, view.field))
