"""What a run will take, from rates that earlier runs measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import plan as planning
from workbench.plan import Job, Plan
from workbench.selection import Options, select
from workbench.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Line:
    """A codec's share: ``seconds`` of one worker and ``n_bytes`` of streams. Both lack what no
    earlier run has measured, which ``n_unknown`` of the cells need."""

    codec: str
    n_cells: int
    n_unknown: int
    seconds: float
    n_bytes: int


@dataclass(frozen=True)
class Estimate:
    """Cells to do, done and failed before, and a line a codec."""

    n_cells: int
    n_todo: int
    n_done: int
    n_failed_before: int
    lines: list[Line]


class Rates:
    """Seconds and bytes a pixel, as run directories have measured them."""

    def __init__(self, folders: Sequence[str | os.PathLike[str]]) -> None:
        self.encode: dict[tuple[str, str], float] = {}
        self.n_bytes: dict[tuple[str, str], float] = {}
        self.decode: dict[tuple[str, str, str], float] = {}
        self.predict: dict[str, float] = {}
        for folder in folders:
            self._add(Store(folder))

    def _add(self, store: Store) -> None:
        coded = store.frame("coded").dropna(subset="encode_s")
        coded["pixels"] = coded["width"] * coded["height"]
        cells = coded[["key", "codec", "point", "pixels"]]
        self.encode |= _a_pixel(coded, "encode_s", ["codec", "point"])
        self.n_bytes |= _a_pixel(coded, "n_bytes", ["codec", "point"])
        decoded = store.frame("decoded").merge(cells, on="key").dropna(subset="decode_s")
        self.decode |= _a_pixel(decoded, "decode_s", ["codec", "point", "output"])
        scores = store.frame("scores").dropna(subset="predict_s")
        scores = scores.drop_duplicates(["key", "output", "task"]).merge(cells, on="key")
        self.predict |= _a_pixel(scores, "predict_s", ["task"])

    def seconds(self, job: Job) -> tuple[float, bool]:
        """Seconds a pixel of a job on one worker, and whether all of it was measured before."""
        codec, point = job.codec, job.point.label
        parts: list[float | None] = []
        if job.cells[0].stream is None:
            parts.append(self.encode.get((codec, point)))
        for output, tasks in job.cells[0].work.items():
            parts.append(self.decode.get((codec, point, output)))
            parts += [self.predict.get(task) for task in tasks]
        known = [part for part in parts if part is not None]
        return sum(known), len(known) == len(parts)


def _a_pixel(frame: pd.DataFrame, column: str, by: list[str]) -> dict[Any, float]:
    sums = frame.groupby(by if len(by) > 1 else by[0])[[column, "pixels"]].sum()
    return dict((sums[column] / sums["pixels"]).items())


def estimate(
    options: Options, measured: Sequence[str | os.PathLike[str]] = (), *, probe: bool = False
) -> Estimate:
    """Plan a run without running it.

    Args:
        measured: run directories whose rates count, beside that of ``options.out``.
        probe: run what has no rate yet on one picture, in a temporary directory.
    """
    plan = _plan(options)
    there = [options.out] if options.out and (Path(options.out) / "store.json").exists() else []
    folders = [*measured, *there]
    rates = Rates(folders)
    unknown = {f"{job.codec}@{job.point.label}" for job in plan.jobs if not rates.seconds(job)[1]}
    if probe and unknown:
        from workbench.runner import execute

        with tempfile.TemporaryDirectory(prefix="workbench-") as scratch:
            out = Path(scratch) / "run"
            execute(replace(options, codecs=sorted(unknown), limit=1, out=out, shard=None))
            rates = Rates([*folders, out])
    found: dict[str, list[float]] = {}
    for job in plan.jobs:
        line = found.setdefault(job.codec, [0, 0, 0.0, 0.0])
        pixels = sum(cell.item.width * cell.item.height for cell in job.cells)
        seconds, is_whole = rates.seconds(job)
        line[0] += len(job.cells)
        line[1] += 0 if is_whole else len(job.cells)
        line[2] += seconds * pixels
        if job.cells[0].stream is None:
            line[3] += rates.n_bytes.get((job.codec, job.point.label), 0) * pixels
    lines = [
        Line(codec, int(n_cells), int(n_unknown), seconds, round(n_bytes))
        for codec, (n_cells, n_unknown, seconds, n_bytes) in found.items()
    ]
    return Estimate(plan.n_cells, plan.n_todo, plan.n_done, plan.n_failed_before, lines)


def _plan(options: Options) -> Plan:
    chosen = select(options)

    def made(store: Store) -> Plan:
        return planning.make(
            store, chosen.codecs, chosen.tasks, chosen.items,
            all_outputs=options.all_outputs, retry_failed=options.retry_failed,
        )  # fmt: skip

    if options.out is not None and (Path(options.out) / "store.json").exists():
        return made(Store(options.out))
    with (
        tempfile.TemporaryDirectory(prefix="workbench-") as scratch,
        Store(Path(scratch) / "run", write=True) as store,
    ):
        return made(store)
