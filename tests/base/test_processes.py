"""Many files at once: the same results as one after the other, and what goes wrong in another process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netdsl.base import processes as parallel
from netdsl.base.diagnostics import NetdslError, render
from netdsl.base.processes import MAX_FILES_DONE_ALONE, side_by_side
from netdsl.compiler import check_file, check_files
from netdsl.elaborate.specs import net_files

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
MANY = range(3 * MAX_FILES_DONE_ALONE)

if sys.platform != "linux":
    pytest.skip("elsewhere files are checked one after the other", allow_module_level=True)


@pytest.fixture(autouse=True)
def _two_processors(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    monkeypatch.setattr(parallel, "_can_be_copied", lambda: True)  # though the tests' own process has threads


def where(_):
    time.sleep(0.01)  # long enough for the others to be given some
    return os.getpid()


def refuse_the_last(number):
    return check_file(Path("there is none.net")).diagnostics[0] if number < MANY[-1] else fail(number)


def fail(number):
    raise NetdslError([check_file(Path(f"{number}.net")).diagnostics[0]] * 2)


def end(number):
    if number == MANY[-1]:
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_work_is_spread():
    assert len({*side_by_side(where, MANY)} - {os.getpid()}) == 2


def test_for_few_no_process_is_started():
    assert side_by_side(where, MANY[:MAX_FILES_DONE_ALONE]) == [os.getpid()] * MAX_FILES_DONE_ALONE


def test_on_one_processor_no_process_is_started(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 1)
    assert side_by_side(where, MANY) == [os.getpid()] * len(MANY)


def test_a_process_with_threads_is_not_copied():
    code = """
import threading
from netdsl.base.processes import _can_be_copied
print(_can_be_copied())
done = threading.Event()
threading.Thread(target=done.wait).start()
print(_can_be_copied())
done.set()
"""
    found = subprocess.check_output([sys.executable, "-c", code], env=ENVIRONMENT, text=True)
    assert found.split() == ["True", "False"]


def test_where_no_process_can_be_started_the_work_is_done_all_the_same(monkeypatch):
    def refused(*_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", refused)
    assert side_by_side(where, MANY) == [os.getpid()] * len(MANY)


def test_files_are_reported_on_as_one_after_the_other():
    files = net_files(ROOT / "tests" / "diagnostics" / "errors")
    assert len(files) > MAX_FILES_DONE_ALONE
    alone, together = [check_file(path) for path in files], check_files(files)
    assert [report.nets for report in together] == [report.nets for report in alone]
    for one, other in zip(alone, together, strict=True):
        assert [render(found) for found in other.diagnostics] == [render(found) for found in one.diagnostics]
        assert [found.as_json() for found in other.diagnostics] == [found.as_json() for found in one.diagnostics]


def test_an_error_in_another_process_is_that_error():
    with pytest.raises(NetdslError, match=f"{MANY[-1]}.net") as raised:
        side_by_side(refuse_the_last, MANY)
    assert [found.code for found in raised.value.diagnostics] == ["E0901", "E0901"]


def test_a_process_that_the_system_ends_is_told():
    with pytest.raises(MemoryError, match="the system has ended a process"):
        side_by_side(end, MANY)


def test_an_interrupt_ends_all(tmp_path):
    for number in MANY:
        (tmp_path / f"{number}.net").touch()
    code = f"""
import time
from pathlib import Path
from netdsl import compiler
from netdsl.cli import main

def check(path):
    path.with_suffix(".begun").touch()
    time.sleep(3)

compiler.check_file = check
main(["check", {str(tmp_path)!r}])
"""
    command = [sys.executable, "-c", code]
    started = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while started.poll() is None and not list(tmp_path.glob("*.begun")):
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (130, "\ninterrupted\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(started.pid, 0)
