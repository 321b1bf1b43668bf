"""Programs and files in disorder: `python tools/fuzz.py programs`, `files`, `commands` or `all`.

Every input is made of a seed and its number, so that `--only NUMBER` tries one again. What is wrong is kept in a folder
(`--findings`) with the command that shows it, and makes the exit code 1.
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
"""What makes and tries the inputs of each part."""
COUNTS = {"programs": 20_000, "files": 3_000, "commands": 100}
"""Inputs of the whole series: programs, and damaged files for each reader."""
PATIENCE = {"programs": HANGS_AFTER, "files": HANGS_AFTER, "commands": 90.0}
SHOWN = 15
"""Kinds of findings that are printed at most, and kept in the folder."""


@dataclass
class Tally:
    """What came of a series of inputs.

    Attributes:
        verdicts: how many inputs came to each.
        findings: by what is wrong, the numbers of the inputs.
        seconds: the most processor time that one took.
        megabytes: the most memory that one took, in MB of 10^6 bytes.
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
        """How many inputs are findings."""
        return sum(map(len, self.findings.values()))


class Series:
    """One part with a seed: tries its inputs, keeps what is wrong, and sums up.

    Args:
        part: `programs`, `files` or `commands`.
        names: the readers; of programs, their part's own name.
        seed: another one makes other inputs.
        findings: the folder where what is wrong is kept.
    """

    def __init__(self, part: str, names: Sequence[str], seed: int, findings: Path) -> None:
        self.part, self.names, self.seed, self.findings = part, names, seed, findings
        self.tallies = {name: Tally() for name in names}
        self.minutes = 0.0

    def run(self, indices: Sequence[int], workers: int) -> None:
        """Try the inputs of these numbers, of each name."""
        start = perf_counter()
        jobs = [Job(MODULES[self.part], name, self.seed, index) for name in self.names for index in indices]
        told = start
        for number, (job, outcome) in enumerate(try_all(jobs, workers, PATIENCE[self.part]), start=1):
            if perf_counter() > told + 60:
                told = perf_counter()
                print(f"{self.part}: {number:,} of {len(jobs):,}, {self.wrong:,} findings", file=sys.stderr)
            tally = self.tallies[job.name]
            tally.add(job.index, outcome)
            if outcome.wrong and len(tally.findings[f"{outcome.verdict}: {outcome.detail}"]) == 1:
                self._keep(job, outcome)
        self.minutes = (perf_counter() - start) / 60

    def _keep(self, job: Job, outcome: Outcome) -> None:
        """Write an input, what is wrong with it, and the command that tries it again."""
        folder = self.findings / f"{self.part}-{job.name}-{job.seed}-{job.index}".replace(" ", "_").replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        again = ["python", "tools/fuzz.py", self.part, "--seed", str(job.seed), "--only", str(job.index)]
        if self.part != "programs":
            again += ["--reader", job.name]
        text = f"{shlex.join(again)}\n\n{outcome.verdict}: {outcome.detail}\n\n{outcome.report}\n"
        (folder / "finding.txt").write_text(text, errors="backslashreplace")
        import_module(job.module).keep(job.name, job.seed, job.index, folder)

    def troubles(self) -> str:
        """The findings, those of one kind in a line; empty where there are none."""
        lines = []
        for name, tally in self.tallies.items():
            for what, indices in sorted(tally.findings.items(), key=lambda item: -len(item[1])):
                some = ", ".join(map(str, indices[:5]))
                lines.append(f"{name}: {len(indices)} x {what} ({some}{', ...' if len(indices) > 5 else ''})")
        return "\n".join(lines).encode("ascii", "backslashreplace").decode()

    @property
    def wrong(self) -> int:
        """How many inputs are findings."""
        return sum(tally.wrong for tally in self.tallies.values())

    def figures(self) -> Figures:
        """The series as a table."""
        return {"programs": self._programs, "files": self._files, "commands": self._commands}[self.part]()

    def _programs(self) -> Figures:
        (tally,) = self.tallies.values()
        rows = [[what, f"{tally.verdicts[verdict]:,}"] for verdict, what in PROGRAM_ROWS.items()]
        rows.insert(0, ["programs", f"{tally.verdicts.total():,}"])
        note = (
            "Programs of tests/support/programs.py, single layers, the smaller nets of nets/ and the examples of "
            "docs/language.md, each changed up to four times: numbers, tokens, lines, kinds, arguments, "
            "computed labels, open sizes, element types, parts of the tree. What `check` accepts goes through "
            "ONNX at -O0 and -O1, onnx's full checker and its strict inference, onnxruntime, and PyTorch in "
            "the net's own types and in float64, with sizes as small as the net allows, and larger ones. A "
            "value differs where onnxruntime is further from float64 than verification allows and than "
            f"{FACTOR} times what PyTorch's own rounding makes. Seed {self.seed}, {self.minutes:.1f} minutes."
        )
        return Figures("Programs", fill(note, 118), Table(["what became of them", ">programs"], rows))

    def _files(self) -> Figures:
        rows = [
            [name, f"{t.verdicts.total():,}", f"{t.verdicts['read']:,}", f"{t.verdicts['refused']:,}", *_costs(t)]
            for name, t in self.tallies.items()
        ]
        headings = ["reader", ">files", ">read", ">refused", ">findings", ">slowest (s)", ">largest (MB)"]
        note = (
            "Files that are cut, changed in bits, bytes and numbers, that lie in their headers, sizes, names, "
            "checksums and packed streams, and pipes, devices and folders in their place, read by the "
            "functions of the commands in processes that are watched. A finding is everything but a result or "
            f"a diagnostic: another exception, more than {MAX_SECONDS:g} s of the processor, "
            f"{MAX_MEGABYTES:,} MB beside what the process has, a death, a file left behind. Seed "
            f"{self.seed}, {self.minutes:.1f} minutes."
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
            "Such files read by whole commands, start and imports included. A finding is an exit code other "
            f"than 0, 1 and 2, a traceback, a control character, more than {MAX_SECONDS:g} s of the "
            f"processor, or more than {MAX_MEGABYTES:,} MB. Seed {self.seed}, {self.minutes:.1f} minutes."
        )
        return Figures("Damaged files as whole commands", fill(note, 118), Table(headings, rows))


PROGRAM_ROWS = {
    "refused": "refused by `check`, each with a place and on one screen",
    "too large": "accepted, and too large to be tried",
    "no kernel": "accepted; onnxruntime or PyTorch has no kernel for an element type other than float32 on a CPU",
    "not finite": "run, with shapes and types that agree; float64 itself gives no finite numbers",
    "compared": "run, and compared in shape, type and value",
    "internal error": "internal errors",
    "not run": "accepted, and refused by a backend",
    "type": "disagreements of type",
    "shape": "disagreements of shape",
    "value": "disagreements of value",
    "slow": f"more than {MAX_SECONDS:g} s",
    "memory": f"more than {MAX_MEGABYTES:,} MB",
    "hung": "without an end",
    "died": "deaths of a process",
}


def _costs(tally: Tally) -> list[str]:
    return [f"{tally.wrong:,}", f"{tally.seconds:.1f}", f"{tally.megabytes:.0f}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try, print, and write the page if asked to; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*MODULES, "all"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="inputs, of each reader; the whole series unless given")
    parser.add_argument("--only", type=int, action="append", help="the number of an input; repeat it for several")
    parser.add_argument("--reader", action="append", choices=[*READERS], metavar="READER", help="; ".join(READERS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where to keep what is wrong")
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
