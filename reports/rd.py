"""Rate-distortion rows: a row a dataset, codec, point and output."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.api import Metric
from workbench_reports.aggregate import (
    AGGREGATIONS,
    Array,
    Measured,
    Series,
    point_values,
    rates,
    weighted_mean,
)

RATES = ("rate_bpp", "container_rate_bpp", "enhancement_bpp")
SECONDS = ("encode_s", "decode_s")


def rd_rows(measured: Measured) -> list[dict[str, Any]]:
    """Return plain rows: rates and metrics in both aggregations, None with a reason.

    ``metrics`` holds, by name, mean, mean_reason, pooled, pooled_reason and n_images.
    """
    return [row for series in measured.series for row in _rows(series, measured.metrics)]


def flat(row: dict[str, Any], metrics: dict[str, Metric]) -> dict[str, Any]:
    """Return a row for CSV: metrics as columns, reasons among the warnings."""
    plain = {name: value for name, value in row.items() if name not in ("metrics", "warnings")}
    notes = list(row["warnings"])
    for name, metric in metrics.items():
        found = row["metrics"].get(name, {})
        for aggregation in AGGREGATIONS:
            if aggregation == "mean" and metric.pool == "set":
                continue
            plain[f"{name}_{aggregation}"] = found.get(aggregation)
            reason = found.get(f"{aggregation}_reason")
            if reason:
                notes.append(f"{name}_{aggregation}: {reason}")
    return plain | {"warnings": notes}


def _rows(series: Series, metrics: dict[str, Metric]) -> list[dict[str, Any]]:
    numbers: dict[str, Array] = {}
    for name in RATES:
        for aggregation in AGGREGATIONS:
            known = name != "enhancement_bpp" or series.enhancement_bpp is not None
            numbers[f"{name}_{aggregation}"] = (
                rates(series, name, aggregation)[0]
                if known
                else np.full(len(series.points), np.nan)
            )
    for name in SECONDS:
        values = series.columns[name]
        numbers[name] = weighted_mean(values, series.ok & ~np.isnan(values))[0]
    scored = {
        name: {aggregation: point_values(series, metric, aggregation)
               for aggregation in AGGREGATIONS}
        for name, metric in metrics.items()
        if series.has(metric)
    }  # fmt: skip
    boundless = {
        name: int(series.boundless(metric).sum())
        for name, metric in metrics.items()
        if series.per_image(metric)
    }
    rows = []
    for p, point in enumerate(series.points):
        n_images, n_failed = int(series.ok[p].sum()), int(series.failed[p].sum())
        row: dict[str, Any] = {
            "dataset": series.dataset,
            "codec": series.codec,
            "point": point,
            "output": series.output or None,
            "audience": series.audience or None,
            "layers": ",".join(series.needs) or None,
            "n_images": n_images,
            "n_dataset": len(series.images),
            "n_failed": n_failed,
            "enhancement_of": series.enhancement_of,
        }
        row |= {name: _number(values[p]) for name, values in numbers.items()}
        row["metrics"] = {
            name: {
                "mean": found["mean"][p].value,
                "mean_reason": found["mean"][p].reason,
                "pooled": found["pooled"][p].value,
                "pooled_reason": found["pooled"][p].reason,
                "n_images": found["mean" if series.per_image(metrics[name]) else "pooled"][
                    p
                ].n_images,
            }
            for name, found in scored.items()
        }
        row["warnings"] = _warnings(row, boundless)
        rows.append(row)
    return rows


def _warnings(row: dict[str, Any], boundless: dict[str, int]) -> list[str]:
    found = []
    if row["n_images"] < row["n_dataset"]:
        failed = f", {row['n_failed']} failed" if row["n_failed"] else ""
        found.append(f"partial: {row['n_images']} of {row['n_dataset']} pictures{failed}")
    for name, score in row["metrics"].items():
        if 0 < score["n_images"] < row["n_images"]:
            infinite = boundless.get(name)
            why = f", {infinite} are infinite at every point" if infinite else ""
            found.append(
                f"partial: {name} of {score['n_images']} of {row['n_images']} pictures{why}"
            )
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
