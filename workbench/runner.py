"""Runs a comparison: plan, execute, store, score. Anything already in the store is not redone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import plan as planning
from workbench import provenance, registry, rows, scoring
from workbench.api import Codec, Item, Point, Reference
from workbench.errors import DatasetError, WorkbenchError
from workbench.measure import Rows, Setting, coded_row
from workbench.plan import Cell, Job, Plan
from workbench.store import Store

if TYPE_CHECKING:
    import pandas as pd

TIMEOUT_S = 600.0  # a 4K picture through the slowest encoder here takes about a tenth of it


@dataclass(frozen=True)
class Summary:
    """What a run did: cells measured now, found done, failed now, failed earlier."""

    out: str
    n_cells: int
    n_measured: int
    n_done_before: int
    n_failed: int
    n_failed_before: int


@dataclass(frozen=True)
class Options:
    """What to run; the defaults of the command line and of :func:`run`.

    ``workers`` 0 runs in this process; any other number runs that many worker processes.
    """

    codecs: str | Sequence[str] = "all"
    tasks: str | Sequence[str] = "all"
    dataset: str = "demo"
    out: str | os.PathLike[str] | None = None
    limit: int | None = None
    workers: int = 0
    plugins: Sequence[str] = ()
    data_root: str | None = None
    device: str = "cpu"
    threads: int = 1
    strict: bool = False
    all_outputs: bool = False
    retry_failed: bool = False
    timeout_s: float = TIMEOUT_S
    reference: Reference = "dataset"


Progress = Callable[[int, int, str], None]
"""Called with cells finished, cells to do, and what is being measured."""


def run(
    codecs: str | Sequence[str] = "all",
    tasks: str | Sequence[str] = "all",
    dataset: str = "demo",
    **options: object,
) -> pd.DataFrame:
    """Run a comparison and return its per-image rows.

    Args:
        codecs: ``"all"``, ``"jpeg,vvc-intra@qp32"``, or a list of such names.
        tasks: ``"all"`` or names.
        dataset: a name, ``folder:PATH`` or ``coco:IMAGES:ANNOTATIONS``.
        **options: the other fields of :class:`Options`; ``out`` keeps the run directory, which
            is temporary otherwise.

    Returns:
        The frame described at :class:`workbench.rows.Rows`: a row a picture, point and output.
    """
    chosen = Options(codecs, tasks, dataset, **options)  # type: ignore[arg-type]
    if chosen.out is not None:
        execute(chosen)
        return rows.load(chosen.out).images
    with tempfile.TemporaryDirectory(prefix="workbench-run-") as folder:
        out = Path(folder) / "run"
        execute(replace(chosen, out=out))
        return rows.load(out).images


def execute(options: Options, progress: Progress | None = None) -> Summary:
    """Run what is not in the store yet, and score the sets.

    Raises:
        WorkbenchError: nothing could be run as asked. Faults of single pictures, codecs and
            tasks do not raise: they become rows with an error.
    """
    if options.out is None:
        raise WorkbenchError("a run needs a directory to write to: give --out")
    found = registry.load(options.plugins)
    codecs = found.select_codecs(options.codecs)
    tasks = found.select_tasks(options.tasks)
    if not codecs:
        raise WorkbenchError("no codec to run: see workbench list codecs")
    data = found.dataset(options.dataset, options.data_root)
    tasks = [task for task in tasks if _fits(task.target, data.targets, options, task.name)]
    original = None
    if options.reference == "self" or any(task.target == "self" for task in tasks):
        original = _lossless(found)
        if original not in [codec for codec, _ in codecs]:
            codecs = [(original, list(original.points)), *codecs]
    items = list(data.items())
    if options.limit is not None:
        items = items[: options.limit]
    if not items:
        raise DatasetError(f"{options.dataset}: has no pictures")
    with Store(options.out, write=True) as store:
        plan = planning.make(
            store, codecs, tasks, items,
            all_outputs=options.all_outputs, retry_failed=options.retry_failed,
        )  # fmt: skip
        setting = Setting(
            str(options.out), options.dataset, options.data_root, tuple(options.plugins),
            options.device, options.threads, max(1, options.workers), plan.task_keys,
        )  # fmt: skip
        known = [codec for codec, _ in codecs]
        arguments = {**asdict(options), "out": str(options.out)}
        store.add_run(
            {
                **provenance.describe_run(arguments, [*known, *tasks]),
                "dataset": {
                    "name": options.dataset,
                    "sha256": provenance.digest([(i.name, i.sha256) for i in items]),
                    "n_images": len(items),
                },
            }
        )
        store.add_items(options.dataset, [_listed(item) for item in items])
        n_failed = _unusable(store, setting, codecs, plan)
        n_failed += _execute(store, setting, plan, options, progress)
        scoring.score_sets(
            store, data, options.dataset, items, tasks,
            original.name if original else None, options.reference,
        )  # fmt: skip
    return Summary(
        str(options.out), plan.n_cells, plan.n_todo, plan.n_done, n_failed, plan.n_failed_before
    )


def _lossless(found: registry.Registry) -> type[Codec]:
    """The codec whose pictures are the originals, for tasks that are their own reference."""
    for codec in found.codecs.values():
        if codec.lossless and not codec.unavailable():
            return codec
    raise WorkbenchError("--reference self needs a lossless codec, and no plugin has one")


def _fits(target: str, targets: Sequence[str], options: Options, name: str) -> bool:
    """Whether a task's ground truth is there; a task asked for by name must have it."""
    if target in ("", "picture", "self", *targets) or options.reference == "self":
        return True
    asked = options.tasks if isinstance(options.tasks, str) else ",".join(options.tasks)
    if name in asked.split(","):
        have = ", ".join(targets) or "none"
        raise WorkbenchError(f"{name} needs ground truth {target!r}; {options.dataset} has {have}")
    return False


def _listed(item: Item) -> dict[str, object]:
    # A picture that cannot be read has no hash; its name stands in, to carry its failed rows.
    sha256 = item.sha256 or provenance.digest("unusable", item.name)
    return {"name": item.name, "sha256": sha256, "width": item.width, "height": item.height}


def _unusable(
    store: Store,
    setting: Setting,
    codecs: Sequence[tuple[type[Codec], list[Point]]],
    plan: Plan,
) -> int:
    """Write a failed row a point for each picture that cannot be used; count what is new."""
    told = set(store.table("coded", ["key"]).to_pydict()["key"])
    failed = []
    for item in plan.unusable:
        known = replace(item, sha256=str(_listed(item)["sha256"]))
        for codec, points in codecs:
            for point in points:
                key = planning.cell_key(codec.name, point, known)
                if key in told:
                    plan.n_failed_before += 1
                    continue
                cell = Cell(key, known, {})
                job = Job(codec.name, point, (cell,))
                failed.append(coded_row(setting, job, cell, error=item.error))
    store.append("coded", failed)
    return len(failed)


def _execute(
    store: Store, setting: Setting, plan: Plan, options: Options, progress: Progress | None
) -> int:
    """Run the plan's jobs, in two stages when strict: decoders in processes of their own."""
    report = progress or (lambda done, total, what: None)
    total = plan.n_todo * (2 if options.strict else 1)
    done = n_failed = 0
    report(done, total, "starting")
    stages = ("encode", "decode") if options.strict else ("all",)
    for stage in stages:
        jobs: Iterable[Job] = (replace(job, stage=stage) for job in plan.jobs)
        if stage == "decode":
            jobs = _with_streams(store, plan.jobs)
        for job, found in _executor(setting, jobs, options):
            for table in ("coded", "decoded", "scores"):
                store.append(table, [row for name, row in found if name == table])
            n_failed += len({row["key"] for _, row in found if row.get("error")})
            done += len(job.cells)
            report(done, total, f"{job.codec}@{job.point.label}")
    return n_failed


def _executor(
    setting: Setting, jobs: Iterable[Job], options: Options
) -> Iterator[tuple[Job, Rows]]:
    if options.workers == 0:
        from workbench.executors import serial

        return serial.run(setting, jobs)
    from workbench.executors import processes

    return processes.run(setting, jobs, timeout_s=options.timeout_s)


def _with_streams(store: Store, jobs: Iterable[Job]) -> Iterator[Job]:
    """The jobs again, with the streams that the first stage kept; cells that failed drop out."""
    coded = store.table("coded", ["key", "stream"]).to_pydict()
    streams = dict(zip(coded["key"], coded["stream"], strict=True))
    for job in jobs:
        cells = tuple(replace(c, stream=streams[c.key]) for c in job.cells if streams.get(c.key))
        if cells:
            yield replace(job, cells=cells, stage="decode")
