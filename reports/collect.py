"""Arranges the rows of runs into series of points × pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.api import Metric
from workbench.errors import WorkbenchError, did_you_mean
from workbench.rows import KEPT, Rows
from workbench_reports.aggregate import Array, Measured, Series, Value

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("rate_bpp", "container_rate_bpp", "encode_s", "decode_s")
PLAIN_FOLDERS = ("images", "image", "img", "imgs", "pictures", "photos", "rgb")
SPLITS = ("train", "val", "test", "valid", "validation")


def collect(rows: Rows, known: dict[str, Metric]) -> Measured:
    """Arrange the rows of runs; ``known`` describes metrics, others get plain descriptions."""
    notes: list[str] = []
    # A stream that is not decoded yet is neither a result nor a failure.
    images = rows.images[rows.images["output"].notna() | rows.images["error"].notna()]
    sets, known = _own_references(rows.sets, known)
    measured = [name for name in images.columns if name not in KEPT]
    measured += [name for name in sets["metric"].dropna().unique() if name not in measured]
    # PSNRs lead, as readers expect; other metrics stay in the order of their plugins.
    ordered = sorted(known.items(), key=lambda m: (m[1].pool != "mse", m[1].unit != "dB"))
    metrics = {name: metric for name, metric in ordered if name in measured}
    for name in measured:
        if name not in metrics:
            per_image = name in images.columns
            metrics[name] = Metric(name, name, "", pool="mean" if per_image else "set")
            notes.append(
                f"no installed plugin describes the metric {name!r}: higher is taken as better "
                "(name its file with --plugin)"
            )
    series: list[Series] = []
    for (dataset, _codec), group in images.groupby(["dataset", "codec"], sort=False):
        series += _series_of(group, rows.items[str(dataset)], list(metrics))
    _add_sets(series, sets)
    titles = _titles(list(dict.fromkeys(s.dataset for s in series)))
    return Measured(series, titles, metrics, _failures(rows, images), notes)


def of_codecs(rows: Rows, names: Sequence[str]) -> Rows:
    """Return the rows of these codecs.

    Raises:
        WorkbenchError: one did not run.
    """
    ran = set(rows.images["codec"])
    for name in names:
        if name not in ran:
            raise WorkbenchError(f"--codecs {name!r}: did not run here.{did_you_mean(name, ran)}")
    return replace(rows, images=rows.images[rows.images["codec"].isin(names)])


def _own_references(
    sets: pd.DataFrame, known: dict[str, Metric]
) -> tuple[pd.DataFrame, dict[str, Metric]]:
    """Take a score against a task's own predictions for a metric of its own: ``map@self``."""
    own = sets["reference"] == "self"
    sets = sets.assign(metric=sets["metric"].where(~own, sets["metric"] + "@self"))
    described = {
        f"{name}@self": replace(
            known[name],
            name=f"{name}@self",
            label=f"{known[name].label}, own reference",
            description=f"{known[name].description}; the ground truth is what the task itself "
            "predicts on the original pictures",
        )
        for name in (str(n).removesuffix("@self") for n in sets.loc[own, "metric"].unique())
        if name in known
    }
    return sets, known | described


def _titles(datasets: list[str]) -> dict[str, str]:
    """Shorten ``folder:/data/kodak`` to ``kodak`` where that leaves names different."""
    short = {name: short_name(name) for name in datasets}
    names = list(short.values())
    return {name: title if names.count(title) == 1 else name for name, title in short.items()}


def short_name(dataset: str) -> str:
    """Return the telling end of a path: ``coco/val`` of ``coco:/data/coco/val/images:FILE``."""
    scheme, _, argument = dataset.partition(":")
    parts = [part for part in re.split(r"[/\\]", argument.partition(":")[0]) if part.strip(".")]
    while len(parts) > 1 and parts[-1].lower() in PLAIN_FOLDERS:
        parts.pop()
    split = bool(parts) and parts[-1].lower() in SPLITS
    return "/".join(parts[-2 if split else -1 :]) or scheme


def _series_of(group: pd.DataFrame, items: list[dict[str, Any]], names: list[str]) -> list[Series]:
    """Return the outputs of one codec on one dataset; errors of encoders count for each."""
    dataset, codec = str(group["dataset"].iloc[0]), str(group["codec"].iloc[0])
    rate = group.groupby("point", sort=False)["rate_bpp"].mean()
    points = [str(p) for p in rate.sort_values(kind="stable", na_position="last").index]
    images = [row["name"] for row in items]
    pixels = np.array([row["width"] * row["height"] for row in items], dtype=float)
    outputs = [str(name) for name in group["output"].dropna().unique()] or [""]
    found = []
    for output in outputs:
        own = group[(group["output"] == output) | group["output"].isna()]
        at = (
            own["point"].map({p: i for i, p in enumerate(points)}).to_numpy(),
            own["image"].map({n: i for i, n in enumerate(images)}).to_numpy(),
        )
        shape = (len(points), len(images))

        def grid(column: str, own: Any = own, at: Any = at, shape: Any = shape) -> Array:
            array = np.full(shape, np.nan)
            array[at] = own[column].to_numpy(dtype=float, na_value=np.nan)
            return array

        failed = np.zeros(shape, dtype=bool)
        failed[at] = own["error"].notna().to_numpy()
        columns = {name: grid(name) for name in COLUMNS}
        valued = own[own["audience"].notna()]
        found.append(
            Series(
                dataset,
                codec,
                output,
                str(valued["audience"].iloc[0]) if len(valued) else "",
                tuple(str(valued["needs"].iloc[0]).split(",")) if len(valued) else (),
                points,
                images,
                pixels,
                ~np.isnan(columns["rate_bpp"]),
                failed,
                columns,
                {name: grid(name) for name in names if name in own.columns},
            )
        )
    for series in found:
        _add_enhancement(series, found)
    return found


def _add_enhancement(series: Series, outputs: list[Series]) -> None:
    below = [other for other in outputs if other.needs and set(other.needs) < set(series.needs)]
    if below:
        base = max(below, key=lambda other: len(other.needs))
        series.enhancement_of = base.output
        # A layer has the same bytes in every output, so the difference is the added layers.
        series.enhancement_bpp = series.columns["rate_bpp"] - base.columns["rate_bpp"]


def _add_sets(series: list[Series], sets: pd.DataFrame) -> None:
    # Of several sets the one with most pictures counts, of equal ones the newest.
    ordered = sets.sort_values("n_images", kind="stable")
    index = {(s.dataset, s.codec, s.output): s for s in series}
    for row in ordered.to_dict("records"):
        owner = index.get((row["dataset"], row["codec"], row["output"]))
        if owner is None or row["metric"] in owner.values:
            continue
        value = None if np.isnan(row["value"]) else float(row["value"])
        reason = None if value is not None else str(row["reason"] or "no value")
        scores = owner.sets.setdefault(str(row["metric"]), {})
        resamples = row["resamples"] if isinstance(row["resamples"], np.ndarray) else None
        scores[str(row["point"])] = Value(value, reason, int(row["n_images"]), resamples)


def _failures(rows: Rows, images: pd.DataFrame) -> list[dict[str, Any]]:
    """List every error: of encoders, decoders (``stage`` says which) and tasks, by their name."""
    shown = ["dataset", "codec", "point", "output", "image", "stage", "error"]
    broken = images[images["error"].notna()]
    broken = broken.assign(stage=np.where(broken["output"].isna(), "encode", "decode"))
    scores = rows.scores
    right = scores[scores["error"].isna()][["key", "output", "task"]].drop_duplicates()
    wrong = scores[scores["error"].notna()].rename(columns={"task": "stage"})
    wrong = wrong.merge(
        right.assign(mended=True), how="left", left_on=["key", "output", "stage"],
        right_on=["key", "output", "task"],
    )  # fmt: skip
    wrong = wrong[wrong["mended"].isna()][["key", "output", "stage", "error"]]
    cells = images[["key", "output", "dataset", "codec", "point", "image"]]
    tasks = cells.merge(wrong, on=["key", "output"])
    found: list[dict[str, Any]] = []
    for frame in (broken, tasks):
        plain = frame[shown].astype(object)
        found += plain.where(plain.notna(), None).to_dict("records")
    return found
