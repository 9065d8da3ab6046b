"""Runs jobs in this process: for debugging, and for Python callers who want no child processes.

A codec that hangs or dies by a signal takes this process with it; see ``processes`` otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workbench.measure import Bench, Rows, Setting
from workbench.plan import Job


def run(setting: Setting, jobs: Iterable[Job]) -> Iterator[tuple[Job, Rows]]:
    """Yield each job with its rows."""
    bench = Bench(setting)
    for job in jobs:
        yield job, bench.run(job)
