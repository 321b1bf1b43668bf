"""How closely onnxruntime and PyTorch agree: `python tools/layer_figures.py [--markdown FILE]`.

It runs the tests of the layers and shows the largest differences that they found for each family.
"""

from __future__ import annotations

import argparse
import importlib
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pages import Figures, environment, write_page

from netdsl.base.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent
PACKAGES = ["netdsl", "numpy", "onnx", "onnxruntime", "torch"]
HEADINGS = ["family", ">layers", ">cases", ">ONNX", ">of the largest", ">PyTorch", ">of the largest"]


def records() -> list[Any]:
    """Run the tests of the layers, and return what each call of `conform` found (tests/support/conformance.py).

    Raises:
        RuntimeError: a test fails.
    """
    import pytest

    paths = sorted(map(str, (ROOT / "tests" / "layers").glob("test_layers_*.py")))
    if pytest.main(["-q", "-p", "no:cacheprovider", "--no-summary", *paths]):
        raise RuntimeError("a layer's test fails")
    return list(importlib.import_module("conformance").RECORDS)


def figures(found: Iterable[Any]) -> Figures:
    """Return the table of families, which are the files of netdsl/layers."""
    singles = sorted((record for record in found if record.dtype == "float32"), key=_family)
    rows = []
    for family, group in groupby(singles, _family):
        members = list(group)
        kinds = {record.layer.kind for record in members}
        sides = (tuple(getattr(record, side) for record in members) for side in ("onnx", "torch"))
        apart = [max(numbers) for differences in sides for numbers in zip(*differences, strict=True)]
        counts = [f"{len(kinds)}", f"{len(members)}"]
        rows.append([family, *counts, *(f"{number:.1e}" if number else "0" for number in apart)])
    note = (
        "A case is a layer with arguments and random inputs in float32, at batch sizes 1 and 3, in one of the\n"
        "opsets 13 to 21. `ONNX` is the largest difference between the results of onnxruntime and of the PyTorch\n"
        "module, and `PyTorch` the largest between those of the module and of the PyTorch function that defines the\n"
        "layer. Each is also given relative to the largest number in the result. `conform` in\n"
        "tests/support/conformance.py compares them, also in float16 and float64."
    )
    return Figures("Layers", note, Table(HEADINGS, rows))


def _family(record: Any) -> str:
    return str(type(record.layer).__module__).rpartition(".")[2]


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", type=Path, help="write the page here")
    page = parser.parse_args().markdown
    measured = figures(records())
    print(measured.text())
    if page:
        write_page(page, "Conformance", "python tools/layer_figures.py --markdown docs/conformance.md",
                   environment(PACKAGES), [measured])  # fmt: skip


if __name__ == "__main__":
    main()
