"""Runs jobs in worker processes that may hang or die without taking the run along.

A job whose worker dies or outlasts its time is done again a cell at a time; a cell that fails
so twice is given up, with the worker's last words.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from workbench.measure import Bench, Rows, Setting, coded_row
from workbench.plan import Job

# Enough that a worker never waits for the host, few enough that memory stays flat.
JOBS_A_WORKER = 3

_bench: Bench | None = None


def run(setting: Setting, jobs: Iterable[Job], *, timeout_s: float) -> Iterator[tuple[Job, Rows]]:
    """Yield each job with its rows, as they finish, on ``setting.workers`` processes.

    Args:
        timeout_s: a cell may take this long; a job this long a cell.
    """
    fresh = iter(jobs)
    again: deque[Job] = deque()
    running: dict[Future[Rows], tuple[Job, bool]] = {}
    with tempfile.TemporaryDirectory(prefix="workbench-") as logs:
        pool = ProcessPool(
            max_workers=setting.workers,
            # Forking a process that has threads, as ours does, may deadlock the child.
            context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=[logs, setting.threads],
        )
        try:
            while True:
                room = setting.workers * JOBS_A_WORKER - len(running)
                retries = [again.popleft() for _ in range(min(room, len(again)))]
                for job in retries:
                    running[_schedule(pool, setting, job, timeout_s)] = (job, True)
                for job in islice(fresh, room - len(retries)):
                    running[_schedule(pool, setting, job, timeout_s)] = (job, False)
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, is_retry = running.pop(future)
                    reason = _reason(future, timeout_s, Path(logs))
                    if reason is None:
                        yield job, future.result()
                    elif is_retry:
                        yield (
                            job,
                            [
                                ("coded", coded_row(setting, job, cell, error=reason))
                                for cell in job.cells
                            ],
                        )
                    else:
                        again += job.alone()
        finally:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _schedule(pool: ProcessPool, setting: Setting, job: Job, timeout_s: float) -> Future[Rows]:
    future: Future[Rows] = pool.schedule(
        _work, args=[setting, job], timeout=timeout_s * len(job.cells)
    )
    return future


def _reason(future: Future[Rows], timeout_s: float, logs: Path) -> str | None:
    """Why a worker gave no rows; errors of the host itself are raised."""
    error = future.exception()
    if isinstance(error, TimeoutError):
        return f"took longer than {timeout_s:g} s: raise --timeout if it needs more"
    if isinstance(error, ProcessExpired):
        code = error.exitcode
        how = f"exit code {code}"
        if code < 0:
            how = f"signal {-code} ({signal.strsignal(-code)})"
        return f"its process died with {how}{_last_words(logs, error.pid)}"
    if error is not None:
        raise error
    return None


def _last_words(logs: Path, pid: int | None) -> str:
    try:
        text = (logs / f"{pid}.txt").read_text(errors="replace").strip()
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": {' | '.join(lines[-3:])[-300:]}" if lines else ""


def _start(logs: str, threads: int) -> None:
    # Ctrl-C reaches the whole process group; the host alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    log = os.open(Path(logs) / f"{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, sys.stderr.fileno())
    faulthandler.enable()


def _work(setting: Setting, job: Job) -> Rows:
    global _bench  # networks stay warm for as long as the worker lives
    if _bench is None:
        _bench = Bench(setting)
    return _bench.run(job)
