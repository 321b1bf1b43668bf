"""The differences between float32 and float64 for every net of the zoo: `tools/zoo_differences.csv`.

`python tools/zoo_differences.py` measures all nets, which takes a quarter of an hour; with the names of nets, it
measures only these. `docs/zoo_figures.md` shows the contents of the file.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from zoo_reference import SHORTER

import netdsl
from netdsl.reference import zoo

FILE = Path(__file__).with_name("zoo_differences.csv")


@dataclass(frozen=True)
class Measured:
    """The largest differences of one net's outputs in float32 from PyTorch in float64.

    They are relative to the largest value of the output, over all outputs, batch sizes and open sizes.

    Attributes:
        net: the net's name.
        arguments: the values of its parameters that make it small enough to run, as a JSON object.
        pytorch: the difference of PyTorch.
        onnxruntime: the difference of onnxruntime at -O1.
        date: the date of the measurement, as 2026-01-31.
        versions: the versions of PyTorch and onnxruntime.
    """

    net: str
    arguments: str
    pytorch: str
    onnxruntime: str
    date: str
    versions: str


def measure(net: str) -> Measured:
    """Run a net with random weights and inputs, for one sample and for three."""
    arguments = SHORTER.get(net, {})
    found = netdsl.load(net, **arguments).verify().comparisons
    pytorch, onnxruntime = (
        f"{max(each.difference.relative for each in found if each.run == run):.1e}"
        for run in ("PyTorch", "onnxruntime -O1")
    )
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "onnxruntime"))
    return Measured(net, json.dumps(arguments), pytorch, onnxruntime, f"{datetime.now(UTC):%Y-%m-%d}", versions)


def known() -> dict[str, Measured]:
    """Return the contents of the file by net."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {row["net"]: Measured(**row) for row in csv.DictReader(file)}


def main() -> None:
    """Command line: `zoo_differences.py [NET...]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("nets", nargs="*")
    names = [entry.name for entry in zoo.entries()]
    for net in parser.parse_args().nets or names:
        found = known() | {net: measure(net)}
        with FILE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Measured)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(found[name]) for name in names if name in found)
        print(net, found[net].pytorch, found[net].onnxruntime, flush=True)


if __name__ == "__main__":
    main()
