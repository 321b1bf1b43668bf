"""Processes that try inputs one after the other, and are watched: the death of a process is a finding, as is a hang."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from fuzzing.outcome import Outcome, raised

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

MAX_SECONDS = 5.0
"""The largest processor time of an input, in seconds."""
MAX_MEGABYTES = 1000
"""The largest memory of an input in MB, in addition to that of the process before."""
HANGS_AFTER = 20.0
"""The wall time in seconds after which a worker is killed; longer than the processor time, which workers share."""

PREPARES = 120.0
"""Additional seconds for the first input of a series, which imports packages and makes valid files."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """An input: `module` makes and tries the input `index` of the series `name` with `seed`."""

    module: str
    name: str
    seed: int
    index: int


def try_all(jobs: Sequence[Job], workers: int, hangs_after: float = HANGS_AFTER) -> Iterator[tuple[Job, Outcome]]:
    """Yield jobs with their outcomes, in the order in which they finish."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    waiting = iter(jobs)
    pool = [_Worker() for _ in range(min(workers, len(jobs)))]
    busy = [worker for worker in pool if worker.give(next(waiting, None))]
    try:
        while busy:
            patience = max(0.0, min(worker.since for worker in busy) + hangs_after - time.monotonic())
            ready = wait([worker.pipe for worker in busy], patience)
            for worker in [*busy]:
                job = worker.job
                assert job is not None  # noqa: S101 - it is busy
                if worker.pipe in ready:
                    outcome = worker.take()
                    if outcome is None:  # it has only prepared the series
                        continue
                    yield job, outcome
                elif time.monotonic() - worker.since >= hangs_after:
                    worker.restart()
                    yield job, Outcome("hung", f"no end after {hangs_after:g} s")
                else:
                    continue
                if not worker.give(next(waiting, None)):
                    busy.remove(worker)
    finally:
        for worker in pool:
            worker.end()


class _Worker:
    """A process, its current job, and when the job began."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.since = 0.0
        self._start()

    def _start(self) -> None:
        self.known: set[str] = set()
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=False)
        self.process.start()
        theirs.close()
        self.pipe.recv()  # it has begun

    def give(self, job: Job | None) -> bool:
        """Send a job; return False if there is none."""
        self.job, self.since = job, time.monotonic()
        if job is not None:
            self.since += 0 if job.name in self.known else PREPARES
            self.known.add(job.name)
            self.pipe.send(job)
        return job is not None

    def take(self) -> Outcome | None:
        """Return the outcome of the job, or that the process died; None if it has only prepared the series."""
        try:
            outcome: Outcome | None = self.pipe.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self.restart()
            return Outcome("died", f"the process died with {code}")
        if outcome is None:
            self.since = time.monotonic()
        return outcome

    def restart(self) -> None:
        """Replace the process by a new one."""
        self.end()
        self._start()

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection[Any, Any]) -> None:
    """Try jobs until the pipe is closed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    unready: dict[str, Outcome | None] = {}
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        module = import_module(job.module)
        if job.name not in unready:  # its first input does not count imports and valid files
            unready[job.name] = _unready(module, job.name)
            pipe.send(None)
        pipe.send(unready[job.name] or measured(module, job))


def _unready(module: Any, name: str) -> Outcome | None:
    """Prepare a series; return the outcome of all its inputs if that fails, or else None."""
    try:
        module.prepare(name)
    except Exception as error:  # noqa: BLE001 - every exception is a finding
        return Outcome("internal error", f"not even valid files: {raised(error)[0]}", raised(error)[1])
    return None


def measured(module: Any, job: Job) -> Outcome:
    """Try a job with limited memory, and measure its time and memory."""
    _limit(MAX_MEGABYTES)
    before, start = _reset_peak(), time.process_time()
    try:
        found: Outcome = module.attempt(job.name, job.seed, job.index)
    except MemoryError as error:
        found = Outcome("memory", f"more than {MAX_MEGABYTES} MB: {raised(error)[0]}", raised(error)[1])
    except Exception as error:  # noqa: BLE001 - every exception is a finding
        found = Outcome("internal error", *raised(error))
    seconds, megabytes = time.process_time() - start, max(0.0, _peak() - before)
    _limit(None)
    if not found.wrong and seconds > MAX_SECONDS:
        found = Outcome("slow", f"more than {MAX_SECONDS:g} s")
    if not found.wrong and megabytes > MAX_MEGABYTES:
        found = Outcome("memory", f"more than {MAX_MEGABYTES} MB")
    return Outcome(
        found.verdict, found.detail, found.report, max(seconds, found.seconds), max(megabytes, found.megabytes)
    )


def _limit(megabytes: int | None) -> None:
    """Let the process take only this much additional memory; None removes the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard if megabytes is None else int((_status("VmData") + megabytes) * 1e6)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _reset_peak() -> float:
    """Reset the peak memory (proc(5), `clear_refs`), and return the current memory in MB."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - a file of the kernel
        file.write("5")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(name: str) -> float:
    """Return a figure of this process from the kernel, in MB."""
    with open("/proc/self/status") as file:  # noqa: PTH123 - likewise
        line = next(line for line in file if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6
