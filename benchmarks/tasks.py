"""Pictures a second of every machine task that is available here, and what the host adds to it.

    python benchmarks/tasks.py --dataset toytown --limit 32

Each task runs on JPEG-coded pictures as in a run: batches, predictions kept as bytes, rows. The
host's share is the processor time of jobs with the task, less that of the same jobs without it and
that of the task's own ``predict``, over the latter. Processor time, not wall time: other
programs on the machine do not count. Pictures a second are those of ``predict`` by wall time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from common import dataset_argument, tell

from workbench import plan, registry
from workbench.api import QualityTask, Task
from workbench.measure import Bench, Setting
from workbench.store import Store


class Clocked:
    """Stands in the place of a task's ``predict`` and adds up its seconds."""

    def __init__(self, task: Task) -> None:
        self.predict = task.predict
        self.wall_s = self.cpu_s = 0.0
        self.batches: list[int] = []

    def __call__(self, images: Sequence[Any]) -> list[Any]:
        wall, cpu = time.perf_counter(), time.process_time()
        found = self.predict(images)
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu
        self.batches.append(len(images))
        return found


def measure(kind: type[Task], args: argparse.Namespace) -> None:
    found = registry.load()
    items = list(found.dataset(args.dataset, args.data_root).items())[: args.limit]
    with tempfile.TemporaryDirectory() as folder, Store(folder, write=True) as store:
        codecs = found.select_codecs("jpeg@quality50")
        planned = plan.make(store, codecs, [kind], items, all_outputs=True)
        setting = Setting(
            store.blobs.place, args.dataset, args.data_root, task_keys=planned.task_keys
        )
        bench = Bench(setting)
        bare = [
            replace(job, cells=tuple(replace(c, work={"image": ()}) for c in job.cells))
            for job in planned.jobs
        ]
        bench.run(planned.jobs[0])  # builds the networks, here and once a worker in runs
        for job in bare:  # reads the pictures
            bench.run(job)
        clock = Clocked(bench._tasks[kind.name])
        bench._tasks[kind.name].predict = clock  # type: ignore[method-assign]
        start = time.process_time()
        for job in bare:
            bench.run(job)
        without_s = time.process_time() - start
        start = time.process_time()
        rows = [row for job in planned.jobs for row in bench.run(job)]
        with_s = time.process_time() - start
        failed = [row["error"] for _, row in rows if row.get("error")]
        start = time.process_time()
        store.append("scores", [row for name, row in rows if name == "scores"])
        keeping_s = time.process_time() - start
    tell(
        kind.name,
        pictures_per_s=len(items) / clock.wall_s,
        predict_cpu_s=clock.cpu_s / len(items),
        host_share=(with_s - without_s - clock.cpu_s + keeping_s) / clock.cpu_s,
        mean_batch=len(items) / len(clock.batches),
        **({"error": failed[0]} if failed else {}),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--tasks", default="all")
    args = parser.parse_args()
    for kind in registry.load().select_tasks(args.tasks):
        if not issubclass(kind, QualityTask):
            measure(kind, args)


if __name__ == "__main__":
    main()
