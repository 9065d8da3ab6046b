"""Runs a comparison: plan, execute, store, score. Anything already in the store is not redone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import plan as planning
from workbench import provenance, rows, scoring
from workbench.api import Codec
from workbench.errors import WorkbenchError
from workbench.measure import Rows, Setting, coded_row
from workbench.plan import Cell, Job, Plan
from workbench.points import Point
from workbench.selection import Options, Selection, listed, select
from workbench.store import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Options", "Progress", "Summary", "execute", "run"]
REPORT_S = 1.0  # how often progress.json is written anew


@dataclass(frozen=True)
class Summary:
    """What a run did: each of ``n_cells`` was measured now, found done, failed now or earlier.

    ``damage`` says in lines what of the store was found damaged, and what was redone therefore.
    """

    out: str
    n_cells: int
    n_measured: int
    n_done_before: int
    n_failed: int
    n_failed_before: int
    damage: tuple[str, ...] = ()


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
    chosen = select(options)
    with Store(options.out, write=True, blobs=options.blobs) as store:
        store.add_run(_provenance(options, chosen))
        store.add_items(options.dataset, [listed(item) for item in chosen.items])
        plan, n_measured, n_failed = _measure(store, chosen, options, progress)
        damage = _damage(store, plan)
        if options.shard is None and not _score(store, chosen, options):
            # Predictions are read for the first time here: those that are damaged are redone.
            more, n_measured_more, n_failed_more = _measure(store, chosen, options, progress)
            n_measured += n_measured_more
            n_failed += n_failed_more
            damage += _damage(store, more)
            _score(store, chosen, options)
    return Summary(
        str(options.out), plan.n_cells, n_measured, plan.n_done, n_failed,
        plan.n_failed_before, tuple(damage),
    )  # fmt: skip


def _measure(
    store: Store, chosen: Selection, options: Options, progress: Progress | None
) -> tuple[Plan, int, int]:
    """Plan and run what is not there yet; the plan, how many cells were measured and failed."""
    plan = planning.make(
        store, chosen.codecs, chosen.tasks, chosen.items,
        all_outputs=options.all_outputs, retry_failed=options.retry_failed,
    )  # fmt: skip
    setting = Setting(
        store.blobs.place, options.dataset, options.data_root, tuple(options.plugins),
        options.device, options.threads, max(1, options.workers), plan.task_keys,
    )  # fmt: skip
    n_unusable = _unusable(store, setting, chosen.codecs, plan)
    n_failed = _execute(store, setting, plan, options, progress)
    return plan, plan.n_todo - n_failed, n_unusable + n_failed


def _score(store: Store, chosen: Selection, options: Options) -> bool:
    return scoring.score_sets(
        store, chosen.dataset, options.dataset, chosen.items, chosen.tasks,
        chosen.original.name if chosen.original else None, options.reference,
    )  # fmt: skip


def _damage(store: Store, plan: Plan) -> list[str]:
    """What was found damaged, in lines, and the list of the cells that this affects as a file."""
    told, store.damaged = store.damaged, []
    if plan.affected:
        cells = [f"{codec}@{point.label} {cell.item.name}" for codec, point, cell in plan.affected]
        path = store.note_damage("\n".join(cells) + "\n")
        told.append(f"{len(cells)} cells had lost rows or streams and were redone: see {path}")
    return told


def _provenance(options: Options, chosen: Selection) -> dict[str, object]:
    plugins = [*(codec for codec, _ in chosen.codecs), *chosen.tasks]
    arguments = {**asdict(options), "out": str(options.out)}
    return {
        **provenance.describe_run(arguments, plugins),
        "dataset": {
            "name": options.dataset,
            "sha256": provenance.digest([(i.name, i.sha256) for i in chosen.items]),
            "n_images": len(chosen.items),
        },
    }


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
        known = replace(item, sha256=str(listed(item)["sha256"]))
        for codec, points in codecs:
            for point in points:
                plan.n_cells += 1
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
    total = plan.n_todo * (2 if options.strict else 1)
    done = n_failed = 0
    told_s = -REPORT_S
    stages = ("encode", "decode") if options.strict else ("all",)

    def tell(what: str) -> None:
        nonlocal told_s
        if progress:
            progress(done, total, what)
        if time.monotonic() - told_s >= REPORT_S or done == total:
            told_s = time.monotonic()
            store.write_progress(done=done, total=total, failed=n_failed, now=what)

    tell("starting")
    for stage in stages:
        jobs: Iterable[Job] = (replace(job, stage=stage) for job in plan.jobs)
        if stage == "decode":
            jobs = _with_streams(store, plan.jobs)
        for job, found in _executor(setting, jobs, plan.n_todo, options):
            store.append_all(found)
            n_failed += len({row["key"] for _, row in found if row.get("error")})
            done += len(job.cells)
            tell(f"{job.codec}@{job.point.label}")
    return n_failed


def _executor(
    setting: Setting, jobs: Iterable[Job], n_cells: int, options: Options
) -> Iterator[tuple[Job, Rows]]:
    timeout_s, memory_gib = options.timeout_s, options.memory_gib
    if options.executor == "ray":
        from workbench.executors import dispatch, ray

        jobs = dispatch.shrinking(jobs, n_cells, setting.workers)
        return ray.run(
            setting, jobs, timeout_s=timeout_s, memory_gib=memory_gib, address=options.address
        )
    if options.workers == 0:
        from workbench.executors import serial

        return serial.run(setting, jobs)
    from workbench.executors import dispatch, processes

    jobs = dispatch.shrinking(jobs, n_cells, setting.workers)
    return processes.run(setting, jobs, timeout_s=timeout_s, memory_gib=memory_gib)


def _with_streams(store: Store, jobs: Iterable[Job]) -> Iterator[Job]:
    """The jobs again, with the streams that the first stage kept; cells that failed drop out."""
    coded = store.table("coded", ["key", "stream"]).to_pydict()
    streams = dict(zip(coded["key"], coded["stream"], strict=True))
    for job in jobs:
        cells = tuple(replace(c, stream=streams[c.key]) for c in job.cells if streams.get(c.key))
        if cells:
            yield replace(job, cells=cells, stage="decode")
