"""Who writes to a run directory, and how far that is."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import StoreError
from workbench.journal import Row

if TYPE_CHECKING:
    from workbench.store import Store


def status(store: Store) -> Row:
    """How far the last run is: ``state``, progress as it wrote it, cells/s, seconds left."""
    n_coded = sum(s is not None for s in store.table("coded", ["stream"]).to_pydict()["stream"])
    failed = _failures(store)
    path = store.path / "progress.json"
    progress = read_json(path) if path.exists() else None
    state, speed, left_s = "ended", None, None
    if progress:
        since, told = (datetime.fromisoformat(progress[n]) for n in ("since", "told"))
        elapsed_s = (told - since).total_seconds()
        speed = progress["done"] / elapsed_s if elapsed_s > 0 else None
        if (store.path / "writer.json").exists():
            state = "running" if _lives(read_json(store.path / "writer.json")) else "killed"
        if state == "running" and speed:
            left_s = (progress["total"] - progress["done"]) / speed
    return {
        "n_coded": n_coded, "n_failed": len(failed),
        "errors": dict(Counter(failed.values()).most_common()), "state": state,
        "progress": progress, "cells_a_s": speed, "left_s": left_s,
    }  # fmt: skip


def _failures(store: Store) -> dict[str, str]:
    """The first error of each cell that failed to be coded, decoded or scored, by key."""
    failed: dict[str, str] = {}
    for table in ("coded", "decoded"):
        found = store.table(table, ["key", "error"]).to_pydict()
        failed = {k: e for k, e in zip(*found.values(), strict=True) if e} | failed
    scores = store.table("scores", ["key", "output", "task", "error"]).to_pydict()
    tried = [(same, error) for *same, error in zip(*scores.values(), strict=True)]
    # A measure's error has a row of its own, which its values do not replace.
    right = {tuple(same) for same, error in tried if not error}
    wrong = {same[0]: error for same, error in tried if error and tuple(same) not in right}
    return wrong | failed


def who_am_i() -> Row:
    """What tells a writer from others: machine, process, time."""
    return {"host": platform.node(), "pid": os.getpid(), "since": now()}


def now() -> str:
    """The time of day in UTC, for people: nothing depends on it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _lives(writer: Row) -> bool:
    """Whether a writer is there still; one on another machine is taken at its word."""
    if writer["host"] != platform.node():
        return True
    try:
        os.kill(writer["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: damaged ({error}): run again") from None
