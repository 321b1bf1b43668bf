"""Processes that try inputs one after the other, watched from outside: one that dies or hangs is a finding."""

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
"""Processor time of one input."""
MAX_MEGABYTES = 1000
"""Memory of one input, beyond what the process takes without any."""
HANGS_AFTER = 20.0
"""Seconds of wall time after which a worker is ended: with the processor shared, it takes longer than its own time."""

PREPARES = 120.0
"""Seconds more for the first input of a series, before which packages are imported and whole files made."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One input: the module of this name makes and tries the input `index` of the series `name` and `seed`."""

    module: str
    name: str
    seed: int
    index: int


def try_all(jobs: Sequence[Job], workers: int, hangs_after: float = HANGS_AFTER) -> Iterator[tuple[Job, Outcome]]:
    """The outcomes of jobs, in the order in which they come."""
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
                    if outcome is None:  # it was preparing
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
    """A process and the job that it is at, since when."""

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
        """Give it a job; False where there is none."""
        self.job, self.since = job, time.monotonic()
        if job is not None:
            self.since += 0 if job.name in self.known else PREPARES
            self.known.add(job.name)
            self.pipe.send(job)
        return job is not None

    def take(self) -> Outcome | None:
        """The outcome of its job, that it has died, or None where it begins only now."""
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
        """Another process in the place of this one."""
        self.end()
        self._start()

    def end(self) -> None:
        """End the process."""
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
        if job.name not in unready:  # the imports and whole files of a series are no cost of its first input
            unready[job.name] = _unready(module, job.name)
            pipe.send(None)
        pipe.send(unready[job.name] or measured(module, job))


def _unready(module: Any, name: str) -> Outcome | None:
    """Prepare for a series; what comes of all its inputs where that fails."""
    try:
        module.prepare(name)
    except Exception as error:  # noqa: BLE001 - every exception is a finding
        return Outcome("internal error", f"not even whole files: {raised(error)[0]}", raised(error)[1])
    return None


def measured(module: Any, job: Job) -> Outcome:
    """Try a job with limits of time and memory."""
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
    """Let the process take so much more memory than it has; None takes the limit away."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard if megabytes is None else int((_status("VmData") + megabytes) * 1e6)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _reset_peak() -> float:
    """Begin to count the peak memory anew (proc(5), `clear_refs`); gives the memory that is taken now."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - a file of the kernel
        file.write("5")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(name: str) -> float:
    """A figure of this process in MB, as the kernel has it."""
    with open("/proc/self/status") as file:  # noqa: PTH123 - likewise
        line = next(line for line in file if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6
