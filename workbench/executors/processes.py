"""Runs jobs in worker processes that may hang or die without taking the run along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workbench.executors import dispatch
from workbench.executors.pool import Pool
from workbench.measure import Rows, Setting
from workbench.plan import Job


def run(
    setting: Setting,
    jobs: Iterable[Job],
    *,
    timeout_s: float,
    memory_gib: float | None = None,
) -> Iterator[tuple[Job, Rows]]:
    """Yield each job with its rows, as they finish, on ``setting.workers`` processes.

    Args:
        timeout_s: a cell may take this long; a job this long a cell.
        memory_gib: memory that a worker, and each process it starts, may use.
    """
    with Pool(setting, timeout_s=timeout_s, memory_gib=memory_gib) as pool:
        yield from dispatch.run(pool, setting, jobs)
