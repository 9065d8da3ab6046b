"""The rows of finished runs as pandas frames: all that reports and Python callers read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import plain
from workbench.journal import Row
from workbench.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from workbench.api import Metric


@dataclass(frozen=True)
class Rows:
    """What one or more run directories hold.

    ``images`` has a row a decoded output: dataset, image, codec, point, output, audience, needs,
    width, height, n_bytes, container_bytes, rate_bpp, container_rate_bpp, encode_s, decode_s,
    batch, threads, workers, device, error, key, stream, and a column a quality metric (inf for
    identical pictures, NaN where there is no value). A cell that failed has a row with its error
    and no numbers. ``scores`` has the long rows behind the metric columns, with reasons and
    errors. ``sets`` has a row a metric of a whole dataset, its ``reference`` (``dataset``, or
    ``self``: a task's own predictions on the original pictures), and in ``resamples`` the values
    on resamples of the pictures, an array or None, see :func:`workbench.scoring.resampling_counts`.
    ``items`` lists each dataset's pictures, ``runs`` the provenance of each run.
    """

    images: pd.DataFrame
    scores: pd.DataFrame
    sets: pd.DataFrame
    items: dict[str, list[Row]]
    runs: dict[str, Row]


KEPT = [
    "dataset", "image", "codec", "point", "output", "audience", "needs", "width", "height",
    "n_bytes", "container_bytes", "rate_bpp", "container_rate_bpp", "encode_s", "decode_s",
    "batch", "threads", "workers", "device", "error", "key", "stream", "picture_xxh3",
]  # fmt: skip


def load(*folders: str | os.PathLike[str]) -> Rows:
    """Read run directories; where two hold the same cell, the later folder wins.

    Raises:
        StoreError: a folder is no run directory, damaged, or of another format.
    """
    import pandas as pd

    stores = [Store(folder) for folder in folders]
    tables = {
        name: pd.concat([_frame(store, name) for store in stores], ignore_index=True)
        for name in ("coded", "decoded", "scores", "sets")
    }
    items: dict[str, dict[str, Row]] = {}
    for store in stores:
        for dataset, rows in store.items().items():
            items.setdefault(dataset, {}).update((row["name"], row) for row in rows)
    listed = {dataset: list(rows.values()) for dataset, rows in items.items()}
    images = _images(tables["coded"], tables["decoded"], listed)
    scores = tables["scores"].drop_duplicates(["key", "output", "task", "metric"], keep="last")
    return Rows(
        images=_with_metrics(images, scores),
        scores=scores,
        sets=tables["sets"].drop_duplicates(["key", "metric"], keep="last"),
        items=listed,
        runs={run: row for store in stores for run, row in store.runs().items()},
    )


def _frame(store: Store, name: str) -> pd.DataFrame:
    """A table, with the arrays of resampled values in the place of their hashes."""
    import pandas as pd

    frame = store.frame(name)
    if name == "sets":
        arrays = [plain.loads(store.blob(s)) if isinstance(s, str) else None
                  for s in frame["resamples"]]  # fmt: skip
        frame["resamples"] = pd.Series(arrays, frame.index, dtype=object)
    return frame


def _images(
    coded: pd.DataFrame, decoded: pd.DataFrame, items: dict[str, list[Row]]
) -> pd.DataFrame:
    import pandas as pd

    coded = coded.drop_duplicates("key", keep="last")
    decoded = decoded.drop_duplicates(["key", "output"], keep="last")
    known = pd.DataFrame(
        [
            {"dataset": dataset, "image": row["name"], "image_sha256": row["sha256"]}
            for dataset, rows in items.items()
            for row in rows
        ],
        columns=["dataset", "image", "image_sha256"],
    )
    # An outer join on the right keeps cells whose encoder failed: they have no output.
    merged = decoded.drop(columns=["run"]).merge(
        coded.drop(columns=["n_bytes", "run"]), on="key", how="right", suffixes=("", "_encode")
    )
    merged["error"] = merged["error_encode"].where(merged["error_encode"].notna(), merged["error"])
    # A picture of two datasets is coded once and belongs to both.
    merged = known.merge(merged, on="image_sha256", how="inner")
    # What an older version of a codec made stays in the store, but is not what the codec makes.
    newest = merged.groupby(["dataset", "image", "codec", "point"])["key"].transform("last")
    return merged.loc[merged["key"] == newest, KEPT]


def _with_metrics(images: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    valued = scores[scores["metric"].fillna("") != ""]
    if valued.empty:
        return images
    identical = valued["reason"] == "identical pictures"
    value = np.where(identical, np.inf, valued["value"].astype(float))
    wide = (
        valued.assign(value=value)
        .pivot_table(index=["key", "output"], columns="metric", values="value", aggfunc="last")
        .reset_index()
    )
    return images.merge(wide, on=["key", "output"], how="left")


def metrics_of(registry: Any) -> dict[str, Metric]:
    """All metrics of a registry's tasks by name: labels, directions, limits, pooling."""
    return {metric.name: metric for task in registry.tasks.values() for metric in task.metrics}
