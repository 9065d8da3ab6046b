"""Scores whole datasets from stored predictions: mAP, mIoU and all else that is no mean."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench import plain
from workbench.api import Dataset, Item, QualityTask, Reference, Task
from workbench.errors import DatasetError, PluginError, StoreError
from workbench.journal import Row
from workbench.measure import describe, finite
from workbench.provenance import digest, plugin_key
from workbench.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 200  # of the images, for intervals; a mAP of a few hundred images takes a second
SAME_SET = ("dataset", "codec", "point", "output", "task", "reference", "n_images")


def score_sets(
    store: Store,
    dataset: Dataset,
    name: str,
    items: Sequence[Item],
    tasks: Iterable[type[Task]],
    original: str | None = None,
    reference: Reference = "dataset",
) -> bool:
    """Evaluate every (codec, point, output) whose predictions are new since the last time.

    False where a set could not be scored because predictions are damaged: these are removed, and
    measured again by the next plan.

    A picture without a prediction is missing from its set: ``n_images`` says how many were there.

    Args:
        original: the lossless codec, on whose pictures a task's own predictions are the ground
            truth where ``reference`` or the task's ``target`` is ``self``.
    """
    machine = [task for task in tasks if not issubclass(task, QualityTask)]
    if not machine:
        return True
    known = _known_sets(store)
    whole = True
    for kind in machine:
        groups = _predictions(store, kind, items)
        if not groups:
            continue
        task = kind()
        judge: Reference = "self" if kind.target == "self" else reference
        if not kind.target:
            # A task without a kind of ground truth judges its predictions alone.
            judge, targets = "dataset", _Targets(lambda item: None)
        elif judge == "self":
            targets = _Targets(partial(_own_target, store, task, _of_codec(groups, original)))
        else:
            targets = _Targets(partial(dataset.load_target, kind=kind.target))
        task_key = plugin_key(kind)
        for (codec, point, output), found in groups.items():
            order = sorted(found, key=lambda item: item.name)
            key = digest(
                name, codec, point, output, task_key, judge, [item.name for item in items],
                [(found[item], targets.sha256(item)) for item in order],
            )  # fmt: skip
            if key in known:
                continue
            row = {
                "key": key, "dataset": name, "codec": codec, "point": point, "output": output,
                "task": kind.name, "reference": judge, "n_images": len(found),
            }  # fmt: skip
            try:
                predictions = {item: plain.loads(store.blob(found[item])) for item in order}
            except StoreError:
                _discard_damaged(store, found.values())
                whole = False
                continue
            values = _evaluate(store, task, items, predictions, targets)
            store.append("sets", [{**row, "metric": m, **v} for m, v in values.items()])
    return whole


def _known_sets(store: Store) -> set[str]:
    """The sets whose newest scores these are, and whose resampled values can be read.

    Of equal sets the newest scores count in reports: a metric that was changed, and changed back,
    scores its sets again.
    """
    rows = store.table("sets", ["key", "resamples", *SAME_SET]).to_pydict()
    newest: dict[tuple[Any, ...], str] = {}
    damaged = set()
    for key, resamples, *same in zip(*rows.values(), strict=True):
        newest[tuple(same)] = key
        if resamples is not None and _discard_damaged(store, [resamples]):
            damaged.add(key)
    return set(newest.values()) - damaged


def _discard_damaged(store: Store, hashes: Iterable[str]) -> int:
    """Remove those of these blobs that cannot be read; how many they were."""
    n_damaged = 0
    for sha256 in hashes:
        try:
            store.blob(sha256)
        except StoreError:
            store.blobs.discard(sha256)
            n_damaged += 1
    return n_damaged


def resampling_counts(n_images: int) -> NDArray[np.int64]:
    """How often each of a dataset's pictures is in each resample, [RESAMPLES, n_images].

    The same for every codec and as :func:`workbench.bd.resampling_weights` draws them, so that
    intervals of differences are paired, and rates can be resampled alike.
    """
    import numpy as np

    from workbench.bd import resampling_weights

    counts: NDArray[np.int64] = np.rint(resampling_weights(n_images, RESAMPLES) * n_images)
    return counts.astype(np.int64)


class _Targets:
    """Ground truth, loaded once a picture."""

    def __init__(self, load: Callable[[Item], Any]) -> None:
        self.load = load
        self.known: dict[str, Any] = {}
        self.hashes: dict[str, str] = {}

    def of(self, item: Item) -> Any:
        if item.name not in self.known:
            self.known[item.name] = self.load(item)
        return self.known[item.name]

    def sha256(self, item: Item) -> str:
        """The hash of the ground truth: where it changes, sets are scored again."""
        if item.name not in self.hashes:
            try:
                data = plain.dumps(self.of(item))
            except Exception as error:  # scoring meets it too, and says so in its row
                data = describe(error).encode()
            self.hashes[item.name] = hashlib.sha256(data).hexdigest()
        return self.hashes[item.name]


def _own_target(store: Store, task: Task, found: Mapping[Item, str], item: Item) -> Any:
    if item not in found:
        raise DatasetError(f"{item.name}: {task.name} has no prediction on the original picture")
    return task.as_target(plain.loads(store.blob(found[item])))


def _of_codec(
    groups: Mapping[tuple[str, str, str], dict[Item, str]], codec: str | None
) -> dict[Item, str]:
    return next((found for (name, _, _), found in groups.items() if name == codec), {})


def _predictions(
    store: Store, task: type[Task], items: Sequence[Item]
) -> dict[tuple[str, str, str], dict[Item, str]]:
    """Prediction blobs by (codec, point, output) and picture."""
    coded = store.table("coded", ["key", "codec", "point", "image_sha256"]).to_pylist()
    cells = {row["key"]: row for row in coded}
    by_hash: dict[str, list[Item]] = {}
    for item in items:
        by_hash.setdefault(item.sha256, []).append(item)
    groups: dict[tuple[str, str, str], dict[Item, str]] = {}
    for row in store.table("scores", ["key", "output", "task", "prediction"]).to_pylist():
        cell = cells.get(row["key"])
        if row["task"] != task.name or not row["prediction"] or cell is None:
            continue
        for item in by_hash.get(cell["image_sha256"], []):
            group = groups.setdefault((cell["codec"], cell["point"], row["output"]), {})
            group[item] = row["prediction"]
    return groups


def _evaluate(
    store: Store, task: Task, items: Sequence[Item], found: Mapping[Item, Any], targets: _Targets
) -> dict[str, Row]:
    """Rows of a set by metric; a fault of the task or of the ground truth is their reason."""
    try:
        predictions = list(found.values())
        truth = [targets.of(item) for item in found]
        values = task.evaluate(predictions, truth)
        known = {metric.name for metric in task.metrics}
        if set(values) != known:
            raise PluginError(f"{task.name}: gave {sorted(values)}, declares {sorted(known)}")
        resampled = {}
        if len(items) > 1:
            position = {item: i for i, item in enumerate(items)}
            counts = resampling_counts(len(items))[:, [position[item] for item in found]]
            resampled = task.resample(predictions, truth, counts)
    except Exception as error:
        reason = describe(error)
        return {metric.name: {"value": None, "reason": reason} for metric in task.metrics}
    rows = {}
    for name, value in values.items():
        row = {"value": None, "reason": "not defined on this set"}
        rows[name] = row if value is None else finite(value)
        if name in resampled:
            rows[name]["resamples"] = store.put_blob(plain.dumps(resampled[name]))
    return rows
