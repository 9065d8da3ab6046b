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
    coded = store.table("coded", ["error"]).to_pydict()["error"]
    failed = [error for error in coded if error]
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
        "n_coded": len(coded) - len(failed), "n_failed": len(failed),
        "errors": dict(Counter(failed).most_common(5)), "state": state, "progress": progress,
        "cells_a_s": speed, "left_s": left_s,
    }  # fmt: skip


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
