"""The data of the page as plain JSON; docs/report.md has its schema."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

import workbench
from workbench.api import Metric
from workbench.bd import resampling_weights
from workbench.rows import Rows
from workbench_reports.aggregate import (
    AGGREGATIONS,
    Aggregation,
    Array,
    Measured,
    Series,
    point_values,
    qualities,
    rates,
    weighted_mean,
)
from workbench_reports.layout import digits_of
from workbench_reports.panels import Anchor
from workbench_reports.style import look_of, make_styles

SCHEMA = 1
DIGITS = 6
Json = dict[str, Any]
SETTING = ("device", "threads", "workers", "batch")


def short(value: float | None) -> float | str | None:
    """Return a number of six digits; ``inf`` as text, and None for NaN."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.{DIGITS}g}")


def listed(values: Array) -> list[Any]:
    """Return an array of any shape as nested lists of short numbers."""
    if values.ndim == 1:
        return [short(float(v)) for v in values]
    return [listed(row) for row in values]


def curves_json(
    measured: Measured, rows: Rows, level: float, resamples: int
) -> tuple[list[Json], dict[tuple[str, str, str], int]]:
    """Return all curves, and where each (dataset, codec, output) is among them."""
    styles = make_styles(measured.series)
    numbers = dict.fromkeys(s.dataset for s in measured.series)
    datasets = {name: i for i, name in enumerate(numbers)}
    index = {(s.dataset, s.codec, s.output): i for i, s in enumerate(measured.series)}
    several = {
        (s.dataset, s.codec)
        for s in measured.series
        if sum(1 for o in measured.series if (o.dataset, o.codec) == (s.dataset, s.codec)) > 1
    }
    settings = _settings(rows)
    found = []
    for series in measured.series:
        label = series.codec
        if (series.dataset, series.codec) in several:
            label = f"{series.codec} ({series.output})"
        base = series.enhancement_of
        found.append(
            {
                "dataset": datasets[series.dataset],
                "codec": series.codec,
                "output": series.output,
                "label": label,
                "audience": series.audience,
                "layers": list(series.needs),
                "style": look_of(styles[series.codec, series.output]),
                "enhancement_of": None
                if base is None
                else index[series.dataset, series.codec, base],
                "points": series.points,
                "n_images": series.ok.sum(axis=1).tolist(),
                "n_failed": series.failed.sum(axis=1).tolist(),
                "rates": _rates(series),
                "encode_s_per_mp": _per_megapixel(series, "encode_s"),
                "decode_s_per_mp": _per_megapixel(series, "decode_s"),
                "setting": settings.get((series.dataset, series.codec), {}),
                "values": {
                    name: _values(series, metric, level, resamples)
                    for name, metric in measured.metrics.items()
                    if series.has(metric)
                },
                "images": _images(series, measured.metrics),
            }
        )
    return found, index


def _rates(series: Series) -> Json:
    names = ["rate_bpp", "container_rate_bpp"]
    if series.enhancement_bpp is not None:
        names.append("enhancement_bpp")
    return {
        name: {how: listed(rates(series, name, how)[0]) for how in AGGREGATIONS} for name in names
    }


def _per_megapixel(series: Series, column: str) -> list[Any]:
    seconds = series.columns[column]
    known = series.ok & ~np.isnan(seconds)
    return listed(weighted_mean(seconds / (series.pixels / 1e6), known)[0])


def _settings(rows: Rows) -> dict[tuple[str, str], Json]:
    """How times were taken, by dataset and codec: each distinct value of a column."""
    groups = rows.images.groupby(["dataset", "codec"], sort=False)[list(SETTING)]
    found = {}
    for key, group in groups:
        values = {name: sorted(set(group[name].dropna().tolist())) for name in SETTING}
        found[str(key[0]), str(key[1])] = {  # type: ignore[index]
            name: [v if isinstance(v, str) else int(v) for v in several]
            for name, several in values.items()
        }
    return found


def _values(series: Series, metric: Metric, level: float, resamples: int) -> Json:
    """One metric at every point: both aggregations with their intervals and reasons."""
    made: Json = {}
    for how in AGGREGATIONS:
        scores = point_values(series, metric, how)
        if all(score.value is None for score in scores) and metric.pool == "set" and how == "mean":
            continue
        low, high = _intervals(series, metric, how, level, resamples)
        made[how] = {
            "value": [short(score.value) for score in scores],
            "low": low,
            "high": high,
            "n_images": [score.n_images for score in scores],
            "reasons": {
                str(p): score.reason for p, score in enumerate(scores) if score.reason is not None
            },
        }
    return made


def _intervals(
    series: Series, metric: Metric, how: Aggregation, level: float, resamples: int
) -> tuple[list[Any], list[Any]]:
    shares = [(1 - level) / 2, (1 + level) / 2]
    if series.per_image(metric):
        if len(series.images) < 2:
            return [None] * len(series.points), [None] * len(series.points)
        weights = resampling_weights(len(series.images), resamples)
        drawn = qualities(series, metric, how, series.valid(metric, how), weights).T
    else:
        scores = [series.sets.get(metric.name, {}).get(point) for point in series.points]
        drawn = [  # type: ignore[assignment]
            np.full(1, np.nan) if s is None or s.resamples is None else s.resamples for s in scores
        ]
    ends = [
        np.quantile(some, shares) if (some := d[np.isfinite(d)]).size > 1 else (None, None)
        for d in drawn
    ]
    return [short(e[0]) for e in ends], [short(e[1]) for e in ends]


def _images(series: Series, metrics: dict[str, Metric]) -> Json:
    """Per-image numbers, [points][pictures]."""
    made = {"rate_bpp": listed(series.columns["rate_bpp"])}
    for name, metric in metrics.items():
        if series.per_image(metric) and series.has(metric):
            made[name] = listed(series.values[name])
    return made


def metric_json(metric: Metric) -> Json:
    """What axes and tables need to know of a metric."""
    return {
        "label": metric.label,
        "unit": metric.unit,
        "description": metric.description,
        "higher_is_better": metric.higher_is_better,
        "pool": metric.pool,
        "digits": digits_of(metric),
    }


def datasets_json(measured: Measured, rows: Rows) -> list[Json]:
    """The datasets with their pictures, in the order that curves refer to."""
    return [
        {
            "name": name,
            "title": measured.titles[name],
            "images": [
                {"name": item["name"], "width": item["width"], "height": item["height"]}
                for item in rows.items[name]
            ],
        }
        for name in dict.fromkeys(s.dataset for s in measured.series)
    ]


def runs_json(rows: Rows) -> list[Json]:
    """Provenance of every run, the earliest first."""
    ordered = sorted(rows.runs.items(), key=lambda item: str(item[1].get("started", "")))
    return [{"run": name, **run} for name, run in ordered]


def assemble(
    measured: Measured,
    rows: Rows,
    anchor: Anchor,
    curves: list[Json],
    panels: list[Json],
    strings: Sequence[str],
    options: Json,
    notes: Sequence[str],
) -> Json:
    """Put the parts of the page's data together."""
    return {
        "schema": SCHEMA,
        "workbench": workbench.__version__,
        "options": options,
        "anchor": {"codec": anchor.codec, "output": anchor.output, "default": anchor.by_default},
        "notes": list(notes),
        "datasets": datasets_json(measured, rows),
        "metrics": {name: metric_json(metric) for name, metric in measured.metrics.items()},
        "curves": curves,
        "panels": panels,
        "strings": list(strings),
        "failures": [
            {k: None if v is None or v is pd.NA else v for k, v in failure.items()}
            for failure in measured.failures
        ],
        "runs": runs_json(rows),
    }
