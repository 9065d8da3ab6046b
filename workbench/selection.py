"""What a run is asked to do, and what that means: codecs, tasks, pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import provenance, registry
from workbench.api import Codec, Dataset, Executor, Item, Reference, Task
from workbench.errors import DatasetError, WorkbenchError
from workbench.points import Point

TIMEOUT_S = 600.0  # a 4K picture through the slowest encoder here takes about a tenth of it


@dataclass(frozen=True)
class Options:
    """What to run; the defaults of the command line and of :func:`run`.

    ``workers`` 0 runs in this process; any other number runs that many worker processes, or
    with the executor ``ray`` as many actors, on this machine or on the cluster at ``address``.
    ``memory_gib`` is what a worker, and each process it starts, may use. ``shard`` ``2/5`` takes
    the second fifth of the pictures and leaves the scores of whole sets to the run on the merged
    directories. ``blobs`` is a folder or URL that all workers reach, for streams and predictions.
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
    executor: Executor = "processes"
    address: str | None = None
    memory_gib: float | None = None
    shard: str | None = None
    blobs: str | None = None


@dataclass(frozen=True)
class Selection:
    """What options mean: codecs with their points, tasks, the dataset and its pictures.

    ``original`` is the lossless codec that tasks which are their own reference need, or None.
    """

    codecs: list[tuple[type[Codec], list[Point]]]
    tasks: list[type[Task]]
    dataset: Dataset
    items: list[Item]
    original: type[Codec] | None


def select(options: Options) -> Selection:
    """Find all that the options name.

    Raises:
        WorkbenchError: a name is unknown, a plugin unavailable, or nothing is left to run.
    """
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
    if options.shard is not None:
        items = _share(items, options.shard)
    return Selection(codecs, tasks, data, items, original)


def _share(items: Sequence[Item], shard: str) -> list[Item]:
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise WorkbenchError(f"shard {shard!r}: must be i/n with i in 1..n, 2/5 for instance")
    # Every n-th, not the n-th part: datasets list pictures of a kind together.
    return list(items[int(match[1]) - 1 :: int(match[2])])


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
        raise WorkbenchError(
            f"{name} needs ground truth {target!r}; {options.dataset} has {have}: take "
            "another dataset, or --reference self, what the task sees on the originals"
        )
    return False


def listed(item: Item) -> dict[str, object]:
    """What a store notes of a picture: name, hash, size."""
    # A picture that cannot be read has no hash; its name stands in, to carry its failed rows.
    sha256 = item.sha256 or provenance.digest("unusable", item.name)
    return {"name": item.name, "sha256": sha256, "width": item.width, "height": item.height}
