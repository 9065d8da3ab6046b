"""Whether runs may be put into one report, and what has changed from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.store import Store


def comparable(folders: Sequence[str | Path]) -> None:
    """Refuse runs whose datasets have the same name but other pictures.

    Runs of different datasets may stand side by side, each dataset by itself; and one run may have
    more pictures of a dataset than another.

    Raises:
        WorkbenchError: naming the runs, the dataset and the pictures that differ.
        StoreError: a folder is no run directory.
    """
    listed = {Path(folder): Store(folder).items() for folder in folders}
    for (one, items), (other, others) in combinations(listed.items(), 2):
        for dataset in items.keys() & others.keys():
            known = {row["name"]: row["sha256"] for row in items[dataset]}
            differ = [
                row["name"]
                for row in others[dataset]
                if known.get(row["name"], row["sha256"]) != row["sha256"]
            ]
            if differ:
                shown = ", ".join(differ[:3]) + (" and others" if differ[3:] else "")
                raise WorkbenchError(
                    f"{one} and {other} cannot be compared: both have a dataset {dataset!r}, but "
                    f"{len(differ)} of its pictures differ ({shown})"
                )
