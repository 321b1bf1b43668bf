"""A plugin of pytest that leaves out the tests that need PyTorch: `pytest -p without_torch`.

It counts what it leaves out, so that nothing is left out in silence.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator

ABSENT = ("kornia", "matplotlib", "onnxscript", "pytorch_lightning", "sklearn", "tensorboard", "torch")
"""The packages of the extra `train`, and what tests compare with."""
LEFT_OUT = "a package of the extra `train` is absent"
SAID = re.compile(rf"needs ({'|'.join(ABSENT)}), which is not installed|No module named '({'|'.join(ABSENT)})\b")
"""What a command says that misses one of them."""


class Finder:
    """Leaves out the test, or the whole file of tests, that imports an absent package."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Find nothing: other finders come next."""
        if name.partition(".")[0] in ABSENT:
            raise pytest.skip.Exception(LEFT_OUT, allow_module_level=True)


def pytest_configure() -> None:
    """Come before the other finders."""
    sys.meta_path.insert(0, Finder())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Leave out a test that fails because a command that it starts misses a package."""
    report = yield
    if report.failed and SAID.search(report.longreprtext):
        report.outcome, report.longrepr = "skipped", (__file__, 0, LEFT_OUT)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the files and the tests that ran, and what was left out."""
    stats = terminalreporter.stats
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    ran = {report.nodeid.partition("::")[0] for kind in ("passed", "failed") for report in stats.get(kind, ())}
    left_out = sum(LEFT_OUT in str(report.longrepr) for report in stats.get("skipped", ()))
    terminalreporter.write_line(f"files of tests that ran: {len(ran)} of {len(files)}")
    terminalreporter.write_line(
        f"left out, {LEFT_OUT}: {left_out} tests, and the files {' '.join(sorted(files - ran))}"
    )
