"""Tests with mutated programs and damaged files: `python tools/fuzz.py programs`, `files`, `commands` or `all`.

Every input is made from a seed and its number, so that `--only NUMBER` repeats one. Inputs that reveal a fault are
called findings. They are written to a folder (`--findings`) with the command that repeats them, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from textwrap import fill
from time import perf_counter
from typing import TYPE_CHECKING

from fuzzing.outcome import FACTOR
from fuzzing.pool import HANGS_AFTER, MAX_MEGABYTES, MAX_SECONDS, Job, try_all
from fuzzing.readers import READERS
from pages import Figures, environment, write_page

from netdsl.base.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzzing.outcome import Outcome

PACKAGES = ["netdsl", "numpy", "onnx", "onnxruntime", "pillow", "safetensors", "torch"]
MODULES = {"programs": "fuzzing.backends", "files": "fuzzing.files", "commands": "fuzzing.commands"}
"""The module that makes and tries the inputs of each part."""
COUNTS = {"programs": 20_000, "files": 3_000, "commands": 100}
"""The number of inputs of the whole series: programs, and damaged files or commands for each reader."""
PATIENCE = {"programs": HANGS_AFTER, "files": HANGS_AFTER, "commands": 90.0}
"""The wall time in seconds after which an input of each part counts as hung."""


@dataclass
class Tally:
    """The results of a series of inputs.

    Attributes:
        verdicts: the number of inputs with each verdict.
        findings: the numbers of the inputs with each fault.
        seconds: the largest processor time of an input.
        megabytes: the largest memory of an input, in MB of 10^6 bytes.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    findings: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    seconds: float = 0.0
    megabytes: float = 0.0

    def add(self, index: int, outcome: Outcome) -> None:
        """Count an outcome."""
        self.verdicts[outcome.verdict] += 1
        self.seconds, self.megabytes = max(self.seconds, outcome.seconds), max(self.megabytes, outcome.megabytes)
        if outcome.wrong:
            self.findings[f"{outcome.verdict}: {outcome.detail}"].append(index)

    @property
    def wrong(self) -> int:
        """The number of inputs that are findings."""
        return sum(map(len, self.findings.values()))


class Series:
    """One part with one seed: tries the inputs, keeps the findings, and makes the table.

    Args:
        part: `programs`, `files` or `commands`.
        names: the readers; for programs, only the name of the part.
        seed: the seed that the inputs are made from.
        findings: the folder in which findings are kept.
    """

    def __init__(self, part: str, names: Sequence[str], seed: int, findings: Path) -> None:
        self.part, self.names, self.seed, self.findings = part, names, seed, findings
        self.tallies = {name: Tally() for name in names}
        self.minutes = 0.0

    def run(self, indices: Sequence[int], workers: int) -> None:
        """Try the inputs with these numbers for each name."""
        start = perf_counter()
        jobs = [Job(MODULES[self.part], name, self.seed, index) for name in self.names for index in indices]
        reported = start
        for number, (job, outcome) in enumerate(try_all(jobs, workers, PATIENCE[self.part]), start=1):
            if perf_counter() > reported + 60:
                reported = perf_counter()
                print(f"{self.part}: {number:,} of {len(jobs):,}, {self.wrong:,} findings", file=sys.stderr)
            tally = self.tallies[job.name]
            tally.add(job.index, outcome)
            if outcome.wrong and len(tally.findings[f"{outcome.verdict}: {outcome.detail}"]) == 1:
                self._keep(job, outcome)
        self.minutes = (perf_counter() - start) / 60

    def _keep(self, job: Job, outcome: Outcome) -> None:
        """Write an input, its fault, and the command that tries it again."""
        folder = self.findings / f"{self.part}-{job.name}-{job.seed}-{job.index}".replace(" ", "_").replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        again = ["python", "tools/fuzz.py", self.part, "--seed", str(job.seed), "--only", str(job.index)]
        if self.part != "programs":
            again += ["--reader", job.name]
        text = f"{shlex.join(again)}\n\n{outcome.verdict}: {outcome.detail}\n\n{outcome.report}\n"
        (folder / "finding.txt").write_text(text, errors="backslashreplace")
        import_module(job.module).keep(job.name, job.seed, job.index, folder)

    def troubles(self) -> str:
        """Return the findings as text, one line for each kind; empty if there are none."""
        lines = []
        for name, tally in self.tallies.items():
            for what, indices in sorted(tally.findings.items(), key=lambda item: -len(item[1])):
                some = ", ".join(map(str, indices[:5]))
                lines.append(f"{name}: {len(indices)} x {what} ({some}{', ...' if len(indices) > 5 else ''})")
        return "\n".join(lines).encode("ascii", "backslashreplace").decode()

    @property
    def wrong(self) -> int:
        """The number of inputs that are findings."""
        return sum(tally.wrong for tally in self.tallies.values())

    def figures(self) -> Figures:
        """Return the table of the series."""
        return {"programs": self._programs, "files": self._files, "commands": self._commands}[self.part]()

    def _programs(self) -> Figures:
        (tally,) = self.tallies.values()
        rows = [[what, f"{tally.verdicts[verdict]:,}"] for verdict, what in PROGRAM_ROWS.items()]
        rows.insert(0, ["programs", f"{tally.verdicts.total():,}"])
        note = (
            "Programs of tests/support/programs.py, single layers, the smaller nets of nets/ and the examples of "
            "docs/language.md, each changed up to four times: numbers, tokens, lines, kinds, arguments, "
            "computed labels, open sizes, element types, parts of the tree. A program that `check` accepts is "
            "compiled to ONNX at -O0 and -O1, checked by onnx's full checker and its strict inference, and run in "
            "onnxruntime and in PyTorch, there in the net's own types and in float64, once with the smallest sizes "
            "that the net allows and once with larger ones. A value counts as different if onnxruntime is further "
            f"from float64 than verification allows, and further than {FACTOR} times the rounding error of PyTorch. "
            f"Seed {self.seed}, {self.minutes:.1f} minutes."
        )
        return Figures("Programs", fill(note, 118), Table(["result", ">programs"], rows))

    def _files(self) -> Figures:
        rows = [
            [name, f"{t.verdicts.total():,}", f"{t.verdicts['read']:,}", f"{t.verdicts['refused']:,}", *_costs(t)]
            for name, t in self.tallies.items()
        ]
        headings = ["reader", ">files", ">read", ">refused", ">findings", ">slowest (s)", ">largest (MB)"]
        note = (
            "Files that are cut off, that have changed bits, bytes and numbers, or wrong headers, sizes, names, "
            "checksums and compressed streams, and pipes, devices and folders in the place of a file. The functions "
            "of the commands read them in watched processes. Everything but a result or a diagnostic is a finding: "
            f"another exception, more than {MAX_SECONDS:g} s of processor time, more than {MAX_MEGABYTES:,} MB of "
            "additional memory, the death of the process, a file left behind. "
            f"Seed {self.seed}, {self.minutes:.1f} minutes."
        )
        return Figures("Damaged files", fill(note, 118), Table(headings, rows))

    def _commands(self) -> Figures:
        rows = [
            [
                name,
                f"`netdsl {READERS[name].commands[0]}`",
                *(f"{t.verdicts[code]:,}" for code in ("0", "1", "2")),
                *_costs(t),
            ]
            for name, t in self.tallies.items()
        ]
        headings = ["reader", "command", ">exit 0", ">exit 1", ">exit 2", ">findings", ">slowest (s)", ">largest (MB)"]
        note = (
            "Such files read by whole commands, with start-up and imports. A finding is an exit code other "
            f"than 0, 1 and 2, a traceback, a control character, more than {MAX_SECONDS:g} s of processor "
            f"time, or more than {MAX_MEGABYTES:,} MB. Seed {self.seed}, {self.minutes:.1f} minutes."
        )
        return Figures("Damaged files as whole commands", fill(note, 118), Table(headings, rows))


PROGRAM_ROWS = {
    "refused": "refused by `check`, with a place, on one screen",
    "too large": "accepted, but too large to be tried",
    "no kernel": "accepted, but onnxruntime or PyTorch lacks a CPU kernel for an element type other than float32",
    "not finite": "run, with equal shapes and types; not even float64 gives finite numbers",
    "compared": "run, and compared in shape, type and value",
    "internal error": "internal errors",
    "not run": "accepted, but refused by a backend",
    "type": "different types",
    "shape": "different shapes",
    "value": "different values",
    "slow": f"more than {MAX_SECONDS:g} s",
    "memory": f"more than {MAX_MEGABYTES:,} MB",
    "hung": "hung",
    "died": "died",
}


def _costs(tally: Tally) -> list[str]:
    return [f"{tally.wrong:,}", f"{tally.seconds:.1f}", f"{tally.megabytes:.0f}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try, print, and write the page if asked to; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*MODULES, "all"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="the number of inputs for each reader; the whole series by default")
    parser.add_argument("--only", type=int, action="append", help="the number of an input; repeat it for several")
    parser.add_argument("--reader", action="append", choices=[*READERS], metavar="READER", help="; ".join(READERS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="the folder for findings")
    parser.add_argument("--markdown", type=Path, help="write the page here")
    given = parser.parse_args(arguments)
    series = []
    for part in MODULES if given.part == "all" else [given.part]:
        names = [part] if part == "programs" else given.reader or [*READERS]
        one = Series(part, names, given.seed, given.findings)
        one.run(given.only or range(given.count or COUNTS[part]), given.workers)
        print(one.figures().text())
        if one.wrong:
            print(f"{one.troubles()}\n\n{one.wrong:,} findings; the first of each kind is in {given.findings}\n")
        series.append(one)
    if given.markdown:
        facts = environment(PACKAGES)
        write_page(given.markdown, "Robustness", "python tools/fuzz.py all --markdown docs/robustness.md", facts,
                   [one.figures() for one in series])  # fmt: skip
    return 1 if any(one.wrong for one in series) else 0


if __name__ == "__main__":
    sys.exit(main())
