"""What all executors share: handing out jobs, and what becomes of a job whose worker dies.

Such a job is done again a cell at a time; a cell that fails so twice is given up, with the
worker's last words. A kill from outside counts less: only the fifth gives a cell up.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from workbench.executors.pool import Fault, Outcome
from workbench.measure import Rows, Setting, coded_row
from workbench.plan import Job

OWN_TRIES = 2
OUTSIDE_TRIES = 5


class Workers(Protocol):
    """Processes that run jobs, here or on a cluster."""

    @property
    def busy(self) -> bool:
        """Whether jobs are out."""

    def offer(self, job: Job) -> bool:
        """Take a job, or refuse it for now."""

    def wait(self) -> list[tuple[Job, Outcome]]:
        """Wait until something happens; the jobs that ended."""


def run(workers: Workers, setting: Setting, jobs: Iterable[Job]) -> Iterator[tuple[Job, Rows]]:
    """Yield each job with its rows, as they finish; parts of a job come alone after a fault."""
    fresh = iter(jobs)
    waiting: deque[Job] = deque()
    faults: Counter[tuple[str, bool]] = Counter()
    while True:
        while next_job := waiting.popleft() if waiting else next(fresh, None):
            if not workers.offer(next_job):
                waiting.appendleft(next_job)
                break
        if not workers.busy:
            return
        for job, outcome in workers.wait():
            if not isinstance(outcome, Fault):
                yield job, outcome
            elif outcome.innocent:
                waiting.appendleft(job)
            else:
                hopeless = []
                for alone in job.alone():
                    key = alone.cells[0].key
                    faults[key, outcome.outside] += 1
                    if faults[key, False] < OWN_TRIES and faults[key, True] < OUTSIDE_TRIES:
                        waiting.append(alone)
                    else:
                        hopeless.append(alone)
                for alone in hopeless:
                    [cell] = alone.cells
                    yield alone, [("coded", coded_row(setting, alone, cell, error=outcome.reason))]


def shrinking(jobs: Iterable[Job], n_cells: int, workers: int) -> Iterator[Job]:
    """Cut the last jobs smaller, so that the workers end together.

    A job never holds more than its share of the cells that are left, half of it to be safe.
    """
    left = n_cells
    for job in jobs:
        cells = job.cells
        while cells:
            size = max(1, left // (2 * workers)) if workers > 1 else len(cells)
            yield replace(job, cells=cells[:size]) if size < len(job.cells) else job
            left -= len(cells[:size])
            cells = cells[size:]
