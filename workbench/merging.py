"""Puts run directories together: rows, streams, lists of pictures, provenance."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import StoreError
from workbench.journal import Row
from workbench.store import IDENTITY, TABLES, Store

BLOBS = {"coded": "stream", "scores": "prediction", "sets": "resamples"}
ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Merged:
    """Rows and blobs that came over; ``damaged`` are rows left out as their blobs are damaged."""

    n_rows: int
    n_blobs: int
    damaged: int


def merge(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    blobs: str | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Merged:
    """Add run directories to ``out``, which may hold a run already. Nothing is measured.

    Where two hold the same cell the later one wins, but a failure never replaces a result.
    ``progress`` is called with rows of a table done, rows in all, and what is being merged.

    Raises:
        StoreError: a folder is no run directory or damaged, or ``out`` cannot be written.
    """
    sources = [Store(folder) for folder in folders]
    if not sources:
        raise StoreError("nothing to merge: name at least one run directory")
    n_rows = damaged = 0
    with Store(out, write=True, blobs=blobs) as target:
        kept = set(target.blobs.sizes())
        n_before = len(kept)
        for source in sources:
            for table in TABLES:
                found = list(_wanted(source, target, table))
                for start in range(0, len(found), ROWS_AT_ONCE):
                    progress(start, len(found), f"{source.path}: {table}")
                    some = found[start : start + ROWS_AT_ONCE]
                    whole = [row for row in some if _copied(source, target, row, table, kept)]
                    target.append(table, whole)
                    damaged += len(some) - len(whole)
                    n_rows += len(whole)
            for dataset, items in source.items().items():
                target.add_items(dataset, items)
            for run, row in source.runs().items():
                target.add_run(row, run)
    return Merged(n_rows, len(kept) - n_before, damaged)


def _wanted(source: Store, target: Store, table: str) -> Iterable[Row]:
    """Rows of the source that are not in the target, or failed there."""
    key = IDENTITY[table]
    there: dict[tuple[Any, ...], Row] = {
        tuple(row[name] for name in key): row for row in target.table(table).to_pylist()
    }
    for row in source.table(table).to_pylist():
        old = there.get(tuple(row[name] for name in key))
        if old is None or (old != row and (old.get("error") or not row.get("error"))):
            yield row


def _copied(source: Store, target: Store, row: Row, table: str, kept: set[str]) -> bool:
    """Bring over the blob that a row names; False where it is gone or damaged."""
    sha256 = row.get(BLOBS.get(table, ""))
    if sha256 is None or sha256 in kept:
        return True
    try:
        data = source.blob(sha256)
    except StoreError:
        return False
    target.put_blob(data)
    kept.add(sha256)
    return True
