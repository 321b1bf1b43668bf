"""How near onnxruntime and PyTorch come to each other: `python tools/layer_figures.py [--markdown FILE]`.

It runs the tests of the layers and sums up, family by family, what they found.
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
    """What `conform` found in each of its calls (tests/support/conformance.py); RuntimeError if a test fails."""
    import pytest

    paths = sorted(map(str, (ROOT / "tests" / "layers").glob("test_layers_*.py")))
    if pytest.main(["-q", "-p", "no:cacheprovider", "--no-summary", *paths]):
        raise RuntimeError("a layer's test fails")
    return list(importlib.import_module("conformance").RECORDS)


def figures(found: Iterable[Any]) -> Figures:
    """The table of families, which are the files of netdsl/layers."""
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
        "A case is a layer with its arguments on random inputs in float32, at batch sizes 1 and 3, in one of the\n"
        "opsets 13 to 21. `ONNX` is the largest difference of onnxruntime's result from the PyTorch module's,\n"
        "`PyTorch` that of the module's from the function of PyTorch that the layer is to equal; each is also given\n"
        "as a share of the largest number in its result. `conform` in tests/support/conformance.py compares them,\n"
        "also in float16 and float64."
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
