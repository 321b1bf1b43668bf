"""Every diagnostic code with a title and an explanation, as printed by `netdsl explain CODE`.

Codes are stable: a code never gets another meaning. E01 syntax, E02 names, E03 arguments and expressions,
E04 shapes, E05 structure, E06 promises, E07 limits, E08 recipes, E09 files, models and devices, E10 data to train on,
E11 training runs; W01 warnings.
"""

from netdsl.reference.codes.arguments import ARGUMENTS
from netdsl.reference.codes.data import DATA
from netdsl.reference.codes.entry import Code
from netdsl.reference.codes.machine import MACHINE
from netdsl.reference.codes.names import NAMES
from netdsl.reference.codes.runs import RUNS
from netdsl.reference.codes.shapes import SHAPES
from netdsl.reference.codes.structure import STRUCTURE
from netdsl.reference.codes.syntax import SYNTAX
from netdsl.reference.codes.warnings import WARNINGS

__all__ = ["CODES", "Code"]

CODES: dict[str, Code] = {
    **SYNTAX, **NAMES, **ARGUMENTS, **SHAPES, **STRUCTURE, **MACHINE, **DATA, **RUNS, **WARNINGS
}  # fmt: skip
