"""Turns codecs × points × pictures × tasks into jobs, leaving out what the store already has.

A **cell** is one picture at one point of one codec, with the outputs to decode and the tasks to
run on each. A **job** is what a worker gets at once: cells of one codec, point and picture size.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.api import Codec, Item, Task
from workbench.container import Stream
from workbench.points import Point
from workbench.provenance import digest, plugin_key, prediction_key
from workbench.store import Store

# Pictures of this many bytes are taken through all codecs before the next ones are read, so that
# a worker reads each picture once and its cache stays small.
CHUNK_BYTES = 32 << 20
# Cells of codecs that take one picture at a time still travel together, to save round trips.
CELLS_A_JOB = 4


@dataclass(frozen=True)
class Cell:
    """One picture at one point: ``work`` names the tasks to run on each output.

    ``stream`` is the hash of the coded stream if there is one already.
    """

    key: str
    item: Item
    work: dict[str, tuple[str, ...]]
    stream: str | None = None


@dataclass(frozen=True)
class Job:
    """Cells of one codec, point and picture size. ``stage`` is ``all``, or ``encode`` alone."""

    codec: str
    point: Point
    cells: tuple[Cell, ...]
    stage: str = "all"

    def alone(self) -> list[Job]:
        """The same work, a cell a job: to find out which cell is at fault."""
        return [replace(self, cells=(cell,)) for cell in self.cells]


@dataclass
class Plan:
    """What a run will do: jobs to run, and what was found done or failed before.

    ``affected`` are the cells, with their codecs, of which the store has lost a part.
    """

    jobs: list[Job] = field(default_factory=list)
    affected: list[tuple[str, Point, Cell]] = field(default_factory=list)
    unusable: list[Item] = field(default_factory=list)
    n_cells: int = 0
    n_done: int = 0
    n_failed_before: int = 0
    task_keys: dict[str, str] = field(default_factory=dict)

    @property
    def n_todo(self) -> int:
        """Cells that the jobs hold."""
        return sum(len(job.cells) for job in self.jobs)


def cell_key(codec_key: str, point: Point, item: Item) -> str:
    """The content key of a coded picture: codec, its code and versions, point, picture."""
    return digest(codec_key, dict(point.params), item.sha256)


def pairs(
    codec: type[Codec], tasks: Iterable[type[Task]], all_outputs: bool
) -> dict[str, tuple[str, ...]]:
    """The tasks to run on each output of a codec: those of its audience, or all.

    Without tasks every output is decoded all the same: its rate and time are results.
    """
    return {
        name: tuple(
            task.name
            for task in tasks
            if all_outputs or "any" in (task.audience, output.audience)
            or task.audience == output.audience
        )
        for name, output in codec.outputs.items()
    }  # fmt: skip


def make(
    store: Store,
    codecs: Sequence[tuple[type[Codec], list[Point]]],
    tasks: Sequence[type[Task]],
    items: Sequence[Item],
    *,
    all_outputs: bool = False,
    retry_failed: bool = False,
) -> Plan:
    """Plan a run into ``store``. Cells that failed before are left out unless asked for."""
    plan = Plan(task_keys={task.name: prediction_key(task) for task in tasks})
    plan.unusable = [item for item in items if item.error]
    usable = [item for item in items if not item.error]
    done = _Done(store, retry_failed)
    codec_keys = {codec.name: plugin_key(codec) for codec, _ in codecs}
    for chunk in _chunks(usable):
        for codec, points in codecs:
            work = pairs(codec, tasks, all_outputs)
            for point in points:
                cells = []
                for item in chunk:
                    key = cell_key(codec_keys[codec.name], point, item)
                    plan.n_cells += 1
                    left = done.left(key, work, plan.task_keys)
                    if left:
                        cells.append(Cell(key, item, left, done.streams.get(key)))
                        if key in done.damaged:
                            plan.affected.append((codec.name, point, cells[-1]))
                    elif done.has_failed(key, work, plan.task_keys):
                        plan.n_failed_before += 1
                    else:
                        plan.n_done += 1
                plan.jobs += _jobs(codec, point, cells)
    return plan


class _Done:
    """What the store holds, as sets of keys. Failures are not due, unless they are retried.

    A row whose stream or predictions are gone does not count. ``damaged`` are the cells of which
    something is there, but not all that was written with it.
    """

    def __init__(self, store: Store, retry_failed: bool) -> None:
        self.streams: dict[str, str] = {}
        self.outputs: set[tuple[str, str]] = set()
        self.scores: set[tuple[str, str, str]] = set()
        self.no_picture: set[tuple[str, str]] = set()
        self.no_scores: set[tuple[str, str, str]] = set()
        self.broken: set[str] = set()
        self.damaged: set[str] = set()
        sizes = store.blobs.sizes()
        n_bytes = _Sizes()
        for key, stream, error, *of in _rows(
            store, "coded", "key", "stream", "error", "codec", "point", "layers", "n_bytes"
        ):
            if error:
                self.broken.add(key)
            elif sizes.get(stream) == n_bytes.of_stream(*of):
                self.streams[key] = stream
            else:
                self.damaged.add(key)
        for key, output, error in _rows(store, "decoded", "key", "output", "error"):
            if key not in self.streams:
                self.damaged.add(key)
            elif error:
                self.no_picture.add((key, output))
            self.outputs.add((key, output))
        for key, output, task_key, error, prediction in _rows(
            store, "scores", "key", "output", "task_key", "error", "prediction"
        ):
            if (key, output) not in self.outputs or (prediction and not sizes.get(prediction)):
                self.damaged.add(key)
                continue
            (self.no_scores if error else self.scores).add((key, output, task_key))
        # A measure's error has a row of its own, which its values do not replace.
        self.no_scores -= self.scores
        if retry_failed:
            self.broken.clear()
            self.outputs -= self.no_picture
            self.no_picture.clear()
            self.no_scores.clear()

    def left(
        self, key: str, work: dict[str, tuple[str, ...]], task_keys: dict[str, str]
    ) -> dict[str, tuple[str, ...]]:
        """The outputs and tasks not done yet; an output without a row is due with no task too."""
        if key in self.broken:
            return {}
        if key not in self.streams:
            return work
        left = {}
        for output, names in work.items():
            if (key, output) in self.no_picture:
                continue
            tried = [(n, (key, output, task_keys[n])) for n in names]
            due = tuple(n for n, t in tried if t not in self.scores and t not in self.no_scores)
            if due or (key, output) not in self.outputs:
                left[output] = due
        return left

    def has_failed(
        self, key: str, work: dict[str, tuple[str, ...]], task_keys: dict[str, str]
    ) -> bool:
        """Whether a cell without anything left failed in a part of ``work``."""
        return key in self.broken or any(
            (key, output) in self.no_picture
            or any((key, output, task_keys[n]) in self.no_scores for n in names)
            for output, names in work.items()
        )


def _rows(store: Store, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    found = store.table(table, list(columns)).to_pydict()
    return zip(*(found[name] for name in columns), strict=True)


class _Sizes:
    """How large the files of streams are, from their rows."""

    def __init__(self) -> None:
        self._overheads: dict[tuple[str, str, tuple[str, ...]], int] = {}

    def of_stream(self, codec: str, point: str, layers: str, n_bytes: int) -> int:
        names = tuple(json.loads(layers))
        if (codec, point, names) not in self._overheads:
            empty = Stream(codec, point, 0, 0, dict.fromkeys(names, b""))
            self._overheads[codec, point, names] = empty.container_bytes(names)
        return n_bytes + self._overheads[codec, point, names]


def _chunks(items: Sequence[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    n_bytes = 0
    # Sorted by size, so that pictures of one size, which can share a batch, are together.
    for item in sorted(items, key=lambda item: (item.width, item.height)):
        n_bytes += 3 * item.width * item.height
        if chunk and n_bytes > CHUNK_BYTES:
            yield chunk
            chunk, n_bytes = [], 3 * item.width * item.height
        chunk.append(item)
    if chunk:
        yield chunk


def _jobs(codec: type[Codec], point: Point, cells: Sequence[Cell]) -> Iterator[Job]:
    def alike(cell: Cell) -> tuple[object, ...]:
        # A batch must need the same: the same size, the same outputs and tasks.
        return (cell.item.width, cell.item.height, cell.stream is None, sorted(cell.work.items()))

    size = codec.batch if codec.batch > 1 else CELLS_A_JOB
    for _, group in itertools.groupby(cells, key=alike):
        for batch in _batched(group, size):
            yield Job(codec.name, point, batch)


def _batched(cells: Iterable[Cell], size: int) -> Iterator[tuple[Cell, ...]]:
    iterator = iter(cells)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
