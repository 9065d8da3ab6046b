"""Scores whole datasets from stored predictions: mAP, mIoU and all else that is no mean."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from workbench import plain
from workbench.api import Dataset, Item, QualityTask, Task
from workbench.errors import WorkbenchError
from workbench.measure import describe, finite
from workbench.provenance import digest
from workbench.store import Row, Store


def score_sets(
    store: Store, dataset: Dataset, name: str, items: Sequence[Item], tasks: Iterable[type[Task]]
) -> None:
    """Evaluate every (codec, point, output) whose predictions are new since the last time.

    A picture without a prediction is missing from its set: ``n_images`` says how many were there.
    """
    machine = [task for task in tasks if not issubclass(task, QualityTask)]
    if not machine:
        return
    known = set(store.table("sets", ["key"]).to_pydict()["key"])
    for kind in machine:
        groups = _predictions(store, kind, items)
        if not groups:
            continue
        task = kind()
        targets = _Targets(dataset, kind)
        for (codec, point, output), found in groups.items():
            key = digest(name, codec, point, output, sorted(found.values()), kind.name)
            if key not in known:
                row = {
                    "key": key, "dataset": name, "codec": codec, "point": point,
                    "output": output, "task": kind.name, "n_images": len(found),
                }  # fmt: skip
                values = _evaluate(store, task, found, targets)
                store.append("sets", [{**row, "metric": m, **v} for m, v in values.items()])


class _Targets:
    """Ground truth, loaded once a picture."""

    def __init__(self, dataset: Dataset, task: type[Task]) -> None:
        self.dataset = dataset
        self.kind = task.target
        self.known: dict[str, Any] = {}

    def of(self, item: Item) -> Any:
        if item.name not in self.known:
            # A task without a kind of ground truth judges its predictions alone.
            known = self.dataset.load_target(item, self.kind) if self.kind else None
            self.known[item.name] = known
        return self.known[item.name]


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
    store: Store, task: Task, found: dict[Item, str], targets: _Targets
) -> dict[str, Row]:
    try:
        order = sorted(found, key=lambda item: item.name)
        predictions = [plain.loads(store.blob(found[item])) for item in order]
        values = task.evaluate(predictions, [targets.of(item) for item in order])
    except (WorkbenchError, json.JSONDecodeError, ValueError, KeyError) as error:
        reason = describe(error)
        return {metric.name: {"value": None, "reason": reason} for metric in task.metrics}
    return {
        name: {"value": None, "reason": "not defined on this set"} if value is None
        else finite(value)
        for name, value in values.items()
    }  # fmt: skip
