"""Reads every byte of a run directory, and takes out what is damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import StoreError
from workbench.store import TABLES, Store


@dataclass(frozen=True)
class Repair:
    """Damaged files, each with what became of it, and the cells to be redone for their blobs."""

    files: list[str]
    cells: list[str]
    n_blobs: int


def repair(
    folder: str | os.PathLike[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Repair:
    """Set damaged files aside and remove damaged blobs: the next run redoes what they held.

    ``progress`` is called with blobs read, and blobs in all.

    Raises:
        StoreError: no run directory, or a run is writing to it.
    """
    if not (Path(folder) / "store.json").exists():
        Store(folder)  # says that it is no run directory, which must not become one
    with Store(folder, write=True) as store:
        tables = {name: store.table(name).to_pylist() for name in TABLES}
        names = {row["sha256"]: row["name"] for items in store.items().values() for row in items}
        about = {
            row["key"]: f"{row['codec']}@{row['point']} {names.get(row['image_sha256'], '')}"
            for row in tables["coded"]
        }
        users: dict[str, set[str]] = {}
        for table, column in (("coded", "stream"), ("scores", "prediction")):
            for row in tables[table]:
                if row[column]:
                    cell = about.get(row["key"], row["key"])
                    users.setdefault(row[column], set()).add(cell)
        for row in tables["sets"]:
            if row["resamples"]:
                users.setdefault(row["resamples"], set()).add(f"{row['codec']}@{row['point']} set")
        cells: set[str] = set()
        for number, (sha256, used) in enumerate(users.items()):
            progress(number, len(users))
            try:
                store.blob(sha256)
            except StoreError as error:
                store.damaged.append(str(error))
                store.blobs.discard(sha256)
                cells |= used
        return Repair(store.damaged, sorted(cells), len(users))
